import type { Browser, Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { browserFound, startBrowser, visit } from '../support/browser.js';
import { makePlace } from '../support/place.js';

describe.skipIf(!browserFound)('the start page of the web app', () => {
  let browser: Browser;
  let url: string;
  beforeAll(async () => {
    const [started, place] = await Promise.all([startBrowser(), makePlace('embedded', { web: true })]);
    browser = started;
    url = (await place.start()).webUrl ?? '';
  });

  async function signUp(page: Page, username: string): Promise<void> {
    await page.fill('[name=username]', username);
    await page.fill('[name=email]', `${username}@example.com`);
    await page.fill('[name=password]', 'correct horse');
    await page.keyboard.press('Enter');
  }
  const write = async (page: Page, text: string) => {
    const composer = page.getByRole('textbox', { name: /^Message / });
    await composer.fill(text);
    await composer.press('Enter');
  };
  // The narrow layout has one of its own, which is hidden in the wide one.
  const invitation = (page: Page) => page.getByLabel('Link to invite someone').filter({ visible: true }).inputValue();

  it('lets the first user invite a second one, who reads what the first one writes', async () => {
    const ada = await visit(browser, `${url}sign-up`);
    await signUp(ada.page, 'ada');
    await ada.page.getByRole('main').getByRole('heading', { name: 'Welcome, ada' }).waitFor();
    const link = await invitation(ada.page);
    await ada.page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await ada.page.getByRole('main').getByRole('button', { name: 'Copy link' }).click();
    await ada.page.getByRole('main').getByText('The link was copied.').waitFor();
    expect(await ada.page.evaluate(() => navigator.clipboard.readText())).toBe(link);

    const bob = await visit(browser, link);
    await bob.page.getByText('You were invited to a conversation.').waitFor();
    // Also on the way over the other page.
    await bob.page.getByRole('link', { name: 'Sign in' }).click();
    await bob.page.getByRole('link', { name: 'Create account' }).click();
    await signUp(bob.page, 'bob');
    await bob.page.waitForURL(/\/c\//);
    await write(bob.page, 'Thank you for the invitation!');
    await ada.page.getByRole('navigation').getByRole('link', { name: 'bob' }).click();
    await ada.page.getByRole('log').getByText('Thank you for the invitation!').waitFor();
    await write(ada.page, 'Welcome!');
    await bob.page.getByRole('log').getByText('Welcome!').waitFor();
    for (const { errors } of [ada, bob]) expect(errors).toEqual([]);
  });

  it('opens the conversation with the inviting user if the other one is signed in', async () => {
    const carol = await visit(browser, `${url}sign-up`);
    await signUp(carol.page, 'carol');
    const link = await invitation(carol.page);
    // An invitation of oneself leads to the conversations.
    await carol.page.goto(link);
    await carol.page.getByRole('heading', { name: 'Welcome, carol' }).first().waitFor();

    const dave = await visit(browser, `${url}sign-up`);
    await signUp(dave.page, 'dave');
    await dave.page.getByRole('heading', { name: 'Welcome, dave' }).first().waitFor();
    await dave.page.goto(link);
    await dave.page.waitForURL(/\/c\//);
    await dave.page.getByRole('textbox', { name: 'Message carol' }).waitFor();
    await dave.page.goto(`${url}invite/nobody`);
    await dave.page.getByText('This invitation is not valid').waitFor();
  });

  it('creates a group with a few messages for a user who wants to look around, also on a narrow screen', async () => {
    const { page, errors } = await visit(browser, `${url}sign-up`, { viewport: { width: 390, height: 800 } });
    await signUp(page, 'erin');
    await page.getByRole('button', { name: 'Create a group to try things out' }).click();
    await page.getByRole('log').getByText('Only you can see this group.').waitFor();
    await page.getByRole('log').getByText('Lines that begin with').waitFor();
    expect(errors).toEqual([]);
  });
});
