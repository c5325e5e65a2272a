import type { Browser } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { browserFound } from '../support/browser.js';
import { eventually, registerAll } from '../support/client.js';
import { createGroup, edit, openDirect, send } from '../support/talk.js';
import { openApp, rows, rowWith, startApp } from '../support/web-app.js';

describe.skipIf(!browserFound)('search and summaries in the web app', () => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  beforeAll(async () => {
    ({ browser, node, url } = await startApp());
  });

  it('finds messages, highlights what matches, and goes to a message that is not loaded', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    const other = await createGroup(ada, [bob], { title: 'Travel' });
    await send(bob, id, 'The ferry leaves at nine');
    for (let number = 1; number <= 130; number += 1) await send(ada, id, `filler ${number}`);
    await send(bob, other, 'No ferry today');
    const { page, errors } = await openApp(browser, url, ada, id);
    await page.getByRole('button', { name: 'Search messages' }).click();
    const field = page.getByRole('searchbox', { name: 'Search messages' });
    await page.getByRole('button', { name: /from:me/ }).click();
    expect(await field.inputValue()).toBe('from:me');
    await field.fill('ferry');
    const results = page.getByRole('region', { name: 'Search' }).getByRole('listitem');
    await eventually('both are found', async () => (await results.count()) === 2);
    expect(await results.locator('mark').allTextContents()).toEqual(['ferry', 'ferry']);
    await field.fill('ferry in:@nobody-at-all');
    await page.getByText('Nothing was found').waitFor();
    // With whom the viewer has this conversation, because the message is their own.
    await field.fill('"filler 130"');
    await results.getByRole('link', { name: new RegExp(`${ada.username}.*${bob.username}`) }).waitFor();
    await field.fill('after:yesterday ferry');
    await page.getByRole('alert').waitFor();
    await field.fill('ferry');
    await eventually('both are found again', async () => (await results.count()) === 2);
    await field.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    const hit = results.getByRole('link', { name: /leaves at nine/ });
    await hit.click();
    const row = rowWith(page, 'The ferry leaves at nine');
    await row.waitFor();
    await eventually('the message is visible', () =>
      row.evaluate((element) => {
        const { top, bottom } = element.getBoundingClientRect();
        return top > 0 && bottom < innerHeight && document.activeElement === element;
      }),
    );
    // The way back is not a trap, even while messages arrive.
    await send(bob, id, 'another one');
    await page.getByRole('button', { name: 'Go to the latest message' }).click();
    await rowWith(page, 'another one').waitFor();
    expect(await rows(page).count()).toBeLessThanOrEqual(300);
    // The results stay, and the same one can be opened again.
    await hit.click();
    await eventually('the message has the focus again', () =>
      row.evaluate((element) => document.activeElement === element),
    );
    await results.getByRole('link', { name: /No ferry today/ }).click();
    await rowWith(page, 'No ferry today').waitFor();
    await page.getByRole('button', { name: 'Close search' }).click();
    await page.getByRole('heading', { name: 'Conversations' }).waitFor();
    expect(errors).toEqual([]);
  });

  it('shows results without the marks of formats, and still highlights what matches', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    await send(bob, id, '**Decision:** the `ferry` leaves at *nine*, see [the plan](https://example.com/plan)');
    const { page } = await openApp(browser, url, ada, id);
    await page.getByRole('button', { name: 'Search messages' }).click();
    await page.getByRole('searchbox', { name: 'Search messages' }).fill('ferry decision');
    const result = page.getByRole('region', { name: 'Search' }).getByRole('listitem');
    await result.getByText('Decision: the ferry leaves at nine').waitFor();
    expect(await result.locator('mark').allTextContents()).toEqual(['Decision', 'ferry']);
  });

  it('searches in one conversation, and shows one pane at a time on a phone', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'a word here');
    await send(bob, await createGroup(bob, [ada]), 'a word there');
    const { page, errors } = await openApp(browser, url, ada, id, { viewport: { width: 390, height: 844 } });
    await page.getByRole('button', { name: 'Search in this conversation' }).click();
    await page.getByRole('searchbox').fill('word');
    const results = page.getByRole('region', { name: 'Search' }).getByRole('listitem');
    await eventually('one is found', async () => (await results.count()) === 1);
    await page.getByRole('button', { name: 'Search everywhere' }).click();
    await eventually('both are found', async () => (await results.count()) === 2);
    await results.getByRole('link', { name: /word here/ }).click();
    await rowWith(page, 'a word here').waitFor();
    expect(await page.getByRole('searchbox').isVisible()).toBe(false);
    await page.getByRole('link', { name: 'Back' }).click();
    await page.getByRole('searchbox').waitFor();
    expect(errors).toEqual([]);
  });

  it('summarizes unread messages, goes to their sources, and shows when a summary is outdated', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    const texts = [
      'We have decided to move the launch to Thursday because the tests are not ready.',
      'Can you send the agenda to everyone before noon?',
      'I will prepare the slides for the launch and send them tonight.',
    ];
    const sent = [];
    for (const text of texts) sent.push(await send(bob, id, text));
    const { page, errors } = await openApp(browser, url, ada, id);
    await page.getByRole('button', { name: 'Summaries' }).click();
    const panel = page.getByRole('complementary', { name: 'Summaries' });
    await panel.getByText('There are no summaries yet.').waitFor();
    expect(await panel.getByRole('radio', { name: 'Unread' }).isChecked()).toBe(true);
    await panel.getByRole('button', { name: 'Summarize' }).click();
    await panel.getByText('3 messages').waitFor();
    const source = panel.getByRole('listitem').getByRole('button').first();
    await source.click();
    await eventually('the source has the focus', () =>
      page.evaluate(() => document.activeElement?.matches('article[data-key]') ?? false),
    );
    await edit(bob, sent[0]?.id ?? '', 'We have decided to move the launch to Friday.');
    await panel.getByText('Messages have been edited or deleted since then.').waitFor();
    await panel.getByRole('button', { name: 'Summarize again' }).click();
    await eventually('there is a new summary', async () => (await panel.locator('details').count()) === 2);
    await page.keyboard.press('Escape');
    await panel.waitFor({ state: 'detached' });
    expect(errors).toEqual([]);
  });
});
