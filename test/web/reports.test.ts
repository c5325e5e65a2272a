import type { Browser, Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { memoryLocks, memoryStorage, openE2ee } from '../../packages/e2ee/src/index.js';
import { decodeGlobalId } from '../../src/core/ids.js';
import type { RunningNode } from '../../src/server/start.js';
import { violations } from '../support/axe.js';
import { browserFound } from '../support/browser.js';
import { type Person, registerAll } from '../support/client.js';
import { must } from '../support/encryption.js';
import { edit, openDirect, remove, send } from '../support/talk.js';
import { act, openApp, startApp } from '../support/web-app.js';

const REPORTS = '{ reports(first: 1) { nodes { reason comment target { ... on ReportedMessage { text proof } } } } }';

describe.skipIf(!browserFound)('reports in the web app', () => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  beforeAll(async () => {
    ({ browser, node, url } = await startApp());
  });

  async function moderator(): Promise<Person> {
    const [person] = await registerAll(node.url, 'moderator');
    const where = { id: decodeGlobalId(person.id, 'id').id };
    await node.deps.database.db.user.update({ where, data: { serviceRole: 'MODERATOR' } });
    return person;
  }

  const dialogOf = (page: Page) => page.getByRole('dialog', { name: 'Report message' });
  const cards = (page: Page) => page.getByRole('article');

  it('a user reports a message with the keyboard, and a moderator sees and resolves the report', async () => {
    const [ana, eve] = await registerAll(node.url, 'ana', 'eve');
    const [chief, direct] = [await moderator(), await openDirect(ana, eve)];
    const { id } = await send(eve, direct, 'You are an idiot');
    const anas = await openApp(browser, url, ana, direct);
    await act(anas.page, 'You are an idiot', 'Report message');
    const dialog = dialogOf(anas.page);
    await dialog.getByText('You are an idiot').waitFor();
    await dialog.getByRole('button', { name: 'Report' }).focus();
    await anas.page.keyboard.press('Enter');
    await dialog.getByText('Choose a reason.').waitFor();
    // The first reason has the focus.
    await anas.page.keyboard.press('ArrowDown');
    expect(await dialog.getByRole('radio', { name: 'Harassment or bullying' }).isChecked()).toBe(true);
    await dialog.getByLabel('Comment (optional)').fill('This is not the first time');
    await dialog.getByRole('button', { name: 'Report' }).click();
    await anas.page.getByText('The message was reported. Thank you.').waitFor();
    await dialog.waitFor({ state: 'detached' });
    await act(anas.page, 'You are an idiot', 'Report message');
    await dialog.getByText(/^You reported this message/).waitFor();
    await edit(eve, id, 'You are kind');
    await remove(eve, id);

    // Only moderators see the page.
    await anas.page.goto(`${url}settings`);
    await anas.page.getByRole('heading', { name: 'Blocked people' }).waitFor();
    expect(await anas.page.getByRole('link', { name: 'Open the reports' }).count()).toBe(0);
    await anas.page.goto(`${url}reports`);
    await anas.page.getByText('Only moderators can see the reports.').waitFor();

    const { page, errors } = await openApp(browser, url, chief);
    await page.goto(`${url}settings`);
    await page.getByRole('link', { name: 'Open the reports' }).click();
    const card = cards(page).filter({ hasText: `Reported by ${ana.username}` });
    await card.getByText('You are an idiot').waitFor();
    await card.getByText('Harassment or bullying').waitFor();
    await card.getByText('This is not the first time').waitFor();
    await card.getByText(/as it was on this server/).waitFor();
    // Resolving a report suspends nobody: that is another button.
    const suspendedAt = async (): Promise<string | null> =>
      (await chief.ask('query ($id: ID!) { user(id: $id) { suspendedAt } }', { id: eve.id })).user.suspendedAt;
    await card.getByRole('button', { name: `Suspend ${eve.username}` }).click();
    await page
      .getByRole('dialog', { name: `Suspend ${eve.username}?` })
      .getByRole('button', { name: 'Suspend' })
      .click();
    await card.getByText(/^Suspended on/).waitFor();
    expect(await suspendedAt()).not.toBeNull();
    expect(await violations(page)).toEqual([]);
    if (process.env['SHOTS']) await page.screenshot({ path: `${process.env['SHOTS']}/suspended.png` });
    await card.getByRole('button', { name: `End the suspension of ${eve.username}` }).click();
    await card.getByRole('button', { name: `Suspend ${eve.username}` }).waitFor();
    expect(await suspendedAt()).toBeNull();
    await card.getByRole('button', { name: 'Mark as resolved' }).click();
    await card.waitFor({ state: 'detached' });
    await page.getByRole('radio', { name: 'Resolved' }).check();
    await card.getByText(new RegExp(`^Resolved by ${chief.username}`)).waitFor();
    expect(await card.getByRole('button', { name: 'Mark as resolved' }).count()).toBe(0);
    expect(errors).toEqual([]);
  });

  /** Gives the browser of a page the keys that a device in this process has made. */
  async function takeKeys(page: Page, userId: string, values: ReadonlyMap<string, unknown>): Promise<void> {
    const plain = (value: unknown): unknown => {
      if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('base64') };
      if (Array.isArray(value)) return value.map(plain);
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]));
    };
    await page.evaluate(
      async ([name, entries]) => {
        const read = (value: unknown): unknown => {
          if (Array.isArray(value)) return value.map(read);
          if (typeof value !== 'object' || value === null) return value;
          const { bytes } = value as { bytes?: string };
          if (typeof bytes === 'string') return Uint8Array.from(atob(bytes), (each) => each.charCodeAt(0));
          return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, read(each)]));
        };
        const opening = indexedDB.open(name, 1);
        opening.onupgradeneeded = () => opening.result.createObjectStore('values');
        await new Promise((resolve) => {
          opening.onsuccess = resolve;
        });
        const transaction = opening.result.transaction('values', 'readwrite');
        for (const [key, value] of entries) transaction.objectStore('values').put(read(value), key);
        await new Promise((resolve) => {
          transaction.oncomplete = resolve;
        });
        opening.result.close();
      },
      [`parley-e2ee:${userId}`, [...values].map(([key, value]) => [key, plain(value)] as const)] as const,
    );
  }

  /** A device of a user in this process. */
  async function device(person: Person) {
    const storage = memoryStorage();
    const execute = async (document: string, variables: Record<string, unknown>) => {
      const { data, errors } = await person.request(document, variables);
      if (errors?.[0]) throw Object.assign(new Error(errors[0].message), errors[0].extensions);
      return data;
    };
    const e2ee = await openE2ee({ storage, locks: memoryLocks(), execute });
    await e2ee.setUp({ name: 'Laptop' });
    return { e2ee, storage };
  }

  it('a report of an encrypted message states what it reveals, and moderators see that it was verified', async () => {
    const [ana, eve] = await registerAll(node.url, 'ana', 'eve');
    const direct = await openDirect(ana, eve);
    const [anas, eves] = [await device(ana), await device(eve)];
    await eves.e2ee.conversation(direct).enable();
    await eves.e2ee.conversation(direct).send({ text: 'Nobody will believe you' });
    const { page, errors } = await openApp(browser, url, ana, direct);
    const openMenu = async () => {
      // Not with the pointer: what is loaded below the messages moves them away from it.
      await page.locator('article[data-key]').last().press('Enter');
      await page.getByRole('menuitem', { name: 'Report message' }).click();
    };
    await openMenu();
    await dialogOf(page)
      .getByText(/Set up encryption in this browser/)
      .waitFor();
    await page.keyboard.press('Escape');

    await takeKeys(page, ana.id, await anas.storage.list(''));
    await page.reload();
    await page.locator('article[data-key]').last().waitFor();
    await openMenu();
    const dialog = dialogOf(page);
    await dialog.getByText('Nobody will believe you').waitFor();
    await dialog.getByText(/will see this one message and your name, but none of your other messages/).waitFor();
    await dialog.getByRole('radio', { name: 'Violence or threats' }).check();
    await dialog.getByRole('button', { name: 'Report' }).click();
    await page.getByText('The message was reported. Thank you.').waitFor();

    const chief = await moderator();
    expect((await chief.ask(REPORTS)).reports.nodes).toEqual([
      { reason: 'VIOLENCE', comment: null, target: { text: 'Nobody will believe you', proof: 'VERIFIED' } },
    ]);
    const theirs = await openApp(browser, url, chief);
    await theirs.page.goto(`${url}reports`);
    const card = cards(theirs.page).filter({ hasText: 'Nobody will believe you' });
    await card.getByText(/^Verified: this encrypted message is from the person above/).waitFor();
    expect([...errors, ...theirs.errors]).toEqual([]);
  });

  const languages = [
    ['en', 'light', 1280],
    ['de', 'dark', 768],
    ['ar', 'light', 390],
    ['ar', 'dark', 1280],
    ['en', 'contrast', 1280],
  ] as const;

  it.each(languages)('the screens are accessible: %s, %s, %i px', async (language, theme, width) => {
    const [ana, eve] = await registerAll(node.url, 'ana', 'eve');
    const [chief, direct] = [await moderator(), await openDirect(ana, eve)];
    const { id } = await send(eve, direct, 'first version');
    await edit(eve, id, `You are an idiot, and everybody thinks so, ${ana.username}`);
    await send(eve, direct, 'last');
    const input = { messageId: id, reason: 'HARASSMENT', comment: 'This happens every day.' };
    const options = { viewport: { width, height: 900 }, colorScheme: theme === 'contrast' ? 'light' : theme } as const;
    const locale = { language, theme };
    const reporting = await openApp(browser, url, ana, direct, options);
    const choose = (page: Page) =>
      page.evaluate(({ language, theme }) => {
        localStorage.setItem('parley.locale', language);
        localStorage.setItem('parley.theme', theme);
      }, locale);
    await choose(reporting.page);
    await reporting.page.reload();
    const row = reporting.page.locator('article[data-key]').last();
    await row.hover();
    await row.locator('[aria-haspopup=menu]').last().click();
    await reporting.page
      .getByRole('menuitem')
      .filter({ hasText: /Report|melden|الإبلاغ/ })
      .click();
    await reporting.page.getByRole('dialog').getByRole('radio').first().waitFor();
    expect(await violations(reporting.page)).toEqual([]);
    await reporting.page.getByRole('dialog').locator('button[type=submit]').click();
    await reporting.page.getByRole('alert').first().waitFor();
    expect(await violations(reporting.page)).toEqual([]);

    await must(ana, 'reportMessage', input);
    const { page } = await openApp(browser, url, chief, undefined, options);
    await choose(page);
    await page.goto(`${url}reports`);
    await cards(page).first().waitFor();
    expect(await violations(page)).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
    await page.getByRole('radio').last().check();
    await page.getByRole('main').getByRole('status').or(cards(page)).first().waitFor();
    expect(await violations(page)).toEqual([]);
  });
});
