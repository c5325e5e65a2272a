import type { Browser, BrowserContext, Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { violations } from '../support/axe.js';
import { browserFound } from '../support/browser.js';
import { eventually, type Person, registerAll } from '../support/client.js';
import { registerDevice, untilNoneWaits } from '../support/devices.js';
import { atFileEnd } from '../support/ending.js';
import { untilNotified } from '../support/notifier.js';
import { type PushService, startPushService } from '../support/push-service.js';
import { attempt, createGroup, openAnswered, react, reply, send } from '../support/talk.js';
import { act, composer, openApp, rowWith, startApp } from '../support/web-app.js';

/** Counts the tones that a tab plays, and lets the test decide whether the user is looking at it. */
const instrument = `
  globalThis.tones = 0;
  globalThis.isInFront = true;
  document.hasFocus = () => isInFront;
  globalThis.AudioContext = class extends AudioContext {
    createOscillator() {
      tones += 1;
      return super.createOscillator();
    }
  };
  globalThis.look = (isLooking) => {
    isInFront = isLooking;
    dispatchEvent(new Event(isLooking ? 'focus' : 'blur'));
  };`;

describe.skipIf(!browserFound)('notifications in the web app', () => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  let service: PushService;
  beforeAll(async () => {
    service = await startPushService(atFileEnd);
    ({ browser, node, url } = await startApp({ PUSH_HOSTS: service.origin }));
  });

  const bell = (page: Page, count: number) =>
    page.getByRole('link', { name: count === 0 ? 'Notifications' : `Notifications, ${count} unread`, exact: true });
  const inbox = (page: Page) => page.getByRole('region', { name: 'Notifications' });
  const settingsOf = async (person: Person) => {
    const fields = 'defaultLevel doNotDisturbUntil quietHours { from to timeZone } pushPreview locale isQuiet';
    return (await person.ask(`{ viewer { notificationSettings { ${fields} } } }`)).viewer.notificationSettings;
  };

  it('collects what concerns the user, opens it at the message, and marks it as read', async () => {
    const [ada, bob, eve, kim] = await registerAll(node.url, 'ada', 'bob', 'eve', 'kim');
    const group = await createGroup(ada, [bob, eve, kim], { title: 'Garden' });
    const own = await send(ada, group, 'Who waters the roses?');
    for (let index = 0; index < 40; index += 1) await send(ada, group, `note ${index}`);
    for (const person of [bob, eve, kim]) await react(person, own.id, '👍');
    await reply(bob, group, own.id, 'I do');
    await untilNotified(node);
    const { page, errors } = await openApp(browser, url, ada);
    await bell(page, 2).waitFor();
    // With the keyboard alone.
    await page.locator('nav li a').first().focus();
    await page.keyboard.press('i');
    const entries = inbox(page).getByRole('link');
    await entries.nth(1).waitFor();
    expect(await entries.allInnerTexts()).toEqual([
      expect.stringMatching(/^Unread:.*bob.* replied to your message\s+I do\s+Garden/s),
      expect.stringMatching(/^Unread:.*kim.* and 2 others reacted to your message\s+Who waters the roses\?\s+Garden/s),
    ]);
    await entries.first().focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await rowWith(page, 'Who waters the roses?').waitFor();
    await eventually('it is in view', () =>
      rowWith(page, 'Who waters the roses?').evaluate((row) => {
        const { top, bottom } = row.getBoundingClientRect();
        return top >= 0 && bottom <= innerHeight;
      }),
    );
    // The inbox stays open next to the conversation.
    await eventually('it is read', async () => !(await entries.nth(1).textContent())?.startsWith('Unread'));
    await send(eve, group, `@${ada.username} and the lawn?`);
    await inbox(page)
      .getByRole('link', { name: /mentioned you/ })
      .waitFor();
    await inbox(page).getByRole('button', { name: 'Mark all as read' }).click();
    await eventually('all are read', async () => (await inbox(page).getByText('Unread: ').count()) === 0);
    await inbox(page).getByRole('button', { name: 'Close notifications' }).click();
    await bell(page, 0).waitFor();
    await composer(page).waitFor();
    const count = async () => (await ada.ask('{ viewer { unreadNotificationCount } }')).viewer.unreadNotificationCount;
    await eventually('the server knows', async () => (await count()) === 0);
    // On a narrow screen, the inbox is a page.
    await page.setViewportSize({ width: 390, height: 800 });
    await page.goto(`${url}notifications`);
    await entries.first().waitFor();
    await entries.first().click();
    await composer(page).waitFor();
    expect(await inbox(page).isVisible()).toBe(false);
    await page.goBack();
    await entries.first().waitFor();
    await page.keyboard.press('Escape');
    await bell(page, 0).waitFor();
    expect(errors).toEqual([]);
  });

  it('shows that there are no notifications yet', async () => {
    const [ada] = await registerAll(node.url, 'ada');
    const { page } = await openApp(browser, url, ada);
    await bell(page, 0).click();
    await inbox(page).getByText('No notifications yet').waitFor();
  });

  it('mutes a conversation and chooses its level, which the list shows', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openAnswered(ada, bob);
    const other = await createGroup(ada, [bob], { title: 'Elsewhere' });
    const { page, errors } = await openApp(browser, url, ada, id);
    const desk = await openApp(browser, url, ada);
    const entry = (on: Page) =>
      on.getByRole('navigation', { name: 'Conversations' }).getByRole('link', { name: new RegExp(bob.username) });
    await page.getByRole('button', { name: 'Notifications: All messages' }).click();
    expect(await page.getByRole('menuitemradio', { checked: true }).textContent()).toBe('Default: All messages');
    await page.getByRole('menuitem', { name: 'For an hour' }).click();
    await page.getByRole('button', { name: /^Notifications: Muted until/ }).waitFor();
    for (const each of [page, desk.page]) await entry(each).getByText('Muted').waitFor();
    await page.goto(`${url}c/${encodeURIComponent(other)}`);
    await page.getByRole('button', { name: 'Notifications: All messages' }).waitFor();
    await send(bob, id, 'while it is muted');
    await entry(page).getByText('while it is muted').waitFor();
    // It is unread without a number.
    const unread = entry(page).getByTitle('1 unread message');
    expect(await unread.getByText('1', { exact: true }).count()).toBe(0);
    // The menu is in the panel about the conversation as well.
    await entry(page).click();
    await page.getByRole('heading', { name: bob.username }).getByRole('button').click();
    await page
      .getByRole('complementary')
      .getByRole('button', { name: /^Notifications: Muted/ })
      .click();
    await page.getByRole('menuitem', { name: 'Unmute', exact: true }).click();
    await page.getByRole('complementary').getByRole('button', { name: 'Notifications: All messages' }).click();
    await page.getByRole('menuitemradio', { name: 'Nothing' }).click();
    await entry(desk.page).getByText('Muted').waitFor();
    const { viewerMembership } = (
      await ada.ask(
        'query ($id: ID!) { conversation(id: $id) { viewerMembership { notificationLevel mutedUntil } } }',
        { id },
      )
    ).conversation;
    expect(viewerMembership).toEqual({ notificationLevel: 'NONE', mutedUntil: null });
    expect([...errors, ...desk.errors]).toEqual([]);
  });

  it('sets the language of pushes and emails to that of the app, until the user chooses another one', async () => {
    const [ada] = await registerAll(node.url, 'ada');
    const { page, errors } = await openApp(browser, url, ada, undefined, { locale: 'de-AT' });
    await eventually('the language is set', async () => (await settingsOf(ada)).locale === 'de');
    await attempt(ada, 'updateNotificationSettings', { locale: 'ar' });
    await page.goto(`${url}settings`);
    const field = page.getByLabel('Sprache der Mitteilungen und E-Mails');
    await eventually('it is shown', async () => (await field.inputValue()) === 'ar');
    expect((await settingsOf(ada)).locale).toBe('ar');
    expect(errors).toEqual([]);
  });

  it('changes the settings', async () => {
    const [ada] = await registerAll(node.url, 'ada');
    const { page, errors } = await openApp(browser, url, ada, undefined, { timezoneId: 'America/New_York' });
    await page.goto(`${url}settings`);
    const choose = (name: string) => page.getByRole('radio', { name, exact: true }).check({ force: true });
    await choose('Mentions and replies');
    await choose('Sender only');
    await page.getByRole('checkbox', { name: 'Quiet hours' }).check();
    await page.locator('[name=quiet-to]').fill('06:30');
    await page.getByLabel('Language of notifications and emails').selectOption('Deutsch');
    await page.getByRole('button', { name: 'For 8 hours' }).click();
    await page.getByText(/^On until/).waitFor();
    const expected = {
      ...{ defaultLevel: 'MENTIONS', pushPreview: 'SENDER', locale: 'de', isQuiet: true },
      quietHours: { from: '22:00', to: '06:30', timeZone: 'America/New_York' },
    };
    await eventually('the server knows', async () => (await settingsOf(ada)).quietHours?.to === '06:30');
    expect(await settingsOf(ada)).toMatchObject(expected);
    // A change on another device is shown, and the settings are the same after a reload.
    await attempt(ada, 'updateNotificationSettings', { doNotDisturbUntil: null, pushPreview: 'NOTHING' });
    await page.getByRole('button', { name: 'For 8 hours' }).waitFor();
    await page.reload();
    await page.getByRole('radio', { name: 'Mentions and replies', exact: true, checked: true }).waitFor();
    expect(await page.getByRole('radio', { name: /something new/ }).isChecked()).toBe(true);
    expect(await page.locator('[name=quiet-to]').inputValue()).toBe('06:30');
    // This server sends no emails.
    expect(await page.getByText('Send me emails').count()).toBe(0);
    expect(errors).toEqual([]);
  });

  it('announces a message once in all tabs, unless the user sees it or does not want to be disturbed', async () => {
    const [ada, bob, eve] = await registerAll(node.url, 'ada', 'bob', 'eve');
    const [first, second] = [await openAnswered(ada, bob), await openAnswered(ada, eve)];
    const { page, errors } = await openApp(browser, url, ada, first);
    const context = page.context();
    await context.grantPermissions(['notifications'], { origin: new URL(url).origin });
    await context.addInitScript(instrument);
    const tabs = [page, await context.newPage(), await context.newPage()] as const;
    const at = (id: string) => `${url}c/${encodeURIComponent(id)}`;
    for (const [index, tab] of tabs.entries()) {
      await tab.goto(index === 2 ? `${url}settings` : at(first));
      // Browsers permit sounds after the user has pressed something.
      await tab.locator('body').click({ position: { x: 1, y: 1 } });
    }
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => {}));
    const look = (tab: Page | undefined) => Promise.all(tabs.map((each) => each.evaluate(`look(${each === tab})`)));
    const tones = async () =>
      (await Promise.all(tabs.map((tab) => tab.evaluate<number>('tones')))).reduce((sum, each) => sum + each);
    const shown = (of: BrowserContext) =>
      of.pages()[0]?.evaluate(async () => {
        const registration = await navigator.serviceWorker.getRegistration();
        return (await registration?.getNotifications())?.map(({ title, body, data }) => [title, body, data.path]);
      });
    const arrives = async (text: string) => {
      for (const tab of tabs.slice(0, 2)) await tab.getByText(text).first().waitFor();
    };
    await look(tabs[1]);
    // Another conversation than the one that the user is looking at.
    await send(eve, second, 'from elsewhere');
    const card = (tab: Page) => tab.getByRole('status').getByRole('link', { name: /from elsewhere/ });
    await card(tabs[1]).waitFor();
    await eventually('one sound is played', async () => (await tones()) === 2);
    expect(await card(tabs[0]).count()).toBe(0);
    // The conversation that they are looking at.
    await send(bob, first, 'in sight');
    await arrives('in sight');
    await send(eve, second, 'second one');
    await eventually('the next sound is played', async () => (await tones()) === 4);
    expect(await shown(context)).toEqual([]);
    // Nobody is looking: the system shows it.
    await look(undefined);
    const third = await send(bob, first, 'nobody looks');
    await eventually('it is shown', async () => (await shown(context))?.length === 1);
    expect(await shown(context)).toEqual([
      [bob.username, 'nobody looks', `/c/${encodeURIComponent(first)}/${third.seq}`],
    ]);
    await eventually('the next sound is played', async () => (await tones()) === 6);
    // What the user has chosen.
    await attempt(ada, 'muteConversation', {
      conversationId: second,
      until: new Date(Date.now() + 60_000).toISOString(),
    });
    await tabs[0].getByRole('navigation', { name: 'Conversations' }).getByText('Muted').waitFor();
    await send(eve, second, 'muted');
    await arrives('muted');
    await tabs[2].getByRole('checkbox', { name: /Play sounds/ }).uncheck();
    await look(tabs[2]);
    await send(bob, first, 'without a sound');
    await tabs[2]
      .getByRole('status')
      .getByRole('link', { name: /without a sound/ })
      .click();
    await rowWith(tabs[2], 'without a sound').waitFor();
    expect(await tones()).toBe(6);
    expect(errors).toEqual([]);
  });

  it('explains why the user was or was not notified of a message', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    await registerDevice(ada, service);
    const id = await createGroup(bob, [ada], { title: 'Picnic' });
    await send(bob, id, `Who brings the salad, @${ada.username}?`);
    await untilNotified(node);
    await untilNoneWaits(node);
    const until = new Date(Date.now() + 3_600_000).toISOString();
    await attempt(ada, 'muteConversation', { conversationId: id, until });
    await send(bob, id, 'while it is muted');
    await send(ada, id, 'mine');
    await untilNotified(node);
    const { page, errors } = await openApp(browser, url, ada, id);
    const dialog = page.getByRole('dialog');
    await act(page, 'while it is muted', 'Was I notified?');
    await dialog.getByText('No. You had muted the conversation.').waitFor();
    expect(await dialog.textContent()).toMatch(
      /^Was I notified\?No\. .*Your settings at that timeNotify me of: All messagesMuted until .+$/,
    );
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    // In all languages.
    for (const [locale, title, pattern] of [
      ['en', 'Was I notified?', /Yes\. .*The message mentions you or replies to you\.Your devices.+Sent: /],
      ['de', 'Wurde ich benachrichtigt?', /Ja\. .*Die Nachricht erwähnt dich oder antwortet dir\..*Gesendet: /],
      ['ar', 'هل وصلني إشعار؟', /نعم\. .*تشير الرسالة إليك أو ترد عليك\..*أُرسل: /],
    ] as const) {
      await page.evaluate((name) => localStorage.setItem('parley.locale', name), locale);
      await page.reload();
      const row = page.locator('article[data-key]').filter({ hasText: 'Who brings the salad' });
      await row.hover();
      await row.locator('[aria-haspopup=menu]').last().click();
      await page.getByRole('menuitem', { name: title, exact: true }).click();
      await eventually('the explanation', async () => pattern.test((await dialog.textContent()) ?? ''));
      expect(await violations(page)).toEqual([]);
      await page.keyboard.press('Escape');
      await dialog.waitFor({ state: 'detached' });
    }
    // Nobody is notified of their own messages.
    await rowWith(page, 'mine').hover();
    await rowWith(page, 'mine').locator('[aria-haspopup=menu]').last().click();
    await page.getByRole('menuitem').first().waitFor();
    expect(await page.getByRole('menuitem', { name: 'هل وصلني إشعار؟' }).count()).toBe(0);
    expect(errors).toEqual([]);
  });
});
