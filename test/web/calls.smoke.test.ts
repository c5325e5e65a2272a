import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { existsSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { browserFound, startBrowser } from '../support/browser.js';
import { eventually, registerAll } from '../support/client.js';
import { atEnd } from '../support/ending.js';
import { anyMode, makePlace } from '../support/place.js';
import { befriend } from '../support/status-posts.js';
import {
  callScreen,
  fakeDevices,
  incoming,
  meet,
  openForCalls,
  statisticsOf,
  talk,
  usesDevices,
} from '../support/web-calls.js';

/** The TURN server that Debian and others package as coturn. */
const turnServer = ['/usr/bin/turnserver', '/usr/local/bin/turnserver'].find((path) => existsSync(path));
if (!turnServer) console.log('Calls through a TURN server are not tested: install coturn.');

const isClosed = (page: Page) => eventually('the call is closed', async () => (await callScreen(page).count()) === 0);

it.skipIf(!browserFound)(
  'two users call each other, through a TURN server only while they are not contacts, and both see the outcome',
  { timeout: 120_000 },
  async () => {
    const [browser, place, turn] = await Promise.all([
      startBrowser(fakeDevices),
      makePlace(anyMode, { web: true }),
      startTurn(),
    ]);
    const node = await place.start({ SYSTEM_MESSAGES: 'on', ...turn });
    const url = node.webUrl ?? '';
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await meet(ada, bob);
    const [adas, bobs] = await Promise.all([ada, bob].map((person) => openForCalls(browser, url, person, id)));
    if (!adas || !bobs) throw new Error('there are no pages');
    const pages = [adas.page, bobs.page];
    // Video would use the same connection, and take more CPU time.
    await adas.page.getByRole('button', { name: 'Voice call' }).click();
    await incoming(bobs.page).getByRole('button', { name: 'Answer' }).click();
    for (const page of pages) {
      await eventually('the audio of the other one arrives', async () => (await statisticsOf(page)).audioPackets > 0);
      if (turn) expect((await statisticsOf(page)).candidates).toEqual(['relay']);
    }
    await callScreen(adas.page).getByRole('button', { name: 'Hang up' }).click();
    await Promise.all(pages.map(isClosed));
    await befriend(ada, bob);
    await talk(adas.page, bobs.page);
    for (const page of pages) expect((await statisticsOf(page)).candidates).not.toContain('relay');
    await callScreen(adas.page).getByRole('timer').waitFor();
    await callScreen(bobs.page).getByRole('button', { name: 'Hang up' }).click();
    await callScreen(adas.page).getByText('The call has ended.').waitFor();
    for (const { page } of [adas, bobs]) {
      await page.getByText(/^Video call, \d:\d\d/).waitFor();
      await isClosed(page);
      expect(await usesDevices(page)).toBe(false);
      expect(await incoming(page).count()).toBe(0);
    }
    expect([...adas.errors, ...bobs.errors]).toEqual([]);
  },
);

/** Starts the TURN server if it is installed, and returns the settings of a node that offers it. */
async function startTurn(): Promise<Record<string, string> | undefined> {
  if (!turnServer) return undefined;
  const secret = 'the secret of the TURN server of this test';
  const port = await freeUdpPort();
  const turn = spawn(
    turnServer,
    [
      ...['-n', '--use-auth-secret', `--static-auth-secret=${secret}`, '--realm=parley.test', '--fingerprint'],
      ...['--listening-ip=127.0.0.1', '--relay-ip=127.0.0.1', `--listening-port=${port}`, '--no-tls', '--no-dtls'],
      ...['--allow-loopback-peers', '--no-cli', '--log-file=stdout', '--simple-log', '--pidfile=/dev/null'],
    ],
    { stdio: 'ignore' },
  );
  atEnd(async () => void turn.kill('SIGKILL'));
  return { TURN_URLS: `turn:127.0.0.1:${port}?transport=udp`, TURN_SECRET: secret };
}

/** A free port for UDP on 127.0.0.1. */
async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}
