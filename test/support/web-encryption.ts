import type { Page } from 'playwright-core';
import { type E2ee, memoryLocks, memoryStorage, openE2ee } from '../../packages/e2ee/src/index.js';
import type { Person } from './client.js';
import { openAlone } from './tabs.js';

/** Opens the settings, at the section about encryption. */
export async function openEncryption(page: Page, url: string): Promise<void> {
  await page.goto(`${url}settings`);
  await page.getByRole('heading', { name: 'Encryption', exact: true }).waitFor();
}

/** The dialog with a title. */
export const dialog = (page: Page, name: string | RegExp) => page.getByRole('dialog', { name });

/** The words of the recovery key that is shown. */
export async function shownWords(page: Page): Promise<string[]> {
  const items = dialog(page, 'Your recovery key').getByRole('listitem');
  await items.nth(11).waitFor();
  return (await items.allTextContents()).map((text) => text.replace(/^\d+/, ''));
}

/** Enters the words that are asked for. */
export async function confirmWords(page: Page, words: readonly string[]): Promise<void> {
  const check = dialog(page, 'Check your recovery key');
  for (const field of await check.getByRole('textbox').all()) {
    const name = (await field.getAttribute('name')) ?? '';
    await field.fill(words[Number(name.replace('word-', '')) - 1] ?? '');
  }
  await check.getByRole('button', { name: 'Confirm' }).click();
}

/** Confirms the recovery key that is shown, and returns it. */
async function confirmShown(page: Page): Promise<string> {
  const words = await shownWords(page);
  await dialog(page, 'Your recovery key').getByRole('button', { name: 'I have saved it' }).click();
  await confirmWords(page, words);
  await dialog(page, 'Encryption is set up').getByRole('button', { name: 'Done' }).click();
  return words.join(' ');
}

/** Sets up encryption, and returns the recovery key. */
export async function setUp(page: Page, url: string): Promise<string> {
  await openEncryption(page, url);
  await page.getByRole('button', { name: 'Set up' }).click();
  await dialog(page, 'Set up encryption').getByRole('button', { name: 'Continue' }).click();
  return confirmShown(page);
}

/** Starts again in a browser without keys, as a user who has lost the recovery key, and returns the new one. */
export async function startAgain(page: Page, url: string): Promise<string> {
  await openEncryption(page, url);
  await page.getByRole('button', { name: 'Enter the recovery key' }).click();
  await dialog(page, 'Enter your recovery key').getByRole('button', { name: 'I have lost it' }).click();
  const lost = dialog(page, 'Start without the recovery key');
  await lost.getByText('You can no longer read any encrypted message that was sent before.').waitFor();
  await lost.getByRole('button', { name: 'Start again' }).click();
  return confirmShown(page);
}

/** Enters the recovery key in a browser that has no keys. */
export async function recover(page: Page, url: string, key: string): Promise<void> {
  await openEncryption(page, url);
  await page.getByRole('button', { name: 'Enter the recovery key' }).click();
  await dialog(page, 'Enter your recovery key').getByRole('combobox', { name: 'Word 1', exact: true }).fill(key);
  await dialog(page, 'Enter your recovery key').getByRole('button', { name: 'Recover' }).click();
  await dialog(page, 'Encryption is set up').getByRole('button', { name: 'Done' }).click();
}

/** A device of a user outside of browsers, which sets up encryption for the account. */
export async function deviceOutside(apiUrl: string, person: Person): Promise<E2ee> {
  const parley = openAlone({ url: apiUrl });
  await parley.session.useTokens({ accessToken: person.token, refreshToken: person.refreshToken });
  const e2ee = await openE2ee({
    storage: memoryStorage(),
    locks: memoryLocks(),
    execute: (document, variables) => parley.request(document, variables),
  });
  await e2ee.setUp({ name: 'Tablet' });
  return e2ee;
}
