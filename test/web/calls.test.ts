import type { Browser, Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { violations } from '../support/axe.js';
import { browserFound, startBrowser } from '../support/browser.js';
import { start } from '../support/calls.js';
import { eventually, type Json, type Person, registerAll } from '../support/client.js';
import { atEnd } from '../support/ending.js';
import { nodeProcess } from '../support/fleet.js';
import { anyMode, makePlace, servicesFound } from '../support/place.js';
import { startProxy } from '../support/proxy.js';
import { freePort } from '../support/servers.js';
import { createGroup, send } from '../support/talk.js';
import {
  callScreen,
  fakeDevices,
  incoming,
  meet,
  openForCalls,
  statisticsOf,
  talk,
  tonesOf,
  untilDecoding,
  usesDevices,
} from '../support/web-calls.js';

/** How long a picture may not move while signals are lost, in milliseconds. */
const STALL_MAX_MS = 1_000;

/** The width of the screen that Chromium simulates, in pixels. */
const SCREEN_WIDTH = 1_280;

describe.skipIf(!browserFound)('calls in the web app', () => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  beforeAll(async () => {
    const [started, place] = await Promise.all([startBrowser(fakeDevices), makePlace(anyMode, { web: true })]);
    browser = started;
    const sfu = { CALL_SFU_URL: 'ws://127.0.0.1:1', CALL_SFU_KEY: 'key', CALL_SFU_SECRET: 's'.repeat(32) };
    node = await place.start({ SYSTEM_MESSAGES: 'on', CALL_RING_TIME: '8s', ...sfu });
    url = node.webUrl ?? '';
  });

  async function pair() {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await meet(ada, bob);
    const [adas, bobs] = [await openForCalls(browser, url, ada, id), await openForCalls(browser, url, bob, id)];
    return { ada, bob, id, a: adas.page, b: bobs.page, errors: [adas.errors, bobs.errors] };
  }
  const voice = (page: Page) => page.getByRole('button', { name: 'Voice call' });
  const control = (page: Page, name: string) => callScreen(page).getByRole('button', { name, exact: true });
  const isClosed = (page: Page) => eventually('the call is closed', async () => (await callScreen(page).count()) === 0);
  async function lastCall(person: Person, id: string): Promise<Json> {
    const query = `query ($id: ID!) { conversation(id: $id) { calls(first: 1) { nodes {
      state endReason durationMs parties { microphoneOn cameraOn screenOn user { id } }
    } } } }`;
    return (await person.ask(query, { id })).conversation.calls.nodes[0];
  }

  it('turn cameras and microphones off and on, and replace a device that is lost', async () => {
    const { ada, bob, id, a, b, errors } = await pair();
    await talk(a, b);
    expect((await statisticsOf(b)).audioPackets).toBeGreaterThan(0);
    const picture = callScreen(b).locator(`video[aria-label="${ada.username}"]`);
    await picture.waitFor();
    await control(a, 'Turn the camera off').click();
    await eventually('the picture of the other one is gone', async () => (await picture.count()) === 0);
    // Only the microphone is still in use.
    expect(
      await a.evaluate('tracks.filter(({ readyState }) => readyState === "live").map(({ kind }) => kind)'),
    ).toEqual(['audio']);
    await control(a, 'Turn the microphone off').click();
    await callScreen(b).getByRole('img', { name: 'The microphone is off' }).waitFor();
    await control(a, 'Turn the microphone on').click();
    await control(a, 'Turn the camera on').click();
    await picture.waitFor();
    await untilDecoding(b);
    // The browser reports a device that was removed by the end of its track.
    const opened = await a.evaluate<number>('tracks.length');
    await a.evaluate('tracks.at(-1).stop(), tracks.at(-1).dispatchEvent(new Event("ended"))');
    await eventually('another one is opened', async () => (await a.evaluate<number>('tracks.length')) === opened + 1);
    await untilDecoding(b);
    const own = (await lastCall(bob, id)).parties.find(({ user }: Json) => user.id === ada.id);
    expect(own).toMatchObject({ microphoneOn: true, cameraOn: true, screenOn: false });
    await control(a, 'Devices').click();
    expect(await a.getByRole('menuitemradio', { checked: true }).count()).toBe(3);
    await a.getByRole('group', { name: 'Microphone' }).getByRole('menuitemradio').nth(1).click();
    await eventually('it is opened', async () => (await a.evaluate<number>('tracks.length')) === opened + 2);
    // Escape makes the call small. It goes on.
    await a.keyboard.press('Escape');
    const bar = a.getByRole('region', { name: /^Call: / });
    await bar.waitFor();
    await untilDecoding(b);
    await bar.getByRole('button', { name: 'Hang up' }).click();
    await isClosed(b);
    expect(errors.flat()).toEqual([]);
  });

  it('are declined, cancelled, missed, and busy, and the history shows it', async () => {
    const { ada, bob, id, a, b, errors } = await pair();
    await voice(a).click();
    await incoming(b).getByRole('button', { name: 'Decline' }).click();
    await callScreen(a).getByText('The call was declined.').waitFor();
    await isClosed(a);
    expect(await lastCall(ada, id)).toMatchObject({ state: 'ENDED', endReason: 'DECLINED' });
    await voice(a).click();
    await incoming(b).waitFor();
    await control(a, 'Hang up').click();
    await eventually('it stops ringing', async () => (await incoming(b).count()) === 0);
    expect((await lastCall(ada, id)).endReason).toBe('CANCELLED');
    await isClosed(a);
    await voice(a).click();
    await incoming(b).waitFor();
    await callScreen(a).getByText('Nobody answered.').waitFor();
    expect(await incoming(b).count()).toBe(0);
    await isClosed(a);
    // Bob talks with somebody else.
    const [eve] = await registerAll(node.url, 'eve');
    const other = await meet(eve, bob);
    const eves = await openForCalls(browser, url, eve, other);
    await voice(eves.page).click();
    await incoming(b).getByRole('button', { name: 'Answer' }).click();
    await callScreen(eves.page).getByRole('timer').waitFor();
    await voice(a).click();
    await callScreen(a).getByText('The other person is in another call.').waitFor();
    expect(await incoming(b).count()).toBe(0);
    await control(b, 'Hang up').click();
    await Promise.all([isClosed(a), isClosed(b)]);
    // What Bob missed is a message, and part of the history, from which he calls back.
    await b.getByText('Missed call', { exact: true }).first().waitFor();
    await b.getByRole('heading', { name: ada.username }).getByRole('button').click();
    const history = b.getByRole('region', { name: 'Calls' });
    await history.getByText('Missed call').first().waitFor();
    const labels = history.locator('strong');
    expect(await labels.allInnerTexts()).toEqual(['Missed call', 'Missed call', 'Missed call', 'Declined call']);
    await history.getByRole('button').first().click();
    await incoming(a).getByRole('button', { name: 'Decline' }).click();
    await isClosed(b);
    expect(errors.flat()).toEqual([]);
  });

  it('connect two users who call each other at the same time', async () => {
    const { ada, id, a, b, errors } = await pair();
    // Without the checks of a click: the call of the other one may already be in front of the button.
    await Promise.all([a, b].map((page) => voice(page).dispatchEvent('click')));
    for (const page of [a, b]) {
      await callScreen(page).getByRole('timer').waitFor();
      await eventually('the audio of the other one arrives', async () => (await statisticsOf(page)).audioPackets > 0);
      expect(await incoming(page).count()).toBe(0);
    }
    const query = 'query ($id: ID!) { conversation(id: $id) { calls { nodes { state parties { state } } } } }';
    const { calls } = (await ada.ask(query, { id })).conversation;
    expect(calls.nodes).toEqual([{ state: 'ACTIVE', parties: [{ state: 'CONNECTED' }, { state: 'CONNECTED' }] }]);
    await control(a, 'Hang up').click();
    await Promise.all([isClosed(a), isClosed(b)]);
    expect(errors.flat()).toEqual([]);
  });

  it('ring in all tabs with one sound, and stop everywhere when one of them answers', async () => {
    const { a, b, errors } = await pair();
    const second = await b.context().newPage();
    await second.goto(b.url());
    await second.locator('[data-key]').first().waitFor();
    for (const tab of [b, second]) await tab.locator('body').click({ position: { x: 1, y: 1 } });
    await voice(a).click();
    await Promise.all([incoming(b).waitFor(), incoming(second).waitFor()]);
    await eventually('it rings', async () => (await tonesOf(b)) + (await tonesOf(second)) > 0);
    expect([await tonesOf(b), await tonesOf(second)].filter((count) => count > 0)).toHaveLength(1);
    // A tab that is opened meanwhile rings as well.
    const third = await b.context().newPage();
    await third.goto(b.url());
    await incoming(third).waitFor();
    await incoming(second).getByRole('button', { name: 'Answer' }).click();
    await eventually(
      'the others stop',
      async () => (await incoming(b).count()) + (await incoming(third).count()) === 0,
    );
    await callScreen(second).getByRole('timer').waitFor();
    expect(await callScreen(b).count()).toBe(0);
    const tones = [await tonesOf(b), await tonesOf(second)];
    // The call ends when its tab is closed.
    await second.close({ runBeforeUnload: false });
    await isClosed(a);
    expect(await tonesOf(b)).toBe(tones[0]);
    expect(errors.flat()).toEqual([]);
  });

  it('show a shared screen, the quality of the connection, and the video in front of other windows', {
    timeout: 60_000,
  }, async () => {
    const { ada, bob, id, a, b, errors } = await pair();
    await talk(a, b);
    const widthOf = (page: Page, label: string) =>
      callScreen(page)
        .locator(`video[aria-label="${label}"]`)
        .evaluateAll(([video]) => (video as HTMLVideoElement | undefined)?.videoWidth);
    await control(a, 'Show your screen').click();
    await eventually('the own screen is shown', async () => (await widthOf(a, 'Your screen')) === SCREEN_WIDTH);
    const shared = `Screen of ${ada.username}`;
    await eventually('the other one sees it', async () => ((await widthOf(b, shared)) ?? 0) > 0);
    // The camera is shown as well.
    await callScreen(b).locator(`video[aria-label="${ada.username}"]`).waitFor();
    const party = async () => (await lastCall(bob, id)).parties.find(({ user }: Json) => user.id === ada.id);
    expect(await party()).toMatchObject({ cameraOn: true, screenOn: true });
    await control(a, 'Stop showing your screen').click();
    await eventually('it is not shown any more', async () => (await widthOf(b, shared)) === undefined);
    expect(await party()).toMatchObject({ cameraOn: true, screenOn: false });
    // The browser has a button of its own, with which a user stops sharing.
    await control(a, 'Show your screen').click();
    await eventually('the other one sees it again', async () => ((await widthOf(b, shared)) ?? 0) > 0);
    await a.evaluate('screens.at(-1).stop(), screens.at(-1).dispatchEvent(new Event("ended"))');
    await eventually('it has ended', async () => (await widthOf(b, shared)) === undefined);
    await control(a, 'Show your screen').waitFor();

    const quality = callScreen(b).getByRole('img', { name: /^The connection is / });
    const hasQuality = (name: string) =>
      eventually(`the quality is ${name}`, async () => (await quality.getAttribute('aria-label')) === name);
    await hasQuality('The connection is good');
    await b.evaluate('delayMs = 500');
    await hasQuality('The connection is slow');
    await b.evaluate('delayMs = 900');
    await hasQuality('The connection is bad');
    await b.evaluate('delayMs = undefined');
    await hasQuality('The connection is good');

    await control(a, 'Picture in picture').click();
    await eventually('the video is in a window of its own', () =>
      a.evaluate((label) => document.pictureInPictureElement?.getAttribute('aria-label') === label, bob.username),
    );
    // The call is small, and goes on.
    const bar = a.getByRole('region', { name: /^Call: / });
    await bar.waitFor();
    await untilDecoding(a);
    await bar.getByRole('button', { name: 'Hang up' }).click();
    await isClosed(b);
    expect(errors.flat()).toEqual([]);
  });

  it('play the others on the chosen speaker', async () => {
    const { a, b, errors } = await pair();
    await voice(a).click();
    await incoming(b).getByRole('button', { name: 'Answer' }).click();
    await callScreen(a).getByRole('timer').waitFor();
    const speakers = () =>
      a.locator('audio').evaluateAll((all) => all.map((each) => (each as HTMLAudioElement).sinkId));
    expect(await speakers()).toEqual(['']);
    await control(a, 'Devices').click();
    const choice = a
      .getByRole('group', { name: 'Speaker' })
      .getByRole('menuitemradio', { name: 'Fake Audio Output 2' });
    await choice.click();
    const expected = await a.evaluate(async () => {
      const devices = await navigator.mediaDevices.enumerateDevices();
      return devices.find(({ kind, label }) => kind === 'audiooutput' && label === 'Fake Audio Output 2')?.deviceId;
    });
    expect(expected).toMatch(/./);
    await eventually('it is used', async () => (await speakers()).join() === expected);
    await control(a, 'Hang up').click();
    await isClosed(b);
    expect(errors.flat()).toEqual([]);
  });

  it('explain why they cannot begin without a microphone, and call nobody', async () => {
    const { ada, id, a, b } = await pair();
    await a.evaluate('isDenied = true');
    await voice(a).click();
    await a
      .getByRole('dialog', { name: 'The call cannot begin' })
      .getByText(/does not permit this site/)
      .waitFor();
    expect(await lastCall(ada, id)).toBeUndefined();
    await a.keyboard.press('Escape');
    // A user who answers without a microphone only listens, and the page shows the reason.
    await voice(b).click();
    await incoming(a).getByRole('button', { name: 'Answer' }).click();
    await callScreen(a)
      .getByRole('alert')
      .getByText(/does not permit this site/)
      .waitFor();
    await callScreen(b).getByRole('img', { name: 'The microphone is off' }).waitFor();
    await control(b, 'Hang up').click();
    await isClosed(a);
    expect(await usesDevices(a)).toBe(false);
  });

  it('connect four members of a group with each other', { timeout: 120_000 }, async () => {
    const people = await registerAll(node.url, 'ada', 'bob', 'eve', 'zoe');
    const [ada, bob, eve, zoe] = people;
    const id = await createGroup(ada, [bob, eve, zoe], { title: 'Garden' });
    await send(bob, id, 'Hello');
    const pages: Page[] = [];
    for (const person of people) pages.push((await openForCalls(browser, url, person, id)).page);
    const [a, b, e, z] = pages as [Page, Page, Page, Page];
    await voice(a).click();
    await incoming(b).getByText('Garden').waitFor();
    await incoming(b).getByRole('button', { name: 'Answer' }).click();
    for (const page of [e, z]) await incoming(page).getByRole('button', { name: 'Answer' }).click();
    for (const page of pages) {
      await eventually('the audio of three others arrives', async () => {
        const { candidates, audioSources } = await statisticsOf(page);
        return candidates.length === 3 && audioSources === 3;
      });
    }
    // One of them leaves, and joins again.
    await control(e, 'Hang up').click();
    await eventually('the others stay', async () => (await statisticsOf(a)).candidates.length === 2);
    await isClosed(e);
    await e.getByRole('button', { name: 'Join the call' }).click();
    await eventually('they are connected again', async () => (await statisticsOf(a)).candidates.length === 3);
  });

  it('are explained in larger groups, and not answered', async () => {
    const people = await registerAll(node.url, 'ada', 'bob', 'eve', 'ida', 'zoe');
    const [ada, bob] = people;
    const id = await createGroup(ada, people.slice(1), { title: 'Garden' });
    await send(ada, id, 'Hello');
    const { page, errors } = await openForCalls(browser, url, bob, id);
    await start(ada, id, 'VIDEO');
    await incoming(page).getByText('needs an app with LiveKit').waitFor();
    expect(await incoming(page).getByRole('button').allTextContents()).toEqual([expect.stringContaining('Decline')]);
    await eventually('it has the focus', () =>
      page.evaluate(() => document.activeElement?.textContent?.includes('Decline') ?? false),
    );
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press('Enter');
    await eventually('it is closed', async () => (await incoming(page).count()) === 0);
    expect((await lastCall(ada, id)).state).toBe('RINGING');
    expect(await voice(page).count()).toBe(0);
    expect(await usesDevices(page)).toBe(false);
    expect(errors).toEqual([]);
  });

  it.each([
    [390, 'light'],
    [390, 'dark'],
    [1280, 'light'],
    [1280, 'dark'],
    [1280, 'contrast'],
  ] as const)('are accessible at %i pixels in the %s theme', async (width, theme) => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await meet(ada, bob);
    const options = { viewport: { width, height: 800 }, colorScheme: theme === 'contrast' ? 'light' : theme } as const;
    const { page, errors } = await openForCalls(browser, url, ada, id, options);
    await page.evaluate((name) => localStorage.setItem('parley.theme', name), theme);
    await page.reload();
    await page.locator('[data-key]').first().waitFor();
    const other = (await openForCalls(browser, url, bob, id)).page;
    const shots = process.env['SHOTS'];
    const check = async (name: string) => {
      if (shots) await page.screenshot({ path: `${shots}/${name}-${width}-${theme}.png` });
      expect(await violations(page), name).toEqual([]);
      const isWider = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      expect(isWider, name).toBe(false);
    };
    await other.getByRole('button', { name: 'Video call' }).click();
    await incoming(page).waitFor();
    // The focus is on the answer, and Escape does not decline.
    await eventually('it has the focus', () =>
      page.evaluate(() => document.activeElement?.textContent?.includes('Answer with video') ?? false),
    );
    await page.keyboard.press('Escape');
    await check('incoming');
    await page.keyboard.press('Enter');
    await untilDecoding(page);
    await callScreen(page).getByRole('timer').waitFor();
    await check('call');
    await control(page, 'Devices').click();
    await check('devices');
    await page.keyboard.press('Escape');
    // The menu takes every Escape until it has been closed.
    await page.getByRole('menu').waitFor({ state: 'hidden' });
    await page.keyboard.press('Escape');
    await page.getByRole('region', { name: /^Call: / }).waitFor();
    await check('small');
    await page.getByRole('button', { name: 'Hang up' }).click();
    await isClosed(page);
    await page.getByText(/^Video call, \d:\d\d/).waitFor();
    await check('message');
    await page.getByRole('heading', { name: bob.username }).getByRole('button').click();
    await page.getByRole('region', { name: 'Calls' }).waitFor();
    await check('history');
    expect(errors).toEqual([]);
  });

  it.skipIf(!servicesFound)(
    'continue when a node is killed, and connect again through another one',
    { timeout: 300_000 },
    async () => {
      const place = await makePlace('postgresql', { web: true });
      const env = { ...place.env, BCRYPT_COST: '4', RATE_LIMITS: 'off', SHUTDOWN_TIMEOUT: '2s', DRAIN_TIME: '50ms' };
      const nodes = await Promise.all(
        [0, 1].map(async () => {
          const each = nodeProcess(env, await freePort());
          atEnd(() => each.remove());
          await each.start();
          return each;
        }),
      );
      const portOf = (index: number) => Number(new URL(nodes[index]?.url ?? '').port);
      const [ada, bob] = await registerAll(nodes[0]?.url ?? '', 'ada', 'bob');
      const id = await meet(ada, bob);
      const proxy = await startProxy(portOf(0));
      const a = (await openForCalls(browser, `http://127.0.0.1:${proxy.port}/`, ada, id)).page;
      const b = (await openForCalls(browser, `http://127.0.0.1:${portOf(1)}/`, bob, id)).page;
      await talk(a, b);
      // The longest time without another picture, measured in the pages themselves.
      const watch = `(() => {
        globalThis.stall = 0;
        let frames = -1;
        let at = performance.now();
        globalThis.watching = setInterval(async () => {
          const next = (await statistics()).frames;
          if (next !== frames) at = performance.now();
          frames = next;
          stall = Math.max(stall, performance.now() - at);
        }, 50);
      })()`;
      for (const page of [a, b]) await page.evaluate(watch);
      proxy.pointTo(portOf(1));
      await nodes[0]?.kill();
      const before = await statisticsOf(a);
      // For seconds, while the client of the killed node connects to the other one.
      await Promise.all([untilDecoding(a, 60), untilDecoding(b, 60)]);
      for (const page of [a, b]) {
        expect(await page.evaluate<number>('stall')).toBeLessThan(STALL_MAX_MS);
        await page.evaluate('clearInterval(watching)');
      }
      // The network of one of them changes: the signals now go over the other node.
      await a.evaluate('dispatchEvent(new Event("online"))');
      await eventually('there is another ICE generation', async () => {
        const { generations } = await statisticsOf(a);
        return generations.join() !== before.generations.join();
      });
      await untilDecoding(a, 20);
      await untilDecoding(b, 20);
      await control(b, 'Hang up').click();
      await isClosed(a);
    },
  );
});
