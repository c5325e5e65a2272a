import type { Browser } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { browserFound } from '../support/browser.js';
import { registerAll } from '../support/client.js';
import { openDirect, send } from '../support/talk.js';
import { openApp, startApp } from '../support/web-app.js';
import { deviceOutside, setUp } from '../support/web-encryption.js';

describe.skipIf(!browserFound)('searching and summarizing encrypted conversations in the web app', () => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  beforeAll(async () => {
    ({ browser, node, url } = await startApp());
  });

  /** Two users with an encrypted conversation, in which one of them, in a browser with keys, has received texts. */
  async function talk(texts: readonly string[]) {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'A plain salad');
    const visited = await openApp(browser, url, ada);
    await setUp(visited.page, url);
    const conversation = (await deviceOutside(node.url, bob)).conversation(id);
    await conversation.enable();
    for (const text of texts) await conversation.send({ text });
    return { ...visited, ada, bob, id };
  }

  it('finds what the server cannot read, by the same rules, and next to what the server finds', async () => {
    const others = Array.from({ length: 60 }, (_, index) => `Something else ${index}`);
    const { page, errors, bob, id } = await talk(['Who brings the SALÁD?', ...others, 'The salad is green']);
    const sent: string[] = [];
    page.on('request', (request) => sent.push(request.postData() ?? ''));
    await page.goto(`${url}c/${encodeURIComponent(id)}`);
    await page.locator('[data-key]').first().waitFor();
    await page.getByRole('log').press('/');
    const field = page.locator('input[type=search]');
    await field.fill('salad');
    const encrypted = page.getByRole('region', { name: 'Encrypted conversations' });
    await encrypted.getByText('Searched 63 of 63 messages in this browser').waitFor();
    const hits = encrypted.getByRole('listitem');
    // Newest first.
    expect(await hits.locator('mark').allTextContents()).toEqual(['salad', 'SALÁD']);
    await page.getByRole('listitem').filter({ hasText: 'A plain salad' }).waitFor();
    await field.fill(`"the salad" from:${bob.username}`);
    await encrypted.getByText('The salad is green').waitFor();
    await expect.poll(() => hits.count()).toBe(2);
    await field.fill('salad -green has:link');
    await expect.poll(() => hits.count()).toBe(0);
    await encrypted.getByText('Nothing was found').waitFor();
    await field.fill('SALÁD');
    await hits.filter({ hasText: 'Who brings' }).getByRole('link').click();
    await page.waitForURL(/\/c\/[^/]+\/\d+$/);
    expect(errors).toEqual([]);
  });

  it('stops and continues when the user wants it', async () => {
    const { page, errors, id } = await talk(Array.from({ length: 120 }, (_, index) => `Message ${index}`));
    // The second page is not answered before the search was stopped.
    let release = () => {};
    const stopped = new Promise<void>((resolve) => {
      release = resolve;
    });
    let pages = 0;
    await page.route('**/graphql', async (route) => {
      if (route.request().postData()?.includes('query EncryptedPage')) {
        pages += 1;
        if (pages > 1) await stopped;
      }
      await route.continue();
    });
    await page.goto(`${url}c/${encodeURIComponent(id)}`);
    await page.locator('[data-key]').first().waitFor();
    await page.getByRole('log').press('/');
    await page.locator('input[type=search]').fill('"message 3"');
    const encrypted = page.getByRole('region', { name: 'Encrypted conversations' });
    await encrypted.getByText('Searched 50 of').waitFor();
    await encrypted.getByRole('button', { name: 'Stop' }).click();
    release();
    await encrypted.getByRole('button', { name: 'Continue' }).click();
    await encrypted.getByText(/^Message 3$/).waitFor();
    expect(errors).toEqual([]);
  });

  it('makes summaries in the browser, with the messages that they quote', async () => {
    const { page, errors, id } = await talk([
      'Where shall we meet on Friday?',
      'We decided to meet at the station at 10:00 on Friday, and Eve brings the tickets.',
      'ok',
      'fine',
    ]);
    const sent: string[] = [];
    page.on('request', (request) => sent.push(request.postData() ?? ''));
    await page.goto(`${url}c/${encodeURIComponent(id)}`);
    await page.locator('[data-key]').first().waitFor();
    await page.getByRole('button', { name: 'Summaries' }).click();
    const panel = page.getByRole('complementary');
    await panel.getByText('the summary is made in this browser').waitFor();
    await panel.getByRole('button', { name: 'Summarize' }).click();
    const summary = panel.getByRole('group');
    await panel.getByText('quotes, selected in this browser').waitFor();
    const point = panel.getByRole('listitem').filter({ hasText: 'at the station at 10:00' });
    await point.getByRole('button').last().click();
    expect(await summary.count()).toBeGreaterThan(0);
    expect(sent.join()).not.toContain('station');
    expect(errors).toEqual([]);
  });
});
