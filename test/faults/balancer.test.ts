import { execFileSync, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Person, register } from '../support/client.js';
import { atEnd } from '../support/ending.js';
import {
  figure,
  form,
  hasAll,
  lacking,
  makeFleet,
  makeSender,
  type NodeProcess,
  ownServers,
  pause,
  range,
  subscribe,
  within,
} from '../support/fleet.js';
import { freePort, serversLacking } from '../support/servers.js';
import { createGroup } from '../support/talk.js';

const haproxyLacking = (() => {
  try {
    execFileSync('haproxy', ['-v'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'haproxy not found';
  }
})();
/** It takes a minute: only the long form runs it. */
const skipped = serversLacking ?? haproxyLacking ?? form('the short form leaves the balancer out', undefined);
if (skipped !== undefined) console.log(`The tests of deploy/haproxy.cfg are skipped: ${skipped}.`);

/** Runs HAProxy with deploy/haproxy.cfg, of which only addresses are others. Resolves with its URL for clients. */
async function startBalancer(nodes: readonly NodeProcess[]): Promise<string> {
  const [port, healthPort] = [await freePort(), await freePort()];
  let config = await readFile('deploy/haproxy.cfg', 'utf8');
  const replace = (what: string | RegExp, by: string) => {
    expect(config).toMatch(what);
    config = config.replaceAll(what, by);
  };
  replace(/^ {4}bind :4000$/gm, `    bind 127.0.0.1:${port}`);
  replace(/127\.0\.0\.1:8404/g, `127.0.0.1:${healthPort}`);
  replace(/ resolvers docker init-addr last,libc,none/g, '');
  replace(/^resolvers docker\n(?: {4}.*\n)+/gm, '');
  for (const [index, { url }] of nodes.entries()) replace(new RegExp(`node-${index + 1}:4000`, 'g'), new URL(url).host);
  const folder = await mkdtemp(join(tmpdir(), 'parley_haproxy_'));
  const path = join(folder, 'haproxy.cfg');
  await writeFile(path, config);
  const child = spawn('haproxy', ['-db', '-f', path], { stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  child.stderr.on('data', (chunk) => {
    output = (output + chunk).slice(-5_000);
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  atEnd(async () => {
    child.kill('SIGKILL');
    await exited;
    await rm(folder, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${port}/graphql`;
  await within(
    10_000,
    () => `haproxy serves: ${output}`,
    () =>
      fetch(url.replace('/graphql', '/ready')).then(
        ({ ok }) => ok,
        () => child.exitCode !== null,
      ),
  );
  expect(child.exitCode, output).toBeNull();
  return url;
}

describe.skipIf(skipped !== undefined)('deploy/haproxy.cfg', () => {
  let nodes: [NodeProcess, NodeProcess];
  let url: string;
  let people: Person[];
  let group: string;
  beforeAll(async () => {
    const fleet = await makeFleet(await ownServers(), {
      DRAIN_TIME: '2s',
      SHUTDOWN_TIMEOUT: '20s',
      TRUSTED_PROXIES: 'loopback',
    });
    nodes = [await fleet.add(), await fleet.add()];
    url = await startBalancer(nodes);
    people = [];
    for (const index of range(1, 4)) people.push(await register(url, `person${index}`));
    const [alice, ...members] = people as [Person, ...Person[]];
    group = await createGroup(alice, members);
  });

  it('answers everybody, late, when all nodes are busy for some seconds', { timeout: 120_000 }, async () => {
    const sender = makeSender(people[0] as Person, group, [url]);
    const stop = sender.steadily(50);
    for (const _ of range(1, 3)) {
      await pause(1_000);
      // A process that is stopped is as one that computes all the while: its port takes connections, nobody answers.
      for (const node of nodes) node.child.kill('SIGSTOP');
      await pause(4_500);
      for (const node of nodes) node.child.kill('SIGCONT');
    }
    await pause(1_000);
    await stop();
    figure('all nodes are busy for 4.5 s, three times, behind HAProxy', {
      sends: sender.answered.length,
      failed: Object.fromEntries(sender.codes),
      longestMs: Math.max(...sender.answered.map(({ ms }) => ms)),
    });
    expect(Object.fromEntries(sender.codes)).toEqual({});
  });

  it('fails no call during a rolling restart under load', { timeout: 300_000 }, async () => {
    const subscribers = range(1, 100).map((index) => subscribe(people[index % people.length] as Person, () => url));
    await within(30_000, 'they are live', () => subscribers.every(({ caughtUp }) => caughtUp > 0));
    const sender = makeSender(people[0] as Person, group, [url]);
    const stop = sender.steadily(100);
    await within(10_000, 'it flows', () => sender.answered.length > 200);
    for (const node of nodes) {
      expect(await node.stop(), node.output()).toBe(0);
      await pause(1_000);
      // As `docker compose up --wait` does: the next one right after this one says that it is ready.
      await node.start();
    }
    await pause(3_000);
    await stop();
    for (const each of subscribers) {
      await within(30_000, lacking(each, sender.answered), () => hasAll(each, sender.answered));
    }
    const failed = [...sender.codes.values()].reduce((sum, count) => sum + count, 0);
    figure('rolling restart of two nodes behind HAProxy', {
      sends: sender.answered.length,
      failed: Object.fromEntries(sender.codes),
      longestMs: Math.max(...sender.answered.map(({ ms }) => ms)),
    });
    // A request on a connection that the node closes at that very moment is cut: whoever sends it again is answered.
    expect(failed / sender.answered.length).toBeLessThan(0.001);
  });
});
