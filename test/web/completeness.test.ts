import type { Browser } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { compare } from '../../web/src/chaos/compare.js';
import { browserFound } from '../support/browser.js';
import { eventually, registerAll } from '../support/client.js';
import { edit, openDirect, react, remove, send } from '../support/talk.js';
import { openApp, rowWith, startApp } from '../support/web-app.js';

describe.skipIf(!browserFound)('what the web app shows of changes that it missed', () => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  beforeAll(async () => {
    ({ browser, node, url } = await startApp());
  });

  it('lists what was changed in messages that the viewer had read, with the differences', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    const edited = await send(bob, id, 'The meeting is on Monday at ten');
    const deleted = await send(bob, id, 'A promise');
    const reacted = await send(ada, id, 'Shall we?');
    const reverted = await send(bob, id, 'unchanged in the end');
    const { page, errors } = await openApp(browser, url, ada, id);
    await rowWith(page, 'unchanged in the end').waitFor();
    const readSeq = async () =>
      (await ada.ask('query ($id: ID!) { conversation(id: $id) { viewerMembership { readSeq } } }', { id }))
        .conversation.viewerMembership.readSeq;
    await eventually('all are read', async () => (await readSeq()) === 4);
    await page.goto('about:blank');
    await edit(bob, edited.id, 'The meeting is on Tuesday at ten');
    await remove(bob, deleted.id);
    await react(bob, reacted.id, '🎉');
    await edit(bob, reverted.id, 'something else');
    await edit(bob, reverted.id, 'unchanged in the end');
    await send(bob, id, 'not read before');
    await page.goto(url);
    await page.getByRole('button', { name: '3 messages you read were changed' }).click();
    const list = page.getByRole('dialog').getByRole('listitem');
    await list.nth(2).waitFor();
    expect(await list.count()).toBe(3);
    const first = list.filter({ hasText: 'meeting' });
    expect(await first.locator('del').allTextContents()).toEqual(['Monday']);
    expect(await first.locator('ins').allTextContents()).toEqual(['Tuesday']);
    expect(await list.filter({ hasText: 'deleted' }).locator('del').allTextContents()).toEqual(['A promise']);
    await list.filter({ hasText: 'Shall we?' }).getByText('+1').waitFor();
    await first.getByRole('link').click();
    await rowWith(page, 'The meeting is on Tuesday at ten').waitFor();
    // They survive a page load, until the viewer has seen them.
    await page.reload();
    await page.getByRole('button', { name: '3 messages you read were changed' }).click();
    await page.getByRole('button', { name: 'Got it' }).click();
    await page.getByRole('button', { name: /you read/ }).waitFor({ state: 'detached' });
    await page.reload();
    await rowWith(page, 'not read before').waitFor();
    expect(await page.getByRole('button', { name: /you read/ }).count()).toBe(0);
    expect(errors).toEqual([]);
  });

  it('shows up to which time everything is on the device, also without a connection', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'before');
    const begin = new Date();
    const { page } = await openApp(browser, url, ada, id);
    await rowWith(page, 'before').waitFor();
    // The page is stored by then.
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    await page.context().setOffline(true);
    await page.reload();
    await rowWith(page, 'before').waitFor();
    const banner = page.getByText(/Everything up to .* is here\./);
    await banner.waitFor();
    const [, time = ''] = /up to (.*) is here/.exec((await banner.textContent()) ?? '') ?? [];
    const until = new Date(`${await page.evaluate(() => new Date().toDateString())} ${time.replace(/\s/g, ' ')}`);
    // It is at most a few seconds before the synchronization.
    expect(until.getTime()).toBeGreaterThanOrEqual(begin.getTime() - 5_000);
    expect(until.getTime()).toBeLessThanOrEqual(Date.now());
  });

  it('counts no gap and no duplicate while connections, responses and tokens are lost', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'before');
    const { page } = await openApp(browser, url, ada, id);
    await page.goto(`${url}c/${encodeURIComponent(id)}?chaos`);
    const panel = page.getByRole('region', { name: 'Chaos' });
    await panel.getByRole('button', { name: 'Send 20 messages here' }).click();
    for (let number = 1; number <= 10; number += 1) await send(bob, id, `from the other side ${number}`);
    await panel
      .getByText(/^[2-9] cut connections, [1-9]\d* lost responses, [1-9]\d* expired tokens, 0 freezes$/)
      .waitFor({ timeout: 30_000 });
    const query = 'query ($id: ID!) { conversation(id: $id) { messages(last: 50) { nodes { text } } } }';
    const texts = async (): Promise<string[]> =>
      (await bob.ask(query, { id })).conversation.messages.nodes.map(({ text }: { text: string }) => text);
    await eventually('all are stored', async () => (await texts()).length === 31);
    expect(new Set(await texts()).size).toBe(31);
    const before = Number(/(\d+) comparisons/.exec((await panel.textContent()) ?? '')?.[1]);
    await eventually('they have been compared again', async () => {
      const [, count] = /(\d+) comparisons/.exec((await panel.textContent()) ?? '') ?? [];
      return Number(count) >= before + 2;
    });
    await panel.getByText('0 gaps', { exact: true }).waitFor();
    await panel.getByText('0 duplicates', { exact: true }).waitFor();
  });

  it('lets another tab take over while one is frozen, and misses nothing afterwards', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'before');
    const { page } = await openApp(browser, url, ada, id);
    await page.goto(`${url}c/${encodeURIComponent(id)}?chaos`);
    const panel = page.getByRole('region', { name: 'Chaos' });
    await panel.getByRole('button', { name: 'Pause the failures' }).click();
    await panel.getByText('live').waitFor();
    const other = await page.context().newPage();
    await other.goto(`${url}c/${encodeURIComponent(id)}`);
    await rowWith(other, 'before').waitFor();
    await page.evaluate(`
      globalThis.longestBreak = 0;
      let last = performance.now();
      setInterval(() => {
        const now = performance.now();
        longestBreak = Math.max(longestBreak, now - last);
        last = now;
      }, 50);
    `);
    await panel.getByRole('button', { name: 'Freeze this tab for 5 seconds' }).click();
    // The tab that has the connection does not run.
    await send(bob, id, 'sent while it is frozen');
    await rowWith(other, 'sent while it is frozen').waitFor();
    await panel.getByText(/, 1 freezes$/).waitFor();
    await rowWith(page, 'sent while it is frozen').waitFor();
    await eventually('it was frozen', async () => (await page.evaluate<number>('longestBreak')) >= 4_900);
    await panel.getByText('0 gaps', { exact: true }).waitFor();
    await panel.getByText('0 duplicates', { exact: true }).waitFor();
  });

  it('detects gaps and duplicates', () => {
    const message = (seq: number, text = `chaos ${seq}`) => ({ id: `${seq}`, seq, text });
    const stored = [message(1), message(2), message(3)];
    expect(compare(stored, stored, 'chaos ')).toEqual({ missing: [], doubled: [] });
    expect(compare([message(1), message(3), message(3)], stored, 'chaos ')).toEqual({ missing: ['2'], doubled: ['3'] });
    const twice = [...stored, message(4, 'chaos 3')];
    expect(compare(twice, twice, 'chaos ')).toEqual({ missing: [], doubled: ['chaos 3'] });
    expect(compare(twice, twice, 'other ')).toEqual({ missing: [], doubled: [] });
  });
});
