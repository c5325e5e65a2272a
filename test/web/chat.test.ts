import type { Browser, BrowserContext, Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { browserFound, visit } from '../support/browser.js';
import { eventually, type Person, registerAll } from '../support/client.js';
import { announcementsOf, recordAnnouncements } from '../support/live-regions.js';
import { makePicture, uploaded } from '../support/media.js';
import { startProxy } from '../support/proxy.js';
import { edit, openDirect, send } from '../support/talk.js';
import { isStored, openApp, rowWith, startApp } from '../support/web-app.js';
import { countSockets } from '../support/web-faults.js';

describe.skipIf(!browserFound)('conversations in the web app', () => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  beforeAll(async () => {
    ({ browser, node, url } = await startApp());
  });

  /** Opens the app as a user, at a conversation or at the list. */
  async function open(person: Person, conversationId?: string) {
    const visited = await visit(browser, `${url}sign-in`);
    const { page } = visited;
    await page.fill('[name=usernameOrEmail]', person.username);
    await page.fill('[name=password]', person.password);
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
  const composer = (page: Page) => page.getByRole('textbox', { name: /^Message / });
  const rows = (page: Page) => page.locator('article[data-key]');
  /** The texts of the rows in the document, without their times. */
  const textsOf = (page: Page) => rows(page).locator('[data-text]').allTextContents();
  const write = async (page: Page, text: string) => {
    await composer(page).fill(text);
    await composer(page).press('Enter');
  };

  /** Sends `message 1`, `message 2` and so on. */
  /** @param files the attachments of some messages, by the numbers of the messages. */
  async function sendMany(person: Person, conversationId: string, count: number, files = new Map<number, string>()) {
    for (let done = 0; done < count; done += 30) {
      const numbers = Array.from({ length: 30 }, (_, index) => done + index + 1);
      const sends = numbers.map(
        (number) =>
          `m${number}: sendMessage(input: {
            conversationId: $id, text: "message ${number}", attachmentIds: ${JSON.stringify([files.get(number) ?? []].flat())}
          }) { message { id } }`,
      );
      await person.ask(`mutation ($id: ID!) { ${sends.join('\n')} }`, { id: conversationId });
    }
  }

  it('lets two new users find each other, and shows each what the other writes', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const adas = await open(ada);
    const bobs = await open(bob);
    await adas.page.getByText('No conversations yet', { exact: true }).waitFor();
    await adas.page.getByRole('button', { name: 'New conversation' }).first().click();
    await adas.page.getByRole('searchbox').fill(bob.username);
    await adas.page.getByRole('button', { name: `@${bob.username}` }).click();
    await write(adas.page, 'Hello Bob! See https://example.com/a?b=1.');

    // Not the link with which the message is announced.
    const entry = bobs.page.getByRole('navigation').getByRole('link', { name: ada.username });
    await entry.getByText('1 unread message').waitFor();
    await entry.click();
    const link = bobs.page.getByRole('log').getByRole('link');
    expect(await link.getAttribute('href')).toBe('https://example.com/a?b=1');
    await entry.getByText('1 unread message').waitFor({ state: 'detached' });
    await rows(adas.page).getByText('Seen').waitFor();
    await write(bobs.page, 'Hello Ada!');
    await rows(adas.page).getByText('Hello Ada!').waitFor();
    for (const { page, errors } of [adas, bobs]) {
      expect(await textsOf(page)).toEqual(['Hello Bob! See https://example.com/a?b=1.', 'Hello Ada!']);
      expect(errors).toEqual([]);
    }
  });

  it('opens where the viewer has read up to, and keeps its place while history is added', async () => {
    const [ada, bob] = await registerAll(node.url, 'reader', 'writer');
    const id = await openDirect(ada, bob);
    // Images in the history that is added change their size while they are loaded.
    const numbers = [2, 3, 20, 60, 100, 101, 140, 180];
    const picture = await makePicture('jpeg');
    const images = await Promise.all(
      numbers.map((number) =>
        uploaded(node.url, bob, picture, { kind: 'IMAGE', filename: 'a.jpg', altText: `picture ${number}` }),
      ),
    );
    await sendMany(bob, id, 420, new Map(numbers.map((number, index) => [number, images[index]?.id])));
    await ada.ask('mutation ($input: MarkReadInput!) { markRead(input: $input) { membership { readSeq } } }', {
      input: { conversationId: id, seq: 200 },
    });
    const { page, errors } = await open(ada, id);
    await page.getByText('New messages', { exact: true }).waitFor();
    const log = page.getByRole('log');
    const visible = () =>
      log.evaluate((element) => {
        const { top, bottom } = element.getBoundingClientRect();
        return [...element.querySelectorAll('article')]
          .filter((row) => row.getBoundingClientRect().bottom > top && row.getBoundingClientRect().top < bottom)
          .map((row) => row.querySelector('[data-text]')?.textContent);
      });
    await eventually('the divider is visible', async () => (await visible()).includes('message 201'));
    const readSeq = async () =>
      (await ada.ask('query ($id: ID!) { conversation(id: $id) { viewerMembership { readSeq } } }', { id }))
        .conversation.viewerMembership.readSeq;
    await eventually('what is visible is read, and nothing else', async () => (await readSeq()) > 200);
    expect(await readSeq()).toBeLessThan(260);

    // Scrolls up to the first message. No row that is visible moves by itself when others are added above it.
    for (let round = 0; !(await visible()).includes('message 1'); round += 1) {
      expect(round).toBeLessThan(100);
      const drift = await log.evaluate(async (element) => {
        element.scrollTop = Math.max(0, element.scrollTop - 900);
        const first = [...element.querySelectorAll('article')].find(
          (row) => row.getBoundingClientRect().bottom > element.getBoundingClientRect().top,
        );
        const before = first?.getBoundingClientRect().top ?? 0;
        const key = first?.dataset['key'] ?? '';
        for (let frame = 0; frame < 12; frame += 1) await new Promise(requestAnimationFrame);
        const after = element.querySelector(`[data-key="${key}"]`)?.getBoundingClientRect().top;
        return after === undefined ? 0 : Math.abs(after - before);
      });
      expect(drift).toBeLessThanOrEqual(1);
    }
    expect(await rows(page).count()).toBeLessThanOrEqual(300);
    await page.getByText('This is the beginning of the conversation.').waitFor();
    await eventually('the images are shown', async () => {
      const shown = log.getByRole('button', { name: 'Open image: picture 2', exact: true }).getByRole('img');
      return shown.evaluateAll(([image]) => ((image as HTMLImageElement | undefined)?.naturalWidth ?? 0) > 0);
    });

    // A message that arrives does not move the viewer, and the button shows it.
    await send(bob, id, 'message 421');
    await page.getByRole('button', { name: 'Go to the latest message' }).click();
    await rows(page).getByText('message 421').waitFor();
    await eventually('the end is visible', async () => (await visible()).at(-1) === 'message 421');
    await eventually('all is read', async () => (await readSeq()) === 421);
    expect(errors).toEqual([]);
  });

  it('keeps what is being written, and sends it with Enter, but not while an input method is in use', async () => {
    const [ada, bob] = await registerAll(node.url, 'author', 'other');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'Write to me');
    const { page, errors } = await open(ada, id);
    await composer(page).fill('a thought');
    await page.reload();
    await rows(page).first().waitFor();
    expect(await composer(page).inputValue()).toBe('a thought');
    await composer(page).press('Shift+Enter');
    await composer(page).pressSequentially('in two lines');
    const devtools = await page.context().newCDPSession(page);
    await devtools.send('Input.imeSetComposition', { text: 'に', selectionStart: 1, selectionEnd: 1 });
    await devtools.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', key: 'Enter', windowsVirtualKeyCode: 229 });
    expect(await rows(page).count()).toBe(1);
    await devtools.send('Input.insertText', { text: '日' });
    await composer(page).press('Enter');
    await rows(page).nth(1).waitFor();
    expect((await textsOf(page)).at(-1)).toBe('a thought\nin two lines日');
    expect(await composer(page).inputValue()).toBe('');
    // The page is closed by the same task that writes.
    await composer(page).evaluate((element, next) => {
      element.focus();
      document.execCommand('insertText', false, 'not sent');
      location.assign(next);
    }, `${url}settings`);
    await page.waitForURL(`${url}settings`);
    await eventually('the draft is on the device', () => isStored(page, 'not sent'));
    await page.getByRole('button', { name: 'Sign out', exact: true }).click();
    await page.waitForURL(`${url}sign-in`);
    await eventually('nothing of it is left', async () => !(await isStored(page, 'not sent')));
    expect(errors).toEqual([]);
  });

  it('shows that it is offline, and sends in order what was written meanwhile', async () => {
    const [ada, bob] = await registerAll(node.url, 'traveller', 'waiting');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'Have a good trip');
    const { page } = await open(ada, id);
    await page.context().setOffline(true);
    for (const number of [1, 2, 3]) await write(page, `from the train ${number}`);
    expect(await textsOf(page)).toEqual(['Have a good trip', ...[1, 2, 3].map((each) => `from the train ${each}`)]);
    await page.getByText('You are offline.').waitFor();
    await page.context().setOffline(false);
    await page.getByText('Connected again.').waitFor();
    await eventually('all are stored', async () => {
      const { conversation } = await bob.ask(
        'query ($id: ID!) { conversation(id: $id) { messages { nodes { text } } } }',
        { id },
      );
      const texts = conversation.messages.nodes.map(({ text }: { text: string }) => text);
      return texts.join() === 'Have a good trip,from the train 1,from the train 2,from the train 3';
    });
    await eventually(
      'they are marked as sent',
      async () =>
        (await rows(page)
          .getByText(/^(Sent|Delivered)$/)
          .count()) === 3,
    );
  });

  it('shows that it is not connected after two seconds, and not before, and then how many messages are new', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    const before = await send(bob, id, 'before');
    const port = Number(new URL(node.url).port);
    const proxy = await startProxy(port);
    const prepare = async (context: BrowserContext) => {
      await recordAnnouncements(context);
      await context.clock.install();
    };
    const { page } = await openApp(browser, `http://127.0.0.1:${proxy.port}/`, ada, id, { prepare });
    const sockets = countSockets(page);
    await page.reload();
    await eventually('it is connected', () => sockets.open === 1);
    await send(bob, id, 'soon');
    await rowWith(page, 'soon').waitFor();

    const banners = async () => (await announcementsOf(page)).filter((text) => /onnect|new\./.test(text));
    // On a slow machine, the first connection has taken longer than that.
    const earlier = await banners();
    await page.clock.pauseAt((await page.evaluate(() => Date.now())) + 5_000);
    proxy.pointTo(1);
    proxy.cut();
    await eventually('it is not connected', () => sockets.open === 0);
    await page.clock.runFor(1_900);
    expect(await banners()).toEqual(earlier);
    await page.clock.runFor(500);
    const banner = page.getByRole('status').filter({ hasText: 'Connecting…' });
    await banner.waitFor();

    // Neither messages of one's own nor those that were there before are new, and an edited one is counted once.
    await send(bob, id, 'late');
    await edit(bob, (await send(bob, id, 'lat')).id, 'later');
    await send(ada, id, 'of another device');
    await edit(bob, before.id, 'before, edited');
    proxy.pointTo(port);
    await page.clock.resume();
    await page.getByText('Up to date again: 2 new.').waitFor();
    await rowWith(page, 'later').waitFor();
    await page.getByText('Up to date again').waitFor({ state: 'detached' });
  });

  it('shows one pane on a phone, and goes back to the list', async () => {
    const [ada, bob] = await registerAll(node.url, 'mobile', 'desk');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'Are you there?');
    const { page, errors } = await open(ada, id);
    await page.setViewportSize({ width: 390, height: 844 });
    expect(await page.getByRole('navigation').isVisible()).toBe(false);
    await page.getByRole('link', { name: 'Back' }).click();
    await page.getByRole('link', { name: bob.username }).waitFor();
    expect(await composer(page).isVisible()).toBe(false);
    await page.goBack();
    await composer(page).waitFor();
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(overflow).toBe(0);
    await page.goto(`${url}c/unknown`);
    await page.getByText('This page does not exist').waitFor();
    expect(errors).toEqual([]);
  });
});
