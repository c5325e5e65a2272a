import type { Browser, BrowserContext, Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { browserFound, startBrowser } from '../../support/browser.js';
import { ask, eventually, type Json, type Person, registerAll } from '../../support/client.js';
import { figure, within } from '../../support/fleet.js';
import { makePlace, type Place } from '../../support/place.js';
import { startProxy } from '../../support/proxy.js';
import { openDirect, send } from '../../support/talk.js';
import { composer, openApp, rowWith, write } from '../../support/web-app.js';
import { countSockets, faultModes, type PageSockets, storedTexts, textsOf } from '../../support/web-faults.js';

const LOGIN = 'mutation ($input: LoginInput!) { login(input: $input) { tokens { accessToken } } }';

/** Counts the open transactions of IndexedDB in a page. */
function countTransactions(): void {
  const page = globalThis as unknown as { transactions: number; IDBDatabase: { prototype: Json } };
  page.transactions = 0;
  const { prototype } = page.IDBDatabase;
  const open = prototype.transaction;
  prototype.transaction = function transaction(...input: unknown[]) {
    const opened = open.apply(this, input);
    page.transactions += 1;
    for (const end of ['complete', 'abort']) {
      opened.addEventListener(end, () => {
        page.transactions -= 1;
      });
    }
    return opened;
  };
}

/**
 * Stops everything in a page. Like a browser, it does not stop a page while it has a transaction of IndexedDB open, for
 * which the pages of the same origin would wait.
 */
const FREEZE = `setTimeout(function freeze() {
  if (transactions > 0) setTimeout(freeze);
  else debugger;
})`;

describe.skipIf(!browserFound).each(faultModes)('several tabs of the web app, in %s mode', (mode) => {
  let browser: Browser;
  let place: Place;
  beforeAll(async () => {
    [browser, place] = await Promise.all([startBrowser(), makePlace(mode, { web: true })]);
  });

  interface Tab {
    page: Page;
    sockets: PageSockets;
  }

  /** Opens another tab at the same conversation. */
  async function openTab(context: BrowserContext, url: string): Promise<Tab> {
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    const sockets = countSockets(page);
    await page.goto(url);
    await page.locator('[data-key]').first().waitFor();
    return { page, sockets };
  }

  /** Two people, one of whom has the conversation open in several tabs. The first one has the connection. */
  async function meet(nodeUrl: string, webUrl: string, count: number) {
    const [ada, bob] = await registerAll(nodeUrl, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'first');
    const { page: opened } = await openApp(browser, webUrl, ada, id);
    const context = opened.context();
    await context.addInitScript(countTransactions);
    const [url, first] = [opened.url(), await openTab(context, opened.url())];
    await opened.close();
    await eventually('the first tab has the connection', () => first.sockets.open === 1);
    const tabs = [first];
    while (tabs.length < count) tabs.push(await openTab(context, url));
    expect(tabs.map(({ sockets }) => sockets.open)).toEqual([1, ...Array(count - 1).fill(0)]);
    return { ada, bob, id, context, tabs };
  }

  /** Waits until exactly one tab is connected and all tabs show what is stored. */
  async function settle(tabs: readonly Tab[], bob: Person, id: string): Promise<string[]> {
    await eventually('one tab is connected', () => tabs.filter(({ sockets }) => sockets.open > 0).length === 1);
    await eventually('all show what is stored', async () => {
      const stored = (await storedTexts(bob, id)).join();
      const shown = await Promise.all(tabs.map(({ page }) => textsOf(page)));
      return shown.every((texts) => texts.join() === stored);
    });
    return storedTexts(bob, id);
  }

  it('continue when the one with the connection is closed', async () => {
    const node = await place.start();
    const { bob, id, tabs } = await meet(node.url, node.webUrl ?? '', 4);
    const durations: number[] = [];
    for (let round = 1; tabs.length > 1; round += 1) {
      const closed = tabs.findIndex(({ sockets }) => sockets.open === 1);
      const [leader] = tabs.splice(closed, 1);
      const last = tabs.at(-1)?.page as Page;
      // The message is stored in the browser, and another tab sends it.
      await leader?.page.close();
      await Promise.all([write(last, `ada ${round}`), send(bob, id, `bob ${round}`)]);
      const shown = await within(3_000, 'the others show the message', async () => {
        const counts = await Promise.all(tabs.map(({ page }) => rowWith(page, `bob ${round}`).count()));
        return counts.every((count) => count === 1);
      });
      durations.push(shown);
      await settle(tabs, bob, id);
    }
    expect((await storedTexts(bob, id)).toSorted()).toEqual([
      'ada 1',
      'ada 2',
      'ada 3',
      'bob 1',
      'bob 2',
      'bob 3',
      'first',
    ]);
    figure('tabs of the web app are closed', { mode, durations });
    await node.stop();
  });

  it('continue when the browser freezes the one with the connection', async () => {
    const node = await place.start();
    const { bob, id, context, tabs } = await meet(node.url, node.webUrl ?? '', 3);
    const [leader, ...others] = tabs as [Tab, Tab, Tab];
    // Before it is frozen, it begins to send a message: nobody knows whether it will arrive.
    await write(leader.page, 'ada 1');
    const debug = await context.newCDPSession(leader.page);
    await debug.send('Debugger.enable');
    const paused = new Promise((resolve) => debug.once('Debugger.paused', resolve));
    await debug.send('Runtime.evaluate', { expression: FREEZE });
    await paused;
    const begun = Date.now();
    await Promise.all([write(others[0].page, 'ada 2'), send(bob, id, 'bob 1'), send(bob, id, 'bob 2')]);
    await within(3_000, 'the others show the messages', async () => {
      const counts = await Promise.all(
        others.flatMap(({ page }) => ['ada 1', 'ada 2', 'bob 1', 'bob 2'].map((text) => rowWith(page, text).count())),
      );
      return counts.every((count) => count === 1);
    });
    const ms = Date.now() - begun;
    await eventually('what was written is stored', async () => (await storedTexts(bob, id)).includes('ada 2'));
    await eventually('another tab is connected', () => others.some(({ sockets }) => sockets.open === 1));
    await debug.send('Debugger.resume');
    await debug.detach();
    await eventually('it gives up its connection', () => leader.sockets.open === 0);
    await write(leader.page, 'ada 3');
    await eventually('what it writes afterwards is stored', async () => (await storedTexts(bob, id)).includes('ada 3'));
    const stored = await settle(tabs, bob, id);
    expect(stored.toSorted()).toEqual(['ada 1', 'ada 2', 'ada 3', 'bob 1', 'bob 2', 'first']);
    figure('the browser freezes a tab of the web app', { mode, ms });
    await node.stop();
  });

  it('renew a token that has expired once for all, and stay signed in', async () => {
    const before = await place.start({ ACCESS_TOKEN_TTL: '3s' });
    const proxy = await startProxy(Number(new URL(before.url).port));
    const { bob, id, context, tabs } = await meet(before.url, `http://127.0.0.1:${proxy.port}/`, 5);
    const refreshes: unknown[] = [];
    const count = (text: string | Buffer | null) => {
      if (text?.includes('RefreshSession')) refreshes.push(text);
    };
    // No tab can renew it in time.
    proxy.pointTo(1);
    proxy.cut();
    await before.stop();
    context.on('request', (request) => count(request.postData()));
    for (const { page } of tabs) {
      page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => count(payload)));
    }
    const after = await place.start();
    const expired = Date.now() + 3_000;
    await eventually('the token has expired', () => Date.now() > expired);
    proxy.pointTo(Number(new URL(after.url).port));
    // Each tab sends a request of its own.
    await Promise.all(tabs.map(({ page }) => composer(page).pressSequentially('hello')));
    await eventually('one of them is connected', () => tabs.some(({ sockets }) => sockets.open === 1));
    await Promise.all(tabs.map(({ page }, index) => index === 0 && write(page, 'ada 1')));
    // Bob's token has expired as well.
    const { login } = await ask(after.url, LOGIN, { input: { usernameOrEmail: bob.username, password: bob.password } });
    const again = {
      ...bob,
      ask: (query: string, variables: Json) => ask(after.url, query, variables, login.tokens.accessToken),
    };
    await send(again, id, 'bob 1');
    await settle(tabs, again, id);
    expect(refreshes).toHaveLength(1);
    for (const { page } of tabs) expect(await composer(page).count()).toBe(1);
    await after.stop();
  });
});
