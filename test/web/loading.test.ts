import type { Browser, Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { browserFound } from '../support/browser.js';
import { start } from '../support/calls.js';
import { eventually, registerAll } from '../support/client.js';
import { openAnswered, send } from '../support/talk.js';
import { openApp, startApp } from '../support/web-app.js';

/** Remembers when the list of conversations was in the document before a frame was painted. */
const watchList = `
  const look = () => {
    if (document.querySelector('nav li')) globalThis.listedAt = performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);`;

describe.skipIf(!browserFound)('the parts of the web app that its first view does not need', () => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  beforeAll(async () => {
    ({ browser, node, url } = await startApp());
  });

  /** Ada, who has written with Bob, at the list of conversations. */
  async function open() {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const direct = await openAnswered(ada, bob);
    // A service worker would hide the requests from the test.
    const { page, errors } = await openApp(browser, url, ada, undefined, { serviceWorkers: 'block' });
    await page.locator('nav li').first().waitFor();
    return { page, errors, bob, direct };
  }

  /** Loads the page again without a script, until the returned function is called. */
  async function withhold(page: Page, name: string): Promise<() => Promise<void>> {
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const pattern = `**/assets/${name}-*.js`;
    const requested = page.waitForRequest(pattern);
    await page.route(pattern, async (route) => {
      await released;
      await route.continue();
    });
    await page.reload();
    await page.locator('nav li').first().waitFor();
    return async () => {
      await requested;
      release();
    };
  }

  it('are requested after the list of conversations is shown', async () => {
    const { page, errors } = await open();
    await page.addInitScript(watchList);
    await page.reload();
    const scripts = () =>
      page.evaluate(() =>
        performance
          .getEntriesByType('resource')
          .filter(({ name }) => name.endsWith('.js'))
          .map(({ name, startTime }) => ({ name: /\/assets\/(.*)-.{7}\.js$/.exec(name)?.[1] ?? name, startTime })),
      );
    const later = ['notifications', 'statuses', 'announcements', 'call-host', 'encryption-host', 'later'];
    await eventually('the other parts are loaded', async () => {
      const names = (await scripts()).map(({ name }) => name);
      return later.every((name) => names.includes(name));
    });
    const listedAt = await page.evaluate<number>('listedAt');
    const before = (await scripts()).filter(({ startTime }) => startTime < listedAt).map(({ name }) => name);
    expect(before).toEqual(['first']);
    expect(errors).toEqual([]);
  });

  it('announce a message that has arrived before they are loaded', async () => {
    const { page, bob, direct, errors } = await open();
    const release = await withhold(page, 'announcements');
    await send(bob, direct, 'an early message');
    await page.getByRole('navigation').getByText('an early message').waitFor();
    await release();
    await page
      .getByRole('status')
      .getByRole('link', { name: /an early message/ })
      .waitFor();
    expect(errors).toEqual([]);
  });

  it('do not announce a message that was read before they are loaded', async () => {
    const { page, bob, direct } = await open();
    const release = await withhold(page, 'announcements');
    await send(bob, direct, 'a message that is read');
    await page
      .getByRole('navigation')
      .getByRole('link', { name: /a message that is read/ })
      .click();
    await eventually('it is read', async () => (await page.getByTitle(/unread message/).count()) === 0);
    await page.goBack();
    await send(bob, direct, 'another message');
    await page.getByRole('navigation').getByText('another message').waitFor();
    await release();
    const alerts = page.getByRole('status').getByRole('link');
    await alerts.filter({ hasText: 'another message' }).waitFor();
    expect(await alerts.filter({ hasText: 'a message that is read' }).count()).toBe(0);
  });

  it('set the number on the icon once a second at most, and to the last number', async () => {
    const { page, bob, direct } = await open();
    await page.addInitScript(() => {
      const badges: { count: number; at: number }[] = [];
      navigator.setAppBadge = async (count = 0) => void badges.push({ count, at: performance.now() });
      Object.assign(window, { badges });
    });
    await page.reload();
    const badges = () => page.evaluate<{ count: number; at: number }[]>('badges');
    await eventually('the number is set', async () => (await badges()).length > 0);
    for (let number = 1; number <= 10; number += 1) await send(bob, direct, `message ${number}`);
    const unread = page.getByRole('navigation').getByTitle(/unread messages$/);
    // There is another one from before.
    await unread.getByText('11', { exact: true }).waitFor();
    await eventually('it is the last number', async () => (await badges()).at(-1)?.count === 11);
    const times = (await badges()).map(({ at }) => at);
    for (const [index, at] of times.slice(1).entries()) expect(at - (times[index] ?? 0)).toBeGreaterThan(990);
  });

  it('show a call that has begun to ring before they are loaded', async () => {
    const { page, bob, direct, errors } = await open();
    const release = await withhold(page, 'call-host');
    await start(bob, direct);
    await release();
    await page.getByRole('alertdialog').getByText(bob.username).first().waitFor();
    expect(errors).toEqual([]);
  });
});
