import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { violations } from '../support/axe.js';
import { browserFound, type Visit } from '../support/browser.js';
import { eventually, type Person, registerAll } from '../support/client.js';
import { enable } from '../support/encryption.js';
import { atEnd } from '../support/ending.js';
import { openAnswered } from '../support/talk.js';
import { openApp, startApp } from '../support/web-app.js';
import {
  confirmWords,
  dialog,
  openEncryption,
  recover,
  setUp,
  shownWords,
  startAgain,
} from '../support/web-encryption.js';

const READY = 'You can read and write encrypted messages in this browser.';

describe.skipIf(!browserFound)('the encryption of an account in the web app', () => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  beforeAll(async () => {
    ({ browser, node, url } = await startApp());
  });

  /** A user whose first browser has set up encryption. */
  async function withKeys(): Promise<Visit & { ada: Person; key: string }> {
    const [ada] = await registerAll(node.url, 'ada');
    const visited = await openApp(browser, url, ada);
    return { ...visited, ada, key: await setUp(visited.page, url) };
  }

  /** The names of the devices that the server has registered. */
  const devicesOf = async (person: Person): Promise<string[]> =>
    (await person.ask('{ viewer { user { devices { name } } } }')).viewer.user.devices.map(
      ({ name }: { name: string }) => name,
    );

  /** How many entries the database with the keys has. */
  const storedKeys = (page: Page): Promise<number> =>
    page.evaluate(async () => {
      const names = (await indexedDB.databases()).flatMap(({ name }) => (name?.startsWith('parley-e2ee:') ? name : []));
      let count = 0;
      for (const name of names) {
        const database = await new Promise<IDBDatabase>((resolve, reject) => {
          const opening = indexedDB.open(name);
          opening.onsuccess = () => resolve(opening.result);
          opening.onerror = () => reject(opening.error);
        });
        count += await new Promise<number>((resolve) => {
          const counting = database.transaction('values').objectStore('values').count();
          counting.onsuccess = () => resolve(counting.result);
        });
        database.close();
      }
      return count;
    });

  it('is set up in three steps, also if the page is loaded again in the middle', async () => {
    const [ada] = await registerAll(node.url, 'ada');
    const { page, errors } = await openApp(browser, url, ada);
    await openEncryption(page, url);
    await page.getByRole('button', { name: 'Set up' }).click();
    await dialog(page, 'Set up encryption').getByRole('button', { name: 'Continue' }).click();
    const words = await shownWords(page);
    for (const word of words) expect(word).toMatch(/^[a-z]{3,8}$/);
    const shown = dialog(page, 'Your recovery key');
    await shown.getByText('Step 2 of 3').waitFor();
    await shown.getByRole('button', { name: 'I have saved it' }).click();
    await dialog(page, 'Check your recovery key').getByText('Step 3 of 3').waitFor();
    await page.reload();
    await page.getByRole('status').getByRole('button', { name: 'Save it now' }).click();
    expect(await shownWords(page)).toEqual(words);
    await dialog(page, 'Your recovery key').getByRole('button', { name: 'I have saved it' }).click();
    await confirmWords(
      page,
      words.map((word) => `${word}s`),
    );
    await dialog(page, 'Check your recovery key').locator('[aria-invalid]').nth(1).waitFor();
    await confirmWords(page, words);
    await dialog(page, 'Encryption is set up').getByRole('button', { name: 'Done' }).click();
    await page.getByText(READY).waitFor();
    await page.reload();
    await page.getByText(READY).waitFor();
    expect(await page.getByText('You have not saved your recovery key').count()).toBe(0);
    expect(errors).toEqual([]);
  });

  it('offers the recovery key as a file and as a copy', async () => {
    const [ada] = await registerAll(node.url, 'ada');
    const { page, errors } = await openApp(browser, url, ada, undefined, {
      permissions: ['clipboard-read', 'clipboard-write'],
    });
    await openEncryption(page, url);
    await page.getByRole('button', { name: 'Set up' }).click();
    await dialog(page, 'Set up encryption').getByRole('button', { name: 'Continue' }).click();
    const words = await shownWords(page);
    const shown = dialog(page, 'Your recovery key');
    await shown.getByRole('button', { name: 'Copy' }).click();
    await page.getByText('The recovery key was copied.').waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(words.join(' '));
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      shown.getByRole('button', { name: 'Download' }).click(),
    ]);
    const chunks: Buffer[] = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk as Buffer);
    const lines = Buffer.concat(chunks).toString().split('\n');
    expect(lines).toEqual(expect.arrayContaining(words.map((word, at) => `${at + 1}. ${word}`)));
    // Only the key is printed.
    await page.emulateMedia({ media: 'print' });
    const [item, warning] = [page.locator('dialog ol li').first(), page.getByText('Never give them')];
    const printed = [item, warning, page.getByText('Appearance')];
    expect(await Promise.all(printed.map((each) => each.isVisible()))).toEqual([true, false, false]);
    expect(errors).toEqual([]);
  });

  it('is recovered on another device, and names the word that is misspelled', async () => {
    const { ada, key, errors } = await withKeys();
    const phone = await openApp(browser, url, ada);
    await openEncryption(phone.page, url);
    await phone.page.getByRole('button', { name: 'Enter the recovery key' }).click();
    const form = dialog(phone.page, 'Enter your recovery key');
    const field = (at: number) => form.getByRole('combobox', { name: `Word ${at}`, exact: true });
    const words = key.split(' ');
    // Four letters are enough, and a space goes to the next word.
    await field(1).pressSequentially(`${words[0]?.slice(0, 4)} `);
    await expect.poll(() => field(1).inputValue()).toBe(words[0]);
    await field(2).pressSequentially('bananna ');
    await form.getByText('Word 2: “bananna” is not a word of any recovery key.').waitFor();
    expect(await field(2).getAttribute('aria-invalid')).toBe('true');
    await form.getByRole('button', { name: 'Use “banana”' }).click();
    await expect.poll(() => field(2).inputValue()).toBe('banana');
    await form.getByRole('button', { name: 'Recover' }).click();
    await form.getByText('Enter all 12 words.').waitFor();
    // A key that is written correctly, but not that of this account.
    await field(1).fill(`${'abandon '.repeat(11)}about`);
    await form.getByRole('button', { name: 'Recover' }).click();
    await form.getByText('This is not the current recovery key of your account.').waitFor();
    // The last word contains a checksum.
    await field(1).fill('abandon '.repeat(12));
    await form.getByRole('button', { name: 'Recover' }).click();
    await form.getByText('These words are not a recovery key.').waitFor();
    // As it is in the file.
    await field(5).fill(
      words
        .map((word, at) => `${at + 1}. ${word}`)
        .join('\n')
        .replaceAll('\n', ' '),
    );
    await form.getByRole('button', { name: 'Recover' }).click();
    await dialog(phone.page, 'Encryption is set up').getByRole('button', { name: 'Done' }).click();
    await phone.page.getByText(READY).waitFor();
    expect(await devicesOf(ada)).toHaveLength(2);
    expect([...errors, ...phone.errors]).toEqual([]);
  });

  it('starts again without the recovery key', async () => {
    const { ada, key } = await withKeys();
    const phone = await openApp(browser, url, ada);
    const other = await startAgain(phone.page, url);
    expect(other).not.toBe(key);
    const third = await openApp(browser, url, ada);
    await recover(third.page, url, other);
    expect([...phone.errors, ...third.errors]).toEqual([]);
  });

  it('gets another recovery key, and the former one does not work any more', async () => {
    const { page, ada, key, errors } = await withKeys();
    await page.getByRole('button', { name: 'New recovery key' }).click();
    await dialog(page, 'Make a new recovery key?').getByRole('button', { name: 'New recovery key' }).click();
    const words = await shownWords(page);
    await dialog(page, 'Your recovery key').getByRole('button', { name: 'I have saved it' }).click();
    await confirmWords(page, words);
    await dialog(page, 'Encryption is set up').getByRole('button', { name: 'Done' }).click();
    const phone = await openApp(browser, url, ada);
    await openEncryption(phone.page, url);
    await phone.page.getByRole('button', { name: 'Enter the recovery key' }).click();
    const form = dialog(phone.page, 'Enter your recovery key');
    await form.locator('input').first().fill(key);
    await form.getByRole('button', { name: 'Recover' }).click();
    await form.getByText('This is not the current recovery key of your account.').waitFor();
    await form.locator('input').first().fill(words.join(' '));
    await form.getByRole('button', { name: 'Recover' }).click();
    await phone.page.getByText(READY).waitFor();
    expect([...errors, ...phone.errors]).toEqual([]);
  });

  it('lists the devices, each of which can be renamed, and others removed', async () => {
    const { page, ada, key, errors } = await withKeys();
    const phone = await openApp(browser, url, ada);
    await recover(phone.page, url, key);
    const own = phone.page.getByRole('listitem').filter({ hasText: 'This device' });
    await own.getByRole('button', { name: /^Rename / }).click();
    const field = dialog(phone.page, 'Rename device').getByRole('textbox');
    await field.fill('Phone');
    await field.press('Enter');
    await phone.page.getByRole('listitem').filter({ hasText: 'Phone' }).getByText('This device').waitFor();
    // The package registers the device again at the next start, and the name remains.
    await phone.page.reload();
    await phone.page.getByRole('listitem').filter({ hasText: 'Phone' }).getByText('This device').waitFor();
    expect(await devicesOf(ada)).toContain('Phone');
    await page.reload();
    await page.getByRole('button', { name: 'Rename Phone' }).click();
    const other = dialog(page, 'Rename device').getByRole('textbox');
    await other.fill('Old phone');
    await other.press('Enter');
    await page.getByRole('button', { name: 'Rename Old phone' }).waitFor();
    // The renamed device registers itself again, and keeps the name.
    await phone.page.reload();
    await phone.page.getByRole('listitem').filter({ hasText: 'Old phone' }).getByText('This device').waitFor();
    await phone.page.getByText('You can read and write encrypted messages in this browser.').waitFor();
    expect(await devicesOf(ada)).toContain('Old phone');
    if (process.env['SHOTS']) await page.screenshot({ path: `${process.env['SHOTS']}/devices.png` });
    await page.getByRole('button', { name: 'Remove Old phone' }).click();
    await dialog(page, 'Remove Old phone?').getByRole('button', { name: 'Remove' }).click();
    await page.getByRole('button', { name: 'Remove Old phone' }).waitFor({ state: 'detached' });
    expect(await devicesOf(ada)).toHaveLength(1);
    await phone.page.reload();
    await phone.page.getByRole('button', { name: 'Enter the recovery key' }).waitFor();
    expect([...errors, ...phone.errors]).toEqual([]);
  });

  it('replaces the keys after a theft, and another device continues with the new recovery key', async () => {
    const { page, ada, key, errors } = await withKeys();
    const phone = await openApp(browser, url, ada);
    await recover(phone.page, url, key);
    await page.reload();
    await page.getByRole('button', { name: 'Was a device stolen?' }).click();
    await dialog(page, 'Was a device stolen?').getByRole('button', { name: 'Replace the keys' }).click();
    const words = await shownWords(page);
    expect(words.join(' ')).not.toBe(key);
    await dialog(page, 'Your recovery key').getByRole('button', { name: 'I have saved it' }).click();
    await confirmWords(page, words);
    await dialog(page, 'Encryption is set up').getByRole('button', { name: 'Done' }).click();
    await phone.page.getByRole('button', { name: /^Enter a recovery key/ }).click();
    const form = dialog(phone.page, 'Enter your recovery key');
    await form.locator('input').first().fill(key);
    await form.getByRole('button', { name: 'Recover' }).click();
    await form.getByText('This is not the current recovery key of your account.').waitFor();
    await form.locator('input').first().fill(words.join(' '));
    await form.getByRole('button', { name: 'Recover' }).click();
    await dialog(phone.page, 'Encryption is set up').waitFor();
    expect([...errors, ...phone.errors]).toEqual([]);
  });

  it('notices that the keys of the account were replaced on another device', async () => {
    const { page, ada, errors } = await withKeys();
    const phone = await openApp(browser, url, ada);
    const key = await startAgain(phone.page, url);
    await page.reload();
    const notice = page.getByRole('status').filter({ hasText: 'Encryption was set up again for your account.' });
    await notice.getByRole('button', { name: 'Review' }).click();
    await dialog(page, 'Was it you?').getByRole('button', { name: 'Enter the new recovery key' }).click();
    const form = dialog(page, 'Enter your recovery key');
    await form.locator('input').first().fill(key);
    await form.getByRole('button', { name: 'Recover' }).click();
    await dialog(page, 'Encryption is set up').getByRole('button', { name: 'Done' }).click();
    await page.getByText(READY).waitFor();
    expect([...errors, ...phone.errors]).toEqual([]);
  });

  it('asks about the keys also if the user signs out before they have been read', async () => {
    const [ada] = await registerAll(node.url, 'ada');
    // A service worker would answer the requests itself.
    const { page, errors } = await openApp(browser, url, ada, undefined, { serviceWorkers: 'block' });
    await setUp(page, url);
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await page.route(/\/assets\/engine-/, async (route) => {
      await held;
      await route.continue();
    });
    await page.goto(`${url}settings`);
    await page.getByRole('button', { name: 'Sign out', exact: true }).first().click();
    release();
    await dialog(page, 'Sign out?').getByRole('checkbox').waitFor();
    expect(errors).toEqual([]);
  });

  it('keeps the keys after signing out, unless the user wants them deleted', async () => {
    const { page, ada, errors } = await withKeys();
    const other = await page.context().newPage();
    await other.goto(`${url}settings`);
    await other.getByText(READY).waitFor();
    const signOut = async (erase: boolean) => {
      await page.getByRole('button', { name: 'Sign out', exact: true }).first().click();
      const asked = dialog(page, 'Sign out?');
      if (erase) await asked.getByRole('checkbox').check();
      await asked.getByRole('button', { name: 'Sign out' }).click();
      await page.waitForURL(`${url}sign-in`);
    };
    const signIn = async () => {
      await page.locator('[name=usernameOrEmail]').fill(ada.username);
      await page.locator('[name=password]').fill(ada.password);
      await page.keyboard.press('Enter');
      await page.waitForURL(url);
      await openEncryption(page, url);
    };
    await signOut(false);
    await other.waitForURL(`${url}sign-in`);
    await eventually('the device has ended with its session', async () => (await devicesOf(ada)).length === 0);
    expect(await storedKeys(page)).toBeGreaterThan(2);
    await signIn();
    await page.getByText(READY).waitFor();
    expect(await devicesOf(ada)).toHaveLength(1);
    await signOut(true);
    expect(await storedKeys(page)).toBe(0);
    await signIn();
    await page.getByRole('button', { name: 'Enter the recovery key' }).waitFor();
    expect(errors).toEqual([]);
  });

  it('belongs to one user of a browser, and not to the next one', async () => {
    const { page, errors } = await withKeys();
    const [bob] = await registerAll(node.url, 'bob');
    await page.getByRole('button', { name: 'Sign out', exact: true }).first().click();
    await dialog(page, 'Sign out?').getByRole('button', { name: 'Sign out' }).click();
    await page.waitForURL(`${url}sign-in`);
    await page.locator('[name=usernameOrEmail]').fill(bob.username);
    await page.locator('[name=password]').fill(bob.password);
    await page.keyboard.press('Enter');
    await page.waitForURL(url);
    const key = await setUp(page, url);
    expect(key.split(' ')).toHaveLength(12);
    expect(await devicesOf(bob)).toHaveLength(1);
    expect(errors).toEqual([]);
  });

  it('is the same in two tabs that set it up at the same time', async () => {
    const [ada] = await registerAll(node.url, 'ada');
    const { page, errors } = await openApp(browser, url, ada);
    const other = await page.context().newPage();
    for (const tab of [page, other]) {
      await openEncryption(tab, url);
      await tab.getByRole('button', { name: 'Set up' }).click();
    }
    // The first one is not done before the second one has begun.
    let release = () => {};
    const both = new Promise<void>((resolve) => {
      release = resolve;
    });
    await page.context().route('**/graphql', async (route) => {
      if (route.request().postData()?.includes('query E2eeAccount')) await both;
      await route.continue();
    });
    for (const tab of [page, other]) {
      await dialog(tab, 'Set up encryption').getByRole('button', { name: 'Continue' }).click();
    }
    release();
    const [words, others] = await Promise.all([shownWords(page), shownWords(other)]);
    expect(others).toEqual(words);
    await dialog(page, 'Your recovery key').getByRole('button', { name: 'I have saved it' }).click();
    await confirmWords(page, words);
    await dialog(page, 'Encryption is set up').waitFor();
    await dialog(other, 'Encryption is set up').waitFor();
    expect(await devicesOf(ada)).toHaveLength(1);
    expect(errors).toEqual([]);
  });
  /** Two users with keys and an encrypted conversation, each in their conversation with the other. */
  async function twoWithKeys() {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openAnswered(ada, bob);
    await enable(ada, id);
    const [adas, bobs] = [await openApp(browser, url, ada), await openApp(browser, url, bob)];
    await setUp(adas.page, url);
    await setUp(bobs.page, url);
    return { ada, bob, adas, bobs, id };
  }

  /** Opens the comparison of security codes in a direct conversation, and returns the dialog. */
  async function compare(page: Page, id: string) {
    await page.goto(`${url}c/${encodeURIComponent(id)}`);
    await page.locator('h1 button').click();
    await page.getByRole('complementary').getByRole('button', { name: 'Compare security codes' }).click();
    const shown = page.getByRole('dialog', { name: /security code/i });
    await shown.locator('[translate=no]').waitFor();
    return shown;
  }

  const codeIn = async (shown: Locator) =>
    ((await shown.locator('[translate=no]').textContent()) ?? '').replace(/\s+/g, ' ').trim();

  it('is verified by users who compare the same code, until they withdraw it', async () => {
    const { adas, bobs, id } = await twoWithKeys();
    const hers = await compare(adas.page, id);
    const his = await compare(bobs.page, id);
    expect(await codeIn(hers)).toMatch(/^(?:\d{5} ){11}\d{5}$/);
    expect(await codeIn(his)).toBe(await codeIn(hers));
    await hers.getByRole('button', { name: 'They do not match' }).click();
    await dialog(adas.page, 'The numbers do not match').getByRole('button', { name: 'Back' }).click();
    await hers.getByRole('button', { name: 'They match' }).click();
    await hers.getByText(/^You have verified/).waitFor();
    await adas.page.keyboard.press('Escape');
    const badge = adas.page.getByRole('complementary').getByRole('img', { name: 'Verified' });
    await badge.waitFor();
    expect(await bobs.page.getByRole('complementary').getByRole('img', { name: 'Verified' }).count()).toBe(0);
    // It is stored, and withdrawn again.
    const again = await compare(adas.page, id);
    await again.getByRole('button', { name: 'Withdraw the verification' }).click();
    await again.getByRole('button', { name: 'They match' }).waitFor();
    await adas.page.keyboard.press('Escape');
    await badge.waitFor({ state: 'detached' });
    expect([...adas.errors, ...bobs.errors]).toEqual([]);
  });

  it('names a user whose identity has changed, until the new code was compared', async () => {
    const { adas, bob, bobs, id } = await twoWithKeys();
    const before = await compare(adas.page, id);
    const former = await codeIn(before);
    await before.getByRole('button', { name: 'They match' }).click();
    await before.getByText(/^You have verified/).waitFor();
    await bobs.page.context().close();
    const phone = await openApp(browser, url, bob);
    await startAgain(phone.page, url);
    const his = await codeIn(await compare(phone.page, id));
    expect(his).not.toBe(former);
    // Opening the comparison processes what has happened in the group.
    await (await compare(adas.page, id)).getByText(/^Most likely,/).waitFor();
    await adas.page.keyboard.press('Escape');
    const notice = adas.page
      .getByRole('status')
      .filter({ hasText: `The security code of ${bob.username} has changed.` });
    await notice.waitFor();
    expect(await adas.page.getByRole('img', { name: 'Verified' }).count()).toBe(0);
    await adas.page.reload();
    await notice.getByRole('button', { name: 'Review' }).click();
    const changed = dialog(adas.page, 'The security code has changed');
    await changed.locator('[translate=no]').waitFor();
    expect(await codeIn(changed)).toBe(his);
    await changed.getByRole('button', { name: 'They match' }).click();
    await adas.page
      .getByRole('dialog')
      .getByText(/^You have verified/)
      .waitFor();
    await adas.page.keyboard.press('Escape');
    await adas.page.reload();
    await adas.page.locator('h1 button').waitFor();
    expect(await notice.count()).toBe(0);
    expect([...adas.errors, ...phone.errors]).toEqual([]);
  });

  it.each(['light', 'dark', 'contrast'] as const)(
    'violates no rule of axe on any screen: %s',
    { timeout: 240_000 },
    async (theme) => {
      const found: Record<string, string[]> = {};
      const check = async (page: Page, screen: string) => {
        for (const width of [390, 1280]) {
          await page.setViewportSize({ width, height: 800 });
          const rules = await violations(page);
          if (rules.length > 0) found[`${screen}, ${width} px`] = rules;
        }
      };
      const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
      const id = await openAnswered(ada, bob);
      await enable(ada, id);
      const bobs = await openApp(browser, url, bob);
      await setUp(bobs.page, url);
      const options = {
        colorScheme: theme === 'contrast' ? 'light' : theme,
        reducedMotion: 'reduce',
        prepare: (context: BrowserContext) => context.addInitScript(`localStorage['parley.theme'] = '${theme}'`),
      } as const;
      const { page } = await openApp(browser, url, ada, undefined, options);
      await openEncryption(page, url);
      await page.getByRole('button', { name: 'Set up' }).click();
      await check(page, 'explanation');
      await dialog(page, 'Set up encryption').getByRole('button', { name: 'Continue' }).click();
      const words = await shownWords(page);
      await check(page, 'recovery key');
      await page.keyboard.press('Escape');
      await page.getByRole('status').getByRole('button', { name: 'Save it now' }).waitFor();
      await check(page, 'notice');
      await page.getByRole('status').getByRole('button', { name: 'Save it now' }).click();
      await dialog(page, 'Your recovery key').getByRole('button', { name: 'I have saved it' }).click();
      await dialog(page, 'Check your recovery key').getByRole('button', { name: 'Confirm' }).click();
      await check(page, 'wrong words');
      await confirmWords(page, words);
      await dialog(page, 'Encryption is set up').waitFor();
      await check(page, 'ready');
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'Rename' }).waitFor();
      for (const name of ['New recovery key', 'Rename', 'Was a device stolen?', /^Enter a recovery key/]) {
        await page.getByRole('button', { name }).first().click();
        await page.getByRole('dialog').waitFor();
        await check(page, String(name));
        await page.keyboard.press('Escape');
        await page.getByRole('dialog').waitFor({ state: 'detached' });
      }
      await page.getByRole('button', { name: 'Sign out', exact: true }).first().click();
      await dialog(page, 'Sign out?').waitFor();
      await check(page, 'signing out');
      await page.setViewportSize({ width: 1280, height: 800 });
      const shown = await compare(page, id);
      await check(page, 'security code');
      await shown.getByRole('button', { name: 'They do not match' }).click();
      await check(page, 'another security code');
      const phone = await openApp(browser, url, ada, undefined, options);
      await openEncryption(phone.page, url);
      await phone.page.getByRole('button', { name: 'Enter the recovery key' }).click();
      await dialog(phone.page, 'Enter your recovery key').locator('input').first().fill('abandon bananna');
      await phone.page.getByRole('button', { name: 'Use “banana”' }).waitFor();
      await check(phone.page, 'misspelled word');
      await dialog(phone.page, 'Enter your recovery key').getByRole('button', { name: 'I have lost it' }).click();
      await dialog(phone.page, 'Start without the recovery key').waitFor();
      await check(phone.page, 'lost key');
      expect(found).toEqual({});
    },
  );

  it('is set up with the keyboard only', async () => {
    const [ada] = await registerAll(node.url, 'ada');
    const { page, errors } = await openApp(browser, url, ada);
    await openEncryption(page, url);
    await page.getByRole('button', { name: 'Set up' }).press('Enter');
    // The button that continues has the focus.
    await dialog(page, 'Set up encryption').waitFor();
    await page.keyboard.press('Enter');
    const words = await shownWords(page);
    await page.getByRole('button', { name: 'I have saved it' }).waitFor();
    /** Moves the focus to a button of the dialog. */
    const tabTo = async (name: string) => {
      for (let step = 0; step < 12; step += 1) {
        await page.keyboard.press('Tab');
        if ((await page.evaluate(() => document.activeElement?.textContent)) === name) return;
      }
      throw new Error(`${name} cannot be reached with Tab`);
    };
    await tabTo('I have saved it');
    await page.keyboard.press('Enter');
    await dialog(page, 'Check your recovery key').waitFor();
    for (const _ of [1, 2]) {
      await page.keyboard.press('Tab');
      const name = await page.evaluate(() => document.activeElement?.getAttribute('name'));
      await page.keyboard.type(words[Number(name?.replace('word-', '')) - 1] ?? '');
    }
    await page.keyboard.press('Enter');
    await dialog(page, 'Encryption is set up').waitFor();
    await tabTo('Done');
    await page.keyboard.press('Enter');
    await page.getByText(READY).waitFor();
    expect(errors).toEqual([]);
  });
});

it.skipIf(!browserFound)('is set up on a server that accepts only persisted documents', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'parley_documents_'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'documents.json');
  await writeFile(path, '{}');
  const { browser, node, url } = await startApp({ PERSISTED_DOCUMENTS: path, PERSISTED_DOCUMENTS_ONLY: 'on' });
  const [ada] = await registerAll(node.url, 'ada');
  const { page, errors } = await openApp(browser, url, ada);
  const key = await setUp(page, url);
  expect(key.split(' ')).toHaveLength(12);
  expect(errors).toEqual([]);
});
