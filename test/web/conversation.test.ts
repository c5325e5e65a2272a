import type { Browser, BrowserContext, Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { browserFound } from '../support/browser.js';
import { connectInTest, eventually, listen, type Person, registerAll } from '../support/client.js';
import { within } from '../support/fleet.js';
import { announcementsOf, recordAnnouncements } from '../support/live-regions.js';
import { PRESENCE, setTyping, TYPING } from '../support/presence.js';
import { mark } from '../support/receipts.js';
import { attempt, createGroup, openAnswered, openDirect, send } from '../support/talk.js';
import { act, composer, isStored, openApp, rows, rowWith, startApp, write } from '../support/web-app.js';
import { storedTexts } from '../support/web-faults.js';

const MAX_CHARS = 300;

describe.skipIf(!browserFound)('a conversation in the web app', () => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  beforeAll(async () => {
    ({ browser, node, url } = await startApp({
      RECEIPT_MAX_MEMBERS: '2',
      TYPING_TTL: '2s',
      MESSAGE_MAX_CHARS: `${MAX_CHARS}`,
    }));
  });

  /** Sends several messages at once. */
  async function sendAll(person: Person, conversationId: string, texts: readonly string[]): Promise<void> {
    for (let done = 0; done < texts.length; done += 30) {
      const sends = texts
        .slice(done, done + 30)
        .map((text, at) => `m${at}: sendMessage(input: { conversationId: $id, text: "${text}" }) { message { id } }`);
      await person.ask(`mutation ($id: ID!) { ${sends.join('\n')} }`, { id: conversationId });
    }
  }

  const isVisible = (page: Page, text: string) =>
    rowWith(page, text).evaluate((row) => {
      const { top, bottom } = row.getBoundingClientRect();
      const log = (row.closest('[role=log]') as Element).getBoundingClientRect();
      return top >= log.top && bottom <= log.bottom;
    });

  it('announces new messages of others to screen readers, together if they are several, and neither the history nor own ones', async () => {
    const [ada, bob, eve] = await registerAll(node.url, 'ada', 'bob', 'eve');
    const id = await createGroup(ada, [bob, eve]);
    await sendAll(
      bob,
      id,
      Array.from({ length: 120 }, (_, index) => `history ${index + 1}`),
    );
    await mark(ada, 'markRead', id, 120);
    const prepare = async (context: BrowserContext) => {
      await recordAnnouncements(context);
      await context.clock.install();
    };
    const { page, errors } = await openApp(browser, url, ada, id, { prepare });
    await page.locator('[data-announcer]').waitFor({ state: 'attached' });
    expect(await page.getByRole('log').getAttribute('aria-live')).toBe('off');
    // On a busy machine, the connection can take so long that this is said.
    const isBanner = (text: string) => /^(Connect|Up to date again)/.test(text);
    const announcements = async () => (await announcementsOf(page)).filter((text) => !isBanner(text));

    // The history is loaded while the viewer scrolls up. Their own message is at the end, to which they go.
    await eventually('the beginning is displayed', async () => {
      await page.getByRole('log').evaluate((log) => log.scrollTo(0, 0));
      return (await page.getByText('This is the beginning of the conversation.').count()) > 0;
    });
    await write(page, 'my own');
    await rowWith(page, 'my own').getByText('Sent', { exact: true }).waitFor();
    await eventually('it is visible', () => isVisible(page, 'my own'));

    /** Lets others send while the clock of the page is stopped, and returns what is announced afterwards. */
    const announced = async (last: string, sends: () => Promise<unknown>) => {
      const before = (await announcements()).length;
      await page.clock.pauseAt((await page.evaluate(() => Date.now())) + 5_000);
      await sends();
      for (const text of last.split(', ')) await rows(page).getByText(text, { exact: true }).first().waitFor();
      expect(await announcements()).toHaveLength(before);
      await page.clock.runFor(1_100);
      await page.clock.resume();
      await eventually('it is announced', async () => (await announcements()).length > before);
      return (await announcements()).slice(before);
    };
    expect(await announcements()).toEqual([]);
    expect(await announced('Hello Ada!', () => send(bob, id, '**Hello** Ada!'))).toEqual([
      `${bob.username}: Hello Ada!`,
    ]);
    expect(await announced('Hello Ada!', () => send(bob, id, '**Hello** Ada!'))).toEqual([
      `${bob.username}: Hello Ada!`,
    ]);
    expect(await announced('three', () => sendAll(bob, id, ['one', 'two', 'three']))).toEqual([
      `3 new messages from ${bob.username}`,
    ]);
    const both = () => Promise.all([send(bob, id, 'of bob'), send(eve, id, 'of eve'), send(ada, id, 'of ada')]);
    expect(await announced('of bob, of eve, of ada', both)).toEqual(['2 new messages']);
    const [long] = await announced('x'.repeat(250), () => send(eve, id, 'x'.repeat(250)));
    expect(long).toBe(`${eve.username}: ${'x'.repeat(200)}…`);

    // What arrived while the page was closed is a part of the history.
    await page.goto('about:blank');
    await sendAll(bob, id, ['in the meantime']);
    await page.goto(`${url}c/${encodeURIComponent(id)}`);
    await rowWith(page, 'in the meantime').waitFor();
    await page.locator('[data-announcer]').waitFor({ state: 'attached' });
    await eventually('it is read', async () => {
      const query = 'query ($id: ID!) { conversation(id: $id) { viewerMembership { unreadCount } } }';
      return (await ada.ask(query, { id })).conversation.viewerMembership.unreadCount === 0;
    });
    expect(await announcements()).toEqual([]);
    expect(errors).toEqual([]);
  });

  it('shows who is typing and connected, and how far messages are, but not in a group that is too large', async () => {
    const [ada, bob, eve] = await registerAll(node.url, 'ada', 'bob', 'eve');
    const id = await openAnswered(ada, bob);
    const { page, errors } = await openApp(browser, url, ada, id);
    const header = page.getByRole('heading', { level: 1 });
    await header.getByText(`@${bob.username}`).waitFor();
    const client = connectInTest(node.url, bob.token);
    await listen(client, PRESENCE, {}, 'presence').until(() => true);
    await within(1_000, 'bob appears as online', async () => (await header.getByText('online').count()) === 1);
    await page.getByRole('link', { name: /online.*bob/ }).waitFor();

    const typing = page.getByText(`${bob.username} is typing`);
    expect(await setTyping(bob, id)).toBe(true);
    await within(1_000, 'typing is shown', async () => (await typing.count()) === 1);
    // Nothing is sent: it ends with its time.
    await within(3_000, 'typing is over', async () => (await typing.count()) === 0);
    const events = listen(client, TYPING, {}, 'typing');
    await composer(page).pressSequentially('so');
    expect((await events.until(({ isTyping }) => isTyping)).user.id).toBe(ada.id);
    await composer(page).press('Enter');
    await rowWith(page, 'so').getByText('Delivered').or(rowWith(page, 'so').getByText('Sent')).waitFor();
    await mark(bob, 'markRead', id, 3);
    await rowWith(page, 'so').getByText('Seen').waitFor();
    await client.dispose();
    await eventually('bob appears as disconnected', async () => (await header.getByText('online').count()) === 0);
    expect(await page.locator('nav [data-status]').count()).toBe(0);

    const group = await createGroup(ada, [bob, eve], { title: 'Many' });
    await page.getByRole('link', { name: /Many/ }).click();
    await write(page, 'to all');
    await rowWith(page, 'to all').getByText('Sent', { exact: true }).waitFor();
    for (const person of [bob, eve]) await mark(person, 'markRead', group, 1);
    await send(bob, group, 'read');
    await rowWith(page, 'read').waitFor();
    expect(await rowWith(page, 'to all').getByText('Sent', { exact: true }).count()).toBe(1);
    await act(page, 'to all', 'Details');
    await page.getByRole('dialog').getByText('Groups of this size do not show who has seen a message.').waitFor();
    expect(errors).toEqual([]);
  });

  it('renders messages that arrive at almost the same time together', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'before');
    const { page } = await openApp(browser, url, ada, id);
    await page.evaluate(`
      globalThis.renderings = 0;
      new MutationObserver((changes) => {
        if (changes.some(({ addedNodes }) => [...addedNodes].some((node) => node.matches?.('article')))) renderings += 1;
      }).observe(document.querySelector('[role=log]'), { childList: true, subtree: true });
    `);
    // While the page is busy, the messages wait.
    const busy = page.evaluate('{ const end = performance.now() + 3_000; while (performance.now() < end); }');
    await sendAll(
      bob,
      id,
      Array.from({ length: 30 }, (_, at) => `burst ${at + 1}`),
    );
    await busy;
    await rowWith(page, 'burst 30').waitFor();
    expect(await rows(page).count()).toBe(31);
    const renderings = await page.evaluate<number>('renderings');
    expect(renderings).toBeGreaterThan(0);
    expect(renderings).toBeLessThan(20);
  });

  it('counts the limit in UTF-16, sends nothing that is too long, and keeps what was written when the tab crashes', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'first');
    const { page, errors } = await openApp(browser, url, ada, id);
    const smileys = '😀'.repeat(MAX_CHARS / 2);
    await composer(page).fill(`${smileys}ab`);
    await page.getByRole('alert').getByText('This message is too long.').waitFor();
    expect(await page.locator('output').textContent()).toBe('-2');
    expect(await composer(page).getAttribute('aria-invalid')).toBe('true');
    await composer(page).press('Enter');
    expect(await composer(page).inputValue()).toBe(`${smileys}ab`);
    expect(await rows(page).count()).toBe(1);
    expect(await page.getByRole('button', { name: 'Send', exact: true }).isDisabled()).toBe(true);

    await eventually('it is on the device', () => isStored(page, `${smileys}ab`));
    const devtools = await page.context().newCDPSession(page);
    const crashed = page.waitForEvent('crash');
    void devtools.send('Page.crash').catch(() => {});
    await crashed;
    const next = await page.context().newPage();
    await next.goto(`${url}c/${encodeURIComponent(id)}`);
    await rows(next).first().waitFor();
    expect(await composer(next).inputValue()).toBe(`${smileys}ab`);
    await composer(next).press('End');
    await composer(next).press('Backspace');
    await composer(next).press('Backspace');
    await next.getByRole('alert').waitFor({ state: 'detached' });
    expect(await next.locator('output').textContent()).toBe('0');
    await composer(next).press('Enter');
    await rowWith(next, smileys).getByText('Sent', { exact: true }).waitFor();
    expect(await storedTexts(bob, id)).toEqual(['first', smileys]);
    expect(errors).toEqual([]);
  });

  it('explains why nobody can write, and lets the viewer send or discard what was rejected', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openAnswered(ada, bob);
    const { page, errors } = await openApp(browser, url, ada, id);
    await rows(page).nth(1).waitFor();
    await page.context().setOffline(true);
    await write(page, 'to send later');
    await write(page, 'to discard');
    expect(await attempt(bob, 'blockUser', { userId: ada.id })).not.toContain('FORBIDDEN');
    await page.context().setOffline(false);
    for (const text of ['to send later', 'to discard']) {
      await rowWith(page, text)
        .getByRole('alert')
        .getByText('Not sent: You cannot send messages to this user.')
        .waitFor();
    }
    await page.getByText('You cannot send messages to this person').waitFor();
    expect(await composer(page).count()).toBe(0);
    await page.reload();
    await rowWith(page, 'to discard').getByRole('button', { name: 'Discard' }).click();
    await rowWith(page, 'to discard').waitFor({ state: 'detached' });
    await rowWith(page, 'to send later').getByRole('button', { name: 'Try again' }).click();
    await rowWith(page, 'to send later').getByText('Not sent: You cannot send messages to this user.').waitFor();
    await attempt(bob, 'unblockUser', { userId: ada.id });
    await composer(page).waitFor();
    await rowWith(page, 'to send later').getByRole('button', { name: 'Try again' }).click();
    await rowWith(page, 'to send later').getByText('Sent', { exact: true }).waitFor();
    expect(await storedTexts(bob, id)).toEqual(['hello', 'hello', 'to send later']);
    expect(errors.filter((error) => !error.includes('WebSocket'))).toEqual([]);
  });
});
