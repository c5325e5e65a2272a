import type { Browser, Page } from 'playwright-core';
import type { RunningNode } from '../../src/server/start.js';
import { startBrowser, type Visit, type VisitOptions, visit } from './browser.js';
import type { Person } from './client.js';
import { makePlace, modes, type Place } from './place.js';

/**
 * Starts a browser and a node that serves the app. One mode is enough for most tests, because it makes no difference
 * for the app.
 */
export async function startApp(
  settings?: Parameters<Place['start']>[0],
  mode = modes.at(-1) ?? 'embedded',
): Promise<{ browser: Browser; node: RunningNode; url: string }> {
  const [browser, place] = await Promise.all([startBrowser(), makePlace(mode, { web: true })]);
  const node = await place.start(settings);
  return { browser, node, url: node.webUrl ?? '' };
}

/** Opens the app as a user, at a conversation or at the list. */
export async function openApp(
  browser: Browser,
  url: string,
  person: Person,
  conversationId?: string,
  options: VisitOptions = {},
): Promise<Visit> {
  const visited = await visit(browser, `${url}sign-in`, options);
  const { page } = visited;
  await page.locator('[name=usernameOrEmail]').fill(person.username);
  await page.locator('[name=password]').fill(person.password);
  await page.keyboard.press('Enter');
  await page.waitForURL(url);
  if (conversationId !== undefined) {
    // The session is stored by then.
    await page.locator('nav li').first().waitFor();
    await page.goto(`${url}c/${encodeURIComponent(conversationId)}`);
    await page.locator('[data-key]').first().waitFor();
  }
  return visited;
}

/** The field in which messages are written. */
export const composer = (page: Page) => page.getByRole('textbox', { name: /^Message / });

/** The messages that are displayed. */
export const rows = (page: Page) => page.locator('article[data-key]');

/** The message with a text, which consists of one paragraph. */
export const rowWith = (page: Page, text: string) =>
  rows(page).filter({ has: page.locator('[data-text]').getByText(text, { exact: true }) });

/** Writes a message and sends it with Enter. */
export async function write(page: Page, text: string): Promise<void> {
  await composer(page).fill(text);
  await composer(page).press('Enter');
}

/** Chooses an action from the menu of a message. */
export async function act(page: Page, text: string, action: string): Promise<void> {
  await rowWith(page, text).hover();
  await rowWith(page, text).getByRole('button', { name: 'More actions' }).click();
  await page.getByRole('menuitem', { name: action, exact: true }).click();
}

/** Whether a text is in what the app has stored in the browser. */
export const isStored = (page: Page, text: string): Promise<boolean> =>
  page.evaluate(async (searched) => {
    const waitFor = <Result>(request: IDBRequest<Result>) =>
      new Promise<Result>((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const found: unknown[] = [{ ...localStorage }, { ...sessionStorage }];
    for (const { name = '' } of await indexedDB.databases()) {
      const database = await waitFor(indexedDB.open(name));
      const names = [...database.objectStoreNames];
      const stores = names.map((store) => database.transaction(store).objectStore(store).getAll());
      found.push(...(await Promise.all(stores.map(waitFor))));
      database.close();
    }
    return JSON.stringify(found).includes(searched);
  }, text);
