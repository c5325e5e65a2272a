import type { Browser } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { browserFound, expectFieldError, startBrowser, visit } from '../support/browser.js';
import { register } from '../support/client.js';
import { mailInFolder, outboxOf, tokenOf } from '../support/mail.js';
import { makePlace, modes, type Place } from '../support/place.js';

// One mode is enough: the app sees no difference between them.
const mode = modes.at(-1) ?? 'embedded';

describe.skipIf(!browserFound)('accounts in the web app', () => {
  let browser: Browser;
  let place: Place;
  let node: RunningNode;
  let url: string;
  beforeAll(async () => {
    [browser, place] = await Promise.all([startBrowser(), makePlace(mode, { web: true })]);
    node = await place.start();
    url = node.webUrl ?? '';
  });

  it('signs up, marks every wrong field, and stays signed in after a reload', async () => {
    const { page, errors } = await visit(browser, `${url}sign-up`);
    const submit = page.getByRole('button', { name: 'Create account' });
    await submit.click();
    await expectFieldError(page, 'username', /Fill in/);
    await page.fill('[name=username]', 'x');
    await page.fill('[name=email]', 'nowhere');
    await page.fill('[name=password]', 'short');
    await submit.click();
    await expectFieldError(page, 'username', /3 to 32/);
    await expectFieldError(page, 'email', /not an email/);
    await expectFieldError(page, 'password', /8 to 72/);
    expect(await page.evaluate(() => document.activeElement?.getAttribute('name'))).toBe('username');
    const taken = await register(node.url);
    await page.fill('[name=username]', taken.username);
    await page.fill('[name=email]', 'somebody_new@example.com');
    await page.fill('[name=password]', 'correct horse');
    await page.keyboard.press('Enter');
    await expectFieldError(page, 'username', /taken/);
    await page.fill('[name=username]', 'somebody_new');
    await submit.click();
    // The session is stored by the time that the list has been fetched.
    await page.getByText('No conversations yet', { exact: true }).waitFor();
    await page.reload();
    await page.getByText('No conversations yet', { exact: true }).waitFor();
    await page.goto(`${url}settings`);
    await page.getByText('@somebody_new').waitFor();
    expect(errors).toEqual([]);
  });

  it('signs in and out, and does not reveal which accounts exist', async () => {
    const person = await register(node.url);
    const { page, errors } = await visit(browser, `${url}c/anything`);
    await page.waitForURL(`${url}sign-in`);
    for (const name of [person.username, 'nobody']) {
      await page.fill('[name=usernameOrEmail]', name);
      await page.fill('[name=password]', 'wrong password');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('alert').getByText('The username, email or password is incorrect.').waitFor();
      await page.getByRole('button', { name: 'Show password' }).click();
      expect(await page.getAttribute('[name=password]', 'type')).toBe('text');
      await page.getByRole('button', { name: 'Hide password' }).click();
    }
    await page.fill('[name=usernameOrEmail]', person.email.toUpperCase());
    await page.fill('[name=password]', person.password);
    await page.keyboard.press('Enter');
    await page.waitForURL(url);
    await page.goto(`${url}settings`);
    await page.getByRole('button', { name: 'Sign out', exact: true }).click();
    await page.waitForURL(`${url}sign-in`);
    await page.goto(`${url}settings`);
    await page.waitForURL(`${url}sign-in`);
    expect(errors).toEqual([]);
  });

  it('sets a new password with the code of an email, typed or in a link that leaves the address bar', async () => {
    const person = await register(node.url);
    const { page, errors } = await visit(browser, `${url}sign-in`);
    await page.getByRole('link', { name: 'Forgot your password?' }).click();
    await page.fill('[name=email]', person.email);
    await page.getByRole('button', { name: 'Send the link' }).click();
    await page.getByText(`If ${person.email} belongs to an account`).waitFor();
    const token = tokenOf(await mailInFolder(outboxOf(place), person.email));

    await page.goto(`${url}reset#token=${token}x`);
    await page.waitForURL(`${url}reset`);
    expect(await page.evaluate(() => history.length)).toBeLessThan(6);
    await page.fill('[name=newPassword]', 'a new password');
    await page.getByRole('button', { name: 'Set password' }).click();
    await page.getByRole('alert').getByText('This code is invalid').waitFor();

    await page.goto(`${url}recover`);
    await page.goto(`${url}reset`);
    await page.fill('[name=token]', 'wrong');
    await page.fill('[name=newPassword]', 'a new password');
    await page.keyboard.press('Enter');
    await expectFieldError(page, 'token', /is invalid/);
    await page.fill('[name=token]', ` ${token} `);
    await page.keyboard.press('Enter');
    await page.waitForURL(url);
    expect(errors).toEqual([]);
  });

  it('hides the registration if it is disabled', async () => {
    const closed = await (await makePlace(mode, { web: true })).start({ REGISTRATION: 'off' });
    const { page } = await visit(browser, `${closed.webUrl}sign-up`);
    await page.getByText('This server does not accept new accounts.').waitFor();
    expect(await page.locator('form').count()).toBe(0);
    await page.getByRole('link', { name: 'Sign in' }).click();
    await page.getByRole('button', { name: 'Sign in' }).waitFor();
    expect(await page.getByRole('link', { name: 'Create account' }).count()).toBe(0);
    await page.goto(`${url}sign-in`);
    await page.getByRole('link', { name: 'Create account' }).waitFor();
  });

  it('counts down until another attempt is possible', async () => {
    const strict = await (await makePlace(mode, { web: true })).start({
      RATE_LIMITS: 'on',
      RATE_SIGN_IN_PER_ADDRESS: '1/3s',
    });
    const person = await register(strict.url);
    const { page } = await visit(browser, `${strict.webUrl}sign-in`);
    const submit = page.getByRole('button', { name: 'Sign in' });
    await page.fill('[name=usernameOrEmail]', person.username);
    const attempt = async (password: string) => {
      await page.fill('[name=password]', password);
      await submit.click();
    };
    await attempt('wrong password');
    await page.getByText('incorrect').waitFor();
    await attempt('wrong password');
    await page.getByText(/Wait \d s/).waitFor();
    expect(await submit.isDisabled()).toBe(true);
    await page.getByText(/Wait 1 s/).waitFor();
    await page.getByText(/Wait/).waitFor({ state: 'detached' });
    await attempt(person.password);
    await page.waitForURL(strict.webUrl ?? '');
  });

  it('is in the language of the browser, mirrored where it is written from right to left', async () => {
    for (const [locale, dir, title] of [
      ['de-AT', 'ltr', 'Anmelden'],
      ['ar-EG', 'rtl', 'تسجيل الدخول'],
      ['xx', 'ltr', 'Sign in'],
    ] as const) {
      const { page, errors } = await visit(browser, `${url}sign-in`, { locale });
      await page.getByRole('heading', { name: title }).waitFor();
      expect(await page.evaluate(() => document.documentElement.dir)).toBe(dir);
      expect(errors).toEqual([]);
    }
  });
});
