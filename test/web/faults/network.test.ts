import type { Browser } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../../src/server/start.js';
import { browserFound, startBrowser } from '../../support/browser.js';
import { eventually, type Person, registerAll } from '../../support/client.js';
import { figure, form, pause, within } from '../../support/fleet.js';
import { makePlace } from '../../support/place.js';
import { startProxy } from '../../support/proxy.js';
import { openDirect, send } from '../../support/talk.js';
import { openApp, write } from '../../support/web-app.js';
import { countSockets, faultModes, ofSeries, series, storedTexts, textsOf } from '../../support/web-faults.js';

const CUTS = form(12, 50);
const OFFLINE_SENDS = 20;
/** How long the network is away in the long form. In the short one, until the client has noticed. */
const OFFLINE_MS = 5 * 60_000;

describe.skipIf(!browserFound).each(faultModes)('the web app on a bad network, in %s mode', (mode) => {
  let browser: Browser;
  let node: RunningNode;
  beforeAll(async () => {
    const [started, place] = await Promise.all([startBrowser(), makePlace(mode, { web: true })]);
    browser = started;
    node = await place.start();
  });

  /** Opens the app as a user, behind a network of their own. */
  async function openBehindProxy(person: Person, id: string) {
    const proxy = await startProxy(Number(new URL(node.url).port));
    const { page, errors } = await openApp(browser, `http://127.0.0.1:${proxy.port}/`, person, id);
    const sockets = countSockets(page);
    await page.reload();
    await eventually('it is connected', () => sockets.open === 1);
    return { page, errors, proxy, sockets };
  }

  async function meet() {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'first');
    return { ada, bob, id };
  }

  it('shows both people everything once and in order, however often their connections are cut', {
    timeout: 300_000,
  }, async () => {
    const { ada, bob, id } = await meet();
    const [adas, bobs] = [await openBehindProxy(ada, id), await openBehindProxy(bob, id)];
    for (let round = 1; round <= CUTS; round += 1) {
      await eventually('both are connected', () => adas.sockets.open === 1 && bobs.sockets.open === 1);
      const writing = [write(adas.page, `ada ${round}`), write(bobs.page, `bob ${round}`)];
      // Cuts at different moments of a send, and now and then of a catch-up.
      await pause((round * 37) % 150);
      (round % 2 === 0 ? adas : bobs).proxy.cut();
      if (round % 5 === 0) await pause((round * 61) % 700);
      if (round % 3 === 0) for (const { proxy } of [adas, bobs]) proxy.cut();
      await Promise.all(writing);
    }
    expect(adas.sockets.total + bobs.sockets.total).toBeGreaterThan(CUTS);
    const ms = await within(10_000, 'both show everything', async () => {
      const [one, other] = [await textsOf(adas.page), await textsOf(bobs.page)];
      return one.length > 2 * CUTS && other.length > 2 * CUTS;
    });
    await eventually('everything is stored', async () => (await storedTexts(bob, id)).includes(`ada ${CUTS}`));
    const stored = (await storedTexts(bob, id)).filter((text) => text !== 'first');
    await eventually('the pages show what is stored', async () => {
      const shown = [await textsOf(adas.page), await textsOf(bobs.page)];
      return shown.every((texts) => texts.join() === ['first', ...stored].join());
    });
    for (const name of ['ada', 'bob']) expect(ofSeries(name, stored)).toEqual(series(name, CUTS));
    expect(stored).toHaveLength(2 * CUTS);
    figure('cuts in the web app', { mode, cuts: CUTS, connections: adas.sockets.total + bobs.sockets.total, ms });
  });

  it('sends what was written offline once and in order, and shows what was missed', { timeout: 600_000 }, async () => {
    const { ada, bob, id } = await meet();
    const { page, sockets } = await openBehindProxy(ada, id);
    await page.context().setOffline(true);
    for (const text of series('offline', OFFLINE_SENDS)) await write(page, text);
    for (const text of series('bob', OFFLINE_SENDS)) await send(bob, id, text);
    expect(await textsOf(page)).toEqual(['first', ...series('offline', OFFLINE_SENDS)]);
    await page.getByRole('status').filter({ hasText: 'offline' }).waitFor();
    await form(Promise.resolve, () => pause(OFFLINE_MS)).call(Promise);
    await page.context().setOffline(false);
    const sent = await within(5_000, 'everything is stored', async () => {
      return ofSeries('offline', await storedTexts(bob, id)).length >= OFFLINE_SENDS;
    });
    const expected = ['first', ...series('bob', OFFLINE_SENDS), ...series('offline', OFFLINE_SENDS)];
    expect(await storedTexts(bob, id)).toEqual(expected);
    const shown = await within(5_000, 'the page shows everything', async () => {
      return (await textsOf(page)).join() === expected.join();
    });
    expect(sockets.open).toBe(1);
    figure('offline in the web app', { mode, sends: OFFLINE_SENDS, sentAfterMs: sent, shownAfterMs: sent + shown });
  });

  it('notices a connection over which nothing arrives any more, and sends what was written meanwhile', {
    timeout: 180_000,
  }, async () => {
    const { ada, bob, id } = await meet();
    const { page, proxy } = await openBehindProxy(ada, id);
    proxy.swallow();
    await write(page, 'ada 1');
    await send(bob, id, 'bob 1');
    const ms = await within(20_000, 'both messages arrive', async () => {
      return (await storedTexts(bob, id)).includes('ada 1') && (await textsOf(page)).includes('bob 1');
    });
    await eventually('the page shows what is stored', async () => {
      return (await textsOf(page)).join() === (await storedTexts(bob, id)).join();
    });
    expect((await textsOf(page)).toSorted()).toEqual(['ada 1', 'bob 1', 'first']);
    figure('a silent connection of the web app', { mode, ms });
  });
});
