import type { Browser, Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { browserFound } from '../support/browser.js';
import { eventually, type Person, registerAll } from '../support/client.js';
import { rowId } from '../support/durable-streams.js';
import { insertMessages, openDirect, pin, send } from '../support/talk.js';
import { openApp, rows, rowWith, startApp } from '../support/web-app.js';

const COUNT = 10_000;
/** The message that is found, as a share of the history. */
const FOUND = 0.15;

describe.skipIf(!browserFound)('the scroll bar over the history in the web app', () => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  let ada: Person;
  let bob: Person;
  let id: string;
  beforeAll(async () => {
    ({ browser, node, url } = await startApp());
    [ada, bob] = (await registerAll(node.url, 'ada', 'bob')) as [Person, Person];
    id = await openDirect(ada, bob);
    const { db } = node.deps.database;
    const fill = (toSeq: number) => insertMessages(db, rowId(id), rowId(bob.id), toSeq);
    await fill(COUNT * FOUND);
    await send(bob, id, 'a word to find');
    await fill(COUNT / 2 - 1);
    const pinned = await send(bob, id, `message ${COUNT / 2}`);
    await pin(bob, pinned.id);
    await fill(COUNT);
    await ada.ask('mutation ($input: MarkReadInput!) { markRead(input: $input) { membership { readSeq } } }', {
      input: { conversationId: id, seq: COUNT - 10 },
    });
  });

  const bar = (page: Page) => page.getByRole('scrollbar');
  const position = (page: Page) => bar(page).getAttribute('aria-valuetext');
  /** Where a mark is, as a share of the height of the scroll bar. */
  const shareOf = (page: Page, mark: string) =>
    bar(page)
      .locator(`[data-mark=${mark}]`)
      .evaluate((element) => {
        const track = (element.parentElement as HTMLElement).getBoundingClientRect();
        return (element.getBoundingClientRect().top - track.top) / track.height;
      });

  it('goes anywhere when it is dragged, without what is between', async () => {
    const { page, errors } = await openApp(browser, url, ada, id);
    await bar(page).waitFor();
    let requests = 0;
    page.on('request', (request) => {
      if (request.url().endsWith('/graphql') && request.method() === 'POST') requests += 1;
    });
    // The bar moves when the pinned messages, which are displayed above it, have been loaded.
    await bar(page).locator('[data-mark=pin]').waitFor();
    await page.getByText('message 5000').first().waitFor();
    const box = await bar(page).boundingBox();
    if (!box) throw new Error('the scroll bar is not displayed');
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 4);
    await page.mouse.down();
    // A pixel of the scroll bar stands for several messages.
    await page.getByText(/^Message 2[45]\d\d of 10\d{3}$/).waitFor();
    await rows(page)
      .getByText(/^message 2[45]\d\d$/)
      .first()
      .waitFor();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await rows(page)
      .getByText(/^message (49|50)\d\d$/)
      .first()
      .waitFor();
    await page.mouse.up();
    expect(requests).toBeLessThan(8);
    await expect.poll(() => position(page), { timeout: 30_000 }).toMatch(/^Message (49|50)\d\d of 10\d{3}$/);
    // The messages around it are there, and the way back is not a trap.
    await send(bob, id, 'a message in the meantime');
    await page.getByRole('button', { name: 'Go to the latest message' }).click();
    await rowWith(page, 'a message in the meantime').waitFor();
    expect(errors).toEqual([]);
  });

  it('leads to an early message and back to the latest one, while messages arrive', async () => {
    const { page, errors } = await openApp(browser, url, ada, id);
    await page.goto(`${url}c/${encodeURIComponent(id)}/500`);
    await rowWith(page, 'message 500').waitFor();
    let isDone = false;
    const sending = (async () => {
      for (let number = 1; !isDone; number += 1) await send(bob, id, `arrival ${number}`);
    })();
    const isInView = () =>
      rowWith(page, 'message 500').evaluate((row) => {
        const { top, bottom } = row.getBoundingClientRect();
        return top > 0 && bottom < innerHeight;
      });
    await page.getByText(/^\d+ new messages?$/).waitFor();
    expect(await isInView()).toBe(true);
    await page.getByRole('button', { name: 'Go to the latest message' }).click();
    await rows(page)
      .getByText(/^arrival \d+$/)
      .first()
      .waitFor();
    isDone = true;
    await sending;
    await send(bob, id, 'the last message');
    await rowWith(page, 'the last message').waitFor();
    await eventually('the end is shown', () =>
      page.getByRole('log').evaluate((log) => log.scrollHeight - log.clientHeight - log.scrollTop < 1),
    );
    expect(errors).toEqual([]);
  });

  it('is used with the keyboard, and shows where unread and pinned messages and search results are', async () => {
    const { page, errors } = await openApp(browser, url, ada, id);
    await bar(page).focus();
    await page.keyboard.press('Home');
    await eventually('the beginning is shown', async () => (await position(page))?.startsWith('Message 1 of') === true);
    await page.keyboard.press('PageDown');
    await eventually('a tenth is passed', async () => /^Message 10\d\d of/.test((await position(page)) ?? ''));
    await page.keyboard.press('End');
    await page.getByText('This is the beginning of the conversation.').waitFor({ state: 'detached' });
    await eventually('the end is shown', () =>
      page.getByRole('log').evaluate((log) => log.scrollHeight - log.clientHeight - log.scrollTop < 1),
    );
    expect(await shareOf(page, 'pin')).toBeCloseTo(0.5, 1);
    expect(await bar(page).getAttribute('aria-controls')).toBe(await page.getByRole('log').getAttribute('id'));
    await page.getByRole('button', { name: 'Search in this conversation' }).click();
    await page.getByRole('searchbox').fill('word');
    await bar(page).locator('[data-mark=found]').waitFor();
    expect(await shareOf(page, 'found')).toBeCloseTo(FOUND, 1);
    await page.keyboard.press('Escape');
    await bar(page).locator('[data-mark=found]').waitFor({ state: 'detached' });
    expect(errors).toEqual([]);
  });

  it('shows from where messages are unread, and is absent where the history is short', async () => {
    const [eve] = await registerAll(node.url, 'eve');
    const short = await openDirect(eve, bob);
    await send(bob, short, 'hello');
    const { page, errors } = await openApp(browser, url, eve, short);
    await rowWith(page, 'hello').waitFor();
    expect(await bar(page).count()).toBe(0);
    for (let done = 0; done < 120; done += 30) {
      const sends = Array.from(
        { length: 30 },
        (_, at) => `m${at}: sendMessage(input: { conversationId: $id, text: "x" }) { message { id } }`,
      );
      await bob.ask(`mutation ($id: ID!) { ${sends.join('\n')} }`, { id: short });
    }
    await page.goto('about:blank');
    await page.goto(`${url}c/${encodeURIComponent(short)}`);
    await bar(page).locator('[data-mark=unread]').waitFor();
    expect(await shareOf(page, 'unread')).toBeLessThan(0.95);
    expect(errors).toEqual([]);
  });
});
