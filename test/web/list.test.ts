import type { Browser, Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { browserFound } from '../support/browser.js';
import { eventually, type Json, registerAll } from '../support/client.js';
import { attempt, createGroup, openAnswered, send } from '../support/talk.js';
import { openApp, startApp } from '../support/web-app.js';

const ACTIONS = 200;

/** Pseudorandom numbers from 0 to 1. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe.skipIf(!browserFound)('the list of conversations in the web app', () => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  beforeAll(async () => {
    ({ browser, node, url } = await startApp());
  });

  const linkTo = (page: Page, id: string) => page.locator(`nav a[href$="/c/${encodeURIComponent(id)}"]`);

  it(`shows the counts of the server on two devices after ${ACTIONS} random actions`, {
    timeout: 180_000,
  }, async () => {
    const seed = Date.now() % 1_000_000;
    const random = randomNumbers(seed);
    const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
    const [ada, bob, eve] = await registerAll(node.url, 'ada', 'bob', 'eve');
    const conversations = [
      { id: await openAnswered(ada, bob), others: [bob] },
      { id: await openAnswered(ada, eve), others: [eve] },
      { id: await createGroup(ada, [bob, eve], { title: 'Garden' }), others: [bob, eve] },
      { id: await createGroup(bob, [ada, eve], { title: 'Kitchen' }), others: [bob, eve] },
    ];
    const devices = await Promise.all([
      openApp(browser, url, ada),
      openApp(browser, url, ada, undefined, { viewport: { width: 390, height: 844 } }),
    ]);
    for (const { page } of devices) await page.locator('nav li').nth(3).waitFor();

    const sent: { id: string; sender: typeof bob }[] = [];
    const mention = () => (random() < 0.25 ? ` @${ada.username}` : random() < 0.1 ? ' @everyone' : '');
    const kinds = new Set<string>();
    const act = async (number: number): Promise<void> => {
      const { id, others } = pick(conversations);
      const chance = random();
      const name =
        chance < 0.6 ? 'send' : chance < 0.7 ? 'answer' : chance < 0.78 ? 'edit' : chance < 0.86 ? 'delete' : 'read';
      kinds.add(name);
      if (name === 'send') {
        const sender = pick(others);
        sent.push({ id: (await send(sender, id, `message ${number}${mention()}`)).id, sender });
      } else if (name === 'answer') await send(ada, id, `answer ${number}`);
      else if (name === 'read') {
        const latest = 'query ($id: ID!) { conversation(id: $id) { latestSeq } }';
        const { latestSeq } = (await ada.ask(latest, { id })).conversation;
        if (latestSeq > 0) await attempt(ada, 'markRead', { conversationId: id, seq: Math.ceil(random() * latestSeq) });
      } else if (sent.length > 0) {
        const { id: messageId, sender } = pick(sent);
        // It can have been deleted before.
        if (name === 'delete') await attempt(sender, 'deleteMessage', { messageId });
        else await attempt(sender, 'editMessage', { messageId, text: `edited ${number}${mention()}` });
      }
    };
    for (let number = 0; number < ACTIONS; number += 4) {
      await Promise.all([0, 1, 2, 3].map((more) => act(number + more)));
      if (number % 40 !== 20) continue;
      // One device shows a conversation, and so reads it, while the other one goes back to the list.
      const { page } = devices[(number / 20) % 4 === 1 ? 0 : 1] as { page: Page };
      if (await linkTo(page, pick(conversations).id).first().isVisible())
        await linkTo(page, pick(conversations).id).click();
      else await page.goBack();
    }
    for (const { page } of devices) await page.goto(url);
    // What nobody has seen.
    for (const { id, others } of conversations.slice(1)) {
      for (const sender of others) await send(sender, id, `the end @${ada.username}`);
    }

    const counted = (one: Json): [string, number, number] => [one.id, one.unread, one.mentions];
    const shown = async (page: Page) => {
      const entries = await page.locator('nav li a').evaluateAll((links) =>
        links.map((link) => {
          const titles = [...link.querySelectorAll('[title]')].map((each) => each.getAttribute('title')).join();
          return {
            id: decodeURIComponent(link.getAttribute('href')?.split('/c/')[1] ?? ''),
            unread: Number(/(\d+) unread/.exec(titles)?.[1] ?? 0),
            mentions: Number(/(\d+) mention/.exec(titles)?.[1] ?? 0),
          };
        }),
      );
      return JSON.stringify(entries.map(counted).sort());
    };
    const stored = async () => {
      const { viewer } = await ada.ask(
        '{ viewer { conversations(first: 50) { nodes { id viewerMembership { unreadCount unreadMentionCount } } } } }',
      );
      const entries = viewer.conversations.nodes.map(({ id, viewerMembership }: Json) => {
        return { id, unread: viewerMembership.unreadCount, mentions: viewerMembership.unreadMentionCount };
      });
      return JSON.stringify(entries.map(counted).sort());
    };
    expect(kinds.size).toBe(5);
    for (const [index, { page, errors }] of devices.entries()) {
      await eventually(
        `device ${index} shows the counts of the server (seed ${seed}): ${await shown(page)}, ${await stored()}`,
        async () => {
          return (await shown(page)) === (await stored());
        },
      );
      expect(errors).toEqual([]);
    }
  });

  it('keeps the focus when conversations change their places', async () => {
    const [ada, bob, eve, mia] = await registerAll(node.url, 'ada', 'bob', 'eve', 'mia');
    const ids: string[] = [];
    for (const other of [bob, eve, mia]) ids.unshift(await openAnswered(ada, other));
    const [mias = '', eves = '', bobs = ''] = ids;
    const { page, errors } = await openApp(browser, url, ada);
    await page.locator('nav li').nth(2).waitFor();
    const order = () =>
      page
        .locator('nav li a')
        .evaluateAll((links) =>
          links.map((link) => decodeURIComponent(link.getAttribute('href')?.split('/c/')[1] ?? '')),
        );
    expect(await order()).toEqual([mias, eves, bobs]);
    await linkTo(page, eves).focus();
    const isFocused = (id: string) => linkTo(page, id).evaluate((link) => link === document.activeElement);
    const moves = async (sender: typeof bob, expected: string[]) => {
      await send(sender, expected[0] ?? '', 'news');
      await eventually('it is the first one', async () => (await order()).join() === expected.join());
      expect(await isFocused(eves)).toBe(true);
    };
    // Another one, the one with the focus itself, and then one that comes before it.
    await moves(bob, [bobs, mias, eves]);
    await moves(eve, [eves, bobs, mias]);
    await moves(mia, [mias, eves, bobs]);
    await page.keyboard.press('ArrowDown');
    expect(await isFocused(bobs)).toBe(true);
    expect(errors).toEqual([]);
  });
});
