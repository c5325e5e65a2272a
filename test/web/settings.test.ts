import type { Browser, BrowserContext } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { browserFound, expectFieldError } from '../support/browser.js';
import { registerAll } from '../support/client.js';
import { within } from '../support/fleet.js';
import { openAnswered, send } from '../support/talk.js';
import { composer, openApp, rows, rowWith, startApp } from '../support/web-app.js';

describe.skipIf(!browserFound)('settings and shortcuts in the web app', () => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  beforeAll(async () => {
    ({ browser, node, url } = await startApp());
  });

  it('changes the profile, the availability and the password', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    await openAnswered(ada, bob);
    // As on a server without files, where the picture is a web address.
    const prepare = (context: BrowserContext) =>
      context.route('**/graphql', async (route) => {
        if (!route.request().postData()?.includes('query ServerInfo')) return route.continue();
        const response = await route.fetch();
        const body = (await response.text()).replace('"media",', '');
        return route.fulfill({ response, body });
      });
    const { page, errors } = await openApp(browser, url, ada, undefined, { prepare });
    const bobs = await openApp(browser, url, bob);
    await page.getByRole('link', { name: 'Settings' }).click();
    await page.getByRole('button', { name: 'Edit profile' }).click();
    await page.fill('[name=avatarUrl]', 'nowhere');
    await page.getByRole('button', { name: 'Save' }).click();
    await expectFieldError(page, 'avatarUrl', /./);
    await page.fill('[name=avatarUrl]', '');
    await page.fill('[name=displayName]', 'Ada Lovelace');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { name: 'Ada Lovelace' }).waitFor();
    await bobs.page.getByRole('link', { name: /Ada Lovelace/ }).waitFor();
    await page.getByRole('radio', { name: 'Busy' }).check({ force: true });
    await bobs.page.getByRole('link', { name: /busy.*Ada Lovelace/ }).waitFor();
    await page.fill('[name=currentPassword]', 'wrong');
    await page.fill('[name=newPassword]', 'another password');
    await page.getByRole('button', { name: 'Change password' }).click();
    await expectFieldError(page, 'currentPassword', /./);
    await page.fill('[name=currentPassword]', ada.password);
    await page.getByRole('button', { name: 'Change password' }).click();
    await page.getByText('Your password was changed.').waitFor();
    await page.reload();
    await page.getByRole('heading', { name: 'Ada Lovelace' }).waitFor();
    expect(errors).toEqual([]);
  });

  it('keeps the lines of a description, and scrolls to what has the focus', async () => {
    const [ada] = await registerAll(node.url, 'ada');
    const bio = 'Mathematics\nEngines';
    await ada.ask('mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { viewer { id } } }', {
      input: { bio },
    });
    const { page, errors } = await openApp(browser, url, ada, undefined, { viewport: { width: 390, height: 600 } });
    await page.goto(`${url}settings`);
    await page.getByRole('button', { name: 'Edit profile' }).click();
    const field = page.getByRole('textbox', { name: 'About you' });
    expect(await field.inputValue()).toBe(bio);
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect((await ada.ask('{ viewer { user { bio } } }')).viewer.user.bio).toBe(bio);
    const theme = page.getByRole('radio', { name: 'System' });
    await theme.focus();
    const { top, bottom, scrolled } = await theme.evaluate((element) => ({
      ...element.closest('label')?.getBoundingClientRect().toJSON(),
      scrolled: [document.documentElement, document.body].map(({ scrollTop }) => scrollTop),
    }));
    expect(top).toBeGreaterThanOrEqual(0);
    expect(bottom).toBeLessThanOrEqual(600);
    // The page scrolls, not the window.
    expect(scrolled).toEqual([0, 0]);
    expect(errors).toEqual([]);
  });

  it('lists the devices, and signs out another one without a reload', async () => {
    const [ada] = await registerAll(node.url, 'ada');
    const desk = await openApp(browser, url, ada);
    const phone = await openApp(browser, url, ada);
    await phone.page.getByText('No conversations yet', { exact: true }).waitFor();
    await desk.page.getByRole('link', { name: 'Settings' }).click();
    await desk.page.locator('em').getByText('This device').waitFor();
    // One session belongs to the test itself, and has no name. The other one is that of the phone.
    await desk.page.getByRole('button', { name: 'Sign out Unnamed device' }).click();
    await desk.page.getByRole('button', { name: 'Sign out Unnamed device' }).waitFor({ state: 'detached' });
    await desk.page.getByRole('button', { name: /^Sign out .+/ }).click();
    await within(2_000, 'the phone is signed out', () => phone.page.url() === `${url}sign-in`);
    expect(desk.errors).toEqual([]);
  });

  it('goes to conversations and people with Ctrl+K, and lists the shortcuts with ?', async () => {
    const [ada, bob, eve] = await registerAll(node.url, 'ada', 'bob', 'eve');
    const id = await openAnswered(ada, bob);
    await send(bob, id, 'news');
    const { page, errors } = await openApp(browser, url, ada);
    await page.locator('nav li').first().waitFor();
    await page.keyboard.press('Control+k');
    const field = page.getByRole('combobox');
    await field.fill(bob.username);
    await page.getByRole('option', { name: new RegExp(bob.username) }).waitFor();
    await field.press('Enter');
    await rowWith(page, 'news').waitFor();
    await page.keyboard.press('Control+k');
    await field.fill(`@${eve.username}`);
    await page.getByRole('option', { name: new RegExp(eve.username) }).waitFor();
    await field.press('Enter');
    await page.getByRole('heading', { name: eve.username }).waitFor();
    expect(await rows(page).count()).toBe(0);
    await composer(page).fill('?');
    expect(await page.getByRole('dialog').count()).toBe(0);
    await composer(page).fill('');
    await page.getByRole('log').focus();
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.goto(`${url}settings`);
    await page.getByRole('checkbox', { name: /Letters/ }).uncheck();
    await page.getByRole('link', { name: 'Back' }).click();
    await page.locator('nav li').first().waitFor();
    await page.keyboard.press('?');
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox').waitFor();
    expect(await page.getByRole('dialog').count()).toBe(1);
    expect(errors).toEqual([]);
  });
});
