import type { Browser } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { browserFound, startBrowser } from '../../support/browser.js';
import { eventually, registerAll } from '../../support/client.js';
import { atEnd } from '../../support/ending.js';
import { figure, form, makeSender, nodeProcess, pause, within } from '../../support/fleet.js';
import { makePlace, type Place, servicesFound } from '../../support/place.js';
import { startProxy } from '../../support/proxy.js';
import { freePort } from '../../support/servers.js';
import { openDirect, send } from '../../support/talk.js';
import { openApp, rowWith, write } from '../../support/web-app.js';
import { countSockets, ofSeries, series, storedTexts, textsOf } from '../../support/web-faults.js';

const KILLS = form(2, 20);
/** How long the only node is away: attempts to connect must not have become rare by then. */
const AWAY_MS = form(2_000, 150_000);

describe.skipIf(!browserFound)('the web app when nodes are killed', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser();
  });

  async function startNode(place: Place) {
    const env = { ...place.env, BCRYPT_COST: '4', RATE_LIMITS: 'off', SHUTDOWN_TIMEOUT: '2s', DRAIN_TIME: '50ms' };
    const node = nodeProcess(env, await freePort());
    atEnd(() => node.remove());
    await node.start();
    return node;
  }

  it.skipIf(!servicesFound)(
    'continues on another node, and neither misses nor duplicates anything',
    {
      timeout: 600_000,
    },
    async () => {
      const place = await makePlace('postgresql', { web: true });
      const nodes = [await startNode(place), await startNode(place)] as const;
      const portOf = (index: number) => Number(new URL(nodes[index % 2]?.url ?? '').port);
      const [ada, bob] = await registerAll(nodes[0].url, 'ada', 'bob');
      const id = await openDirect(ada, bob);
      await send(bob, id, 'first');
      const proxy = await startProxy(portOf(0));
      const { page } = await openApp(browser, `http://127.0.0.1:${proxy.port}/`, ada, id);
      const sender = makeSender(
        bob,
        id,
        nodes.map(({ url }) => url),
      );
      const durations: number[] = [];
      for (let round = 1; round <= KILLS; round += 1) {
        const killed = nodes[(round - 1) % 2];
        await write(page, `ada ${2 * round - 1}`);
        // As a load balancer does.
        proxy.pointTo(portOf(round));
        const [, ms] = await Promise.all([
          killed?.kill(),
          sender
            .send(`bob ${round}`)
            .then(() => within(3_000, 'the message arrives', () => rowWith(page, `bob ${round}`).count())),
          write(page, `ada ${2 * round}`),
        ]);
        durations.push(ms);
        await killed?.start();
      }
      await eventually('the page shows what is stored', async () => {
        const stored = await storedTexts(bob.at(nodes[0].url), id);
        return stored.length === 1 + 3 * KILLS && (await textsOf(page)).join() === stored.join();
      });
      const texts = await textsOf(page);
      expect(ofSeries('ada', texts)).toEqual(series('ada', 2 * KILLS));
      expect(ofSeries('bob', texts)).toEqual(series('bob', KILLS));
      durations.sort((one, other) => one - other);
      figure('node kills, the web app', { kills: KILLS, p95: durations.at(Math.ceil(KILLS * 0.95) - 1), durations });
    },
  );

  it('is live again after the only node is back, and sends what was written', {
    timeout: 600_000,
  }, async () => {
    const place = await makePlace('embedded', { web: true });
    const node = await startNode(place);
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'first');
    const { page } = await openApp(browser, node.url.replace('graphql', ''), ada, id);
    const sockets = countSockets(page);
    await page.reload();
    await eventually('it is connected', () => sockets.open === 1);
    await node.kill();
    for (const text of series('ada', 3)) await write(page, text);
    await pause(AWAY_MS);
    await node.start();
    await send(bob, id, 'bob 1');
    const ms = await within(3_000, 'the message arrives', () => rowWith(page, 'bob 1').count());
    await eventually('everything is stored', async () => (await storedTexts(bob, id)).length === 5);
    expect(ofSeries('ada', await storedTexts(bob, id))).toEqual(series('ada', 3));
    await eventually('the page shows it', async () => {
      return (await textsOf(page)).join() === (await storedTexts(bob, id)).join();
    });
    figure('the only node is killed, the web app', { awayMs: AWAY_MS, ms });
  });
});
