import type { Browser, Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { browserFound, startBrowser } from '../support/browser.js';
import { eventually, type Person, registerAll } from '../support/client.js';
import { makePlace, modes, type Place } from '../support/place.js';
import { createGroup, edit, openDirect, remove, reply, send } from '../support/talk.js';
import { act, composer, openApp, rows, rowWith, write } from '../support/web-app.js';

// One mode is enough: the app sees no difference between them.
const mode = modes.at(-1) ?? 'embedded';

describe.skipIf(!browserFound)('messages in the web app', () => {
  let browser: Browser;
  let place: Place;
  let node: RunningNode;
  let url: string;
  beforeAll(async () => {
    [browser, place] = await Promise.all([startBrowser(), makePlace(mode, { web: true })]);
    node = await place.start();
    url = node.webUrl ?? '';
  });

  async function pair() {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    return { ada, bob, id: await openDirect(ada, bob) };
  }
  const isVisible = (page: Page, text: string) =>
    rowWith(page, text).evaluate((row) => {
      const { top, bottom } = row.getBoundingClientRect();
      return top >= 0 && bottom <= innerHeight;
    });

  it('shows what a message replies to, follows its changes, and goes there', async () => {
    const { ada, bob, id } = await pair();
    const first = await send(bob, id, 'the question');
    for (let number = 1; number <= 40; number += 1) await send(bob, id, `filler ${number}`);
    const { page, errors } = await openApp(browser, url, ada, id);
    await rowWith(page, 'the question').waitFor();
    await act(page, 'the question', 'Reply');
    await page.getByText(`Reply to ${bob.username}`).waitFor();
    await composer(page).press('Escape');
    await page.getByText(`Reply to ${bob.username}`).waitFor({ state: 'detached' });
    await act(page, 'the question', 'Reply');
    await write(page, 'the answer');
    const quote = rowWith(page, 'the answer').getByRole('button', { name: /the question/ });
    await quote.waitFor();
    await eventually('the end is visible', () => isVisible(page, 'the answer'));
    expect(await isVisible(page, 'the question')).toBe(false);
    await quote.click();
    await eventually('the question is visible', () => isVisible(page, 'the question'));
    expect(await rowWith(page, 'the question').evaluate((row) => document.activeElement === row)).toBe(true);
    await page.getByRole('button', { name: 'Go to the latest message' }).click();
    await eventually('the end is visible again', () => isVisible(page, 'the answer'));
    await edit(bob, first.id, 'the better question');
    await rowWith(page, 'the answer')
      .getByRole('button', { name: /the better question/ })
      .waitFor();
    await remove(bob, first.id);
    await rowWith(page, 'the answer')
      .getByRole('button', { name: /This message was deleted/ })
      .waitFor();
    expect(errors).toEqual([]);
  });

  it('keeps the end visible while the composer changes its height, and scrolls long lines of code in their message', async () => {
    const { ada, bob, id } = await pair();
    for (let number = 1; number <= 20; number += 1) await send(bob, id, `filler ${number}`);
    await send(bob, id, `\`\`\`\n${'x'.repeat(200)}\n\`\`\``);
    const { page, errors } = await openApp(browser, url, ada, id, { viewport: { width: 390, height: 700 } });
    const log = page.getByRole('log');
    const toEnd = () => log.evaluate((element) => element.scrollHeight - element.clientHeight - element.scrollTop);
    await log.evaluate((element) => element.scrollTo({ top: element.scrollHeight }));
    await eventually('the end is visible', async () => (await toEnd()) < 1);
    expect(await log.evaluate((element) => element.scrollWidth - element.clientWidth)).toBe(0);
    expect(await page.locator('pre').evaluate((code) => code.scrollWidth > code.clientWidth)).toBe(true);
    await composer(page).fill('one\ntwo\nthree\nfour');
    await eventually('the end is visible', async () => (await toEnd()) < 1);
    // Within one frame, the viewport becomes higher, which moves it, and then lower by more than before.
    await log.evaluate(async (element) => {
      const field = document.querySelector('textarea') as HTMLTextAreaElement;
      const set = (text: string) => {
        Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value')?.set?.call(field, text);
        field.dispatchEvent(new Event('input', { bubbles: true }));
      };
      set('');
      await new Promise(requestAnimationFrame);
      element.getBoundingClientRect();
      set('one\ntwo\nthree\nfour\nfive\nsix\nseven');
    });
    await eventually('the end is visible again', async () => (await toEnd()) < 1);
    expect(errors).toEqual([]);
  });

  it('shows a reaction at once, and reverts it if the server rejects it', async () => {
    const { ada, bob, id } = await pair();
    await send(bob, id, 'Lunch?');
    const { page } = await openApp(browser, url, ada, id);
    const row = rowWith(page, 'Lunch?');
    let release = () => {};
    let isRejected = true;
    await page.route('**/graphql', async (route) => {
      if (!route.request().postData()?.includes('mutation AddReaction')) return route.continue();
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      if (!isRejected) return route.continue();
      const errors = [{ message: 'No more reactions.', extensions: { code: 'FORBIDDEN' } }];
      return route.fulfill({ contentType: 'application/json', body: JSON.stringify({ errors, data: null }) });
    });
    const choose = async () => {
      await row.hover();
      await row.getByRole('button', { name: 'React', exact: true }).click();
      await page.getByRole('searchbox', { name: 'Search emojis' }).fill('pizza');
      await page.keyboard.press('Enter');
    };
    await choose();
    const reaction = row.getByRole('button', { name: '🍕 1' });
    await reaction.waitFor();
    expect(await reaction.getAttribute('aria-pressed')).toBe('true');
    release();
    await page.getByText('No more reactions.').waitFor();
    await reaction.waitFor({ state: 'detached' });
    isRejected = false;
    await choose();
    await reaction.waitFor();
    release();
    const count = async () =>
      (await bob.ask('query ($id: ID!) { conversation(id: $id) { lastMessage { reactions { count } } } }', { id }))
        .conversation.lastMessage.reactions.length;
    await eventually('the reaction is stored', async () => (await count()) === 1);
    await reaction.click();
    await reaction.waitFor({ state: 'detached' });
    await eventually('the reaction is removed', async () => (await count()) === 0);
  });

  it('displays a press of a reaction before the server answers', async () => {
    const { ada, bob, id } = await pair();
    const { id: messageId } = await send(bob, id, 'Fast?');
    await bob.ask('mutation ($input: AddReactionInput!) { addReaction(input: $input) { message { id } } }', {
      input: { messageId, emoji: '👍' },
    });
    const { page } = await openApp(browser, url, ada, id);
    const reaction = rowWith(page, 'Fast?').getByRole('button', { name: /👍/ });
    await reaction.waitFor();
    await page.route('**/graphql', () => new Promise(() => {}));
    const elapsed = await reaction.evaluate(async (button) => {
      const began = performance.now();
      (button as HTMLElement).click();
      while (button.getAttribute('aria-pressed') !== 'true') {
        await new Promise((resolve) => setTimeout(resolve));
        if (performance.now() - began > 5_000) break;
      }
      return { time: performance.now() - began, label: button.getAttribute('aria-label') };
    });
    expect(elapsed.label).toBe('👍 2');
    console.log(`a reaction is displayed after ${elapsed.time.toFixed(1)} ms`);
  });

  it('finds emojis in the language of the app, and in English', async () => {
    const { ada, bob, id } = await pair();
    await send(bob, id, 'Lunch?');
    const { page, errors } = await openApp(browser, url, ada, id);
    for (const [locale, words] of [
      ['de', ['erdbeere', 'strawberry']],
      ['ar', ['فراولة']],
    ] as const) {
      await page.evaluate((name) => localStorage.setItem('parley.locale', name), locale);
      await page.reload();
      await rowWith(page, 'Lunch?').press('+');
      for (const word of words) {
        await page.locator('[popover] input[type=search]').fill(word);
        await page.locator('[popover]').getByRole('button', { name: '🍓', exact: true }).waitFor();
      }
    }
    expect(errors).toEqual([]);
  });

  it('edits the last message with the arrow up key, and keeps what was being written', async () => {
    const { ada, bob, id } = await pair();
    await send(ada, id, 'Helo');
    await send(bob, id, 'Hi');
    const { page, errors } = await openApp(browser, url, ada, id);
    await composer(page).fill('begun');
    await composer(page).press('ArrowUp');
    expect(await page.getByText('Edit message').count()).toBe(0);
    await composer(page).fill('');
    await composer(page).press('ArrowUp');
    await page.getByText('Edit message').waitFor();
    expect(await composer(page).inputValue()).toBe('Helo');
    await composer(page).fill('Hello');
    await composer(page).press('Enter');
    await rowWith(page, 'Hello').getByText('edited').waitFor();
    await page.getByText('Edit message').waitFor({ state: 'detached' });
    await composer(page).fill('begun again');
    await act(page, 'Hello', 'Edit');
    await composer(page).press('Escape');
    expect(await composer(page).inputValue()).toBe('begun again');
    await act(page, 'Hello', 'Details');
    await page.getByRole('dialog').getByText('Helo', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Close' }).click();
    await rowWith(page, 'Hi').hover();
    await rowWith(page, 'Hi').getByRole('button', { name: 'More actions' }).click();
    expect(await page.getByRole('menuitem').allTextContents()).toEqual([
      '',
      'ReplyR',
      'Copy textC',
      'PinP',
      'Details',
      'Was I notified?',
      'Report message',
    ]);
    expect(errors).toEqual([]);
  });

  it('does not offer to edit a message after the time limit', async () => {
    const strict = await (await makePlace(mode, { web: true })).start({ MESSAGE_EDIT_WINDOW: '4s' });
    const [ada, bob] = await registerAll(strict.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    const { page } = await openApp(browser, strict.webUrl ?? '', ada);
    await send(ada, id, 'before');
    await page.locator('nav li a').first().click();
    await write(page, 'too late soon');
    const row = rowWith(page, 'too late soon');
    await row.getByText('Sent', { exact: true }).waitFor();
    await row.hover();
    const button = row.getByRole('button', { name: 'Edit' });
    await button.waitFor();
    await button.waitFor({ state: 'detached' });
    expect(await row.getByRole('button', { name: 'Reply' }).count()).toBe(1);
  });

  it('deletes after a confirmation, and pins and unpins for both', async () => {
    const { ada, bob, id } = await pair();
    await send(bob, id, 'The address is 5 Main St');
    await send(ada, id, 'oops');
    const adas = await openApp(browser, url, ada, id);
    const bobs = await openApp(browser, url, bob, id);
    await act(adas.page, 'oops', 'Delete');
    const dialog = adas.page.getByRole('dialog', { name: 'Delete this message?' });
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await rowWith(adas.page, 'oops').waitFor();
    await act(adas.page, 'oops', 'Delete');
    await dialog.getByRole('button', { name: 'Delete' }).click();
    for (const { page } of [adas, bobs]) await rows(page).getByText('This message was deleted').waitFor();
    await act(adas.page, 'The address is 5 Main St', 'Pin');
    for (const { page } of [adas, bobs]) await page.getByRole('region', { name: '1 pinned message' }).waitFor();
    await act(bobs.page, 'The address is 5 Main St', 'Unpin');
    for (const { page } of [adas, bobs]) {
      await page.getByRole('region', { name: '1 pinned message' }).waitFor({ state: 'detached' });
    }
    for (const { errors } of [adas, bobs]) expect(errors).toEqual([]);
  });

  it('lists pinned messages that are not loaded, and goes to them', async () => {
    const [ada, bob] = await registerAll(node.url, 'owner', 'member');
    const id = await createGroup(ada, [bob]);
    const pin = (messageId: string) =>
      ada.ask('mutation ($input: PinMessageInput!) { pinMessage(input: $input) { message { id } } }', {
        input: { messageId },
      });
    await pin((await send(ada, id, 'first rule')).id);
    for (let number = 1; number <= 120; number += 1) await send(ada, id, `talk ${number}`);
    const { page, errors } = await openApp(browser, url, ada, id);
    await page.getByRole('region', { name: '1 pinned message' }).getByText('first rule').click();
    await eventually(
      'the message is visible',
      async () => (await rowWith(page, 'first rule').count()) === 1 && isVisible(page, 'first rule'),
    );
    await pin((await send(ada, id, 'second rule')).id);
    await page.getByRole('button', { name: '2 pinned messages' }).click();
    expect(await page.getByRole('dialog').getByRole('listitem').count()).toBe(2);
    await page.getByRole('dialog').getByText('second rule').click();
    await eventually(
      'the other message is visible',
      async () => (await rowWith(page, 'second rule').count()) === 1 && isVisible(page, 'second rule'),
    );
    const member = await openApp(browser, url, bob, id);
    await member.page.getByRole('region', { name: '2 pinned messages' }).getByText('second rule').click();
    await rowWith(member.page, 'second rule').hover();
    await rowWith(member.page, 'second rule').getByRole('button', { name: 'More actions' }).click();
    expect(await member.page.getByRole('menuitem', { name: 'Unpin' }).count()).toBe(0);
    expect(errors).toEqual([]);
  });

  it('is used with the keyboard alone', async () => {
    const { ada, bob, id } = await pair();
    for (const text of ['one', 'two', 'three']) await send(bob, id, text);
    const { page, errors } = await openApp(browser, url, ada, id);
    await rowWith(page, 'three').waitFor();
    const focused = () => page.evaluate(() => document.activeElement?.querySelector('[data-text]')?.textContent);
    await composer(page).focus();
    for (let round = 0; (await focused()) !== 'three'; round += 1) {
      expect(round).toBeLessThan(12);
      await page.keyboard.press('Shift+Tab');
    }
    await page.keyboard.press('ArrowUp');
    expect(await focused()).toBe('two');
    await page.keyboard.press('Enter');
    await page.getByRole('menu').waitFor();
    await page.keyboard.press('End');
    await page.keyboard.press('Escape');
    await page.getByRole('menu').waitFor({ state: 'detached' });
    expect(await focused()).toBe('two');
    await page.keyboard.press('r');
    await page.keyboard.type('to two');
    await page.keyboard.press('Enter');
    await rowWith(page, 'to two').getByRole('button', { name: /two/ }).waitFor();
    expect(errors).toEqual([]);
  });

  it('opens the menu of a message on a long press', async () => {
    const { ada, bob, id } = await pair();
    await send(bob, id, 'press me');
    const options = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
    const { page } = await openApp(browser, url, ada, id, options);
    const box = await rowWith(page, 'press me').locator('[data-text]').boundingBox();
    const devtools = await page.context().newCDPSession(page);
    const touchPoints = [{ x: (box?.x ?? 0) + 5, y: (box?.y ?? 0) + 5 }];
    await devtools.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints });
    await page.getByRole('menu').waitFor();
    await devtools.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
    const heights = await page
      .getByRole('menuitem')
      .evaluateAll((items) => items.map((item) => item.getBoundingClientRect().height));
    expect(Math.min(...heights)).toBeGreaterThanOrEqual(44);
    await page.getByRole('menuitem', { name: 'Reply' }).click();
    await page.getByText(`Reply to ${bob.username}`).waitFor();
  });

  it('displays formats and mentions, and no HTML', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await createGroup(ada, [bob]);
    const text = [
      `**bold** *italic* ~~gone~~ \`code\` @${bob.username} @everyone <b>plain</b>`,
      '> quoted',
      '- item',
      '```',
      'const x = 1;',
      '```',
      '[the site](https://example.com/a) javascript:alert(1)',
    ].join('\n');
    await reply(ada, id, (await send(ada, id, 'start')).id, text);
    const { page, errors } = await openApp(browser, url, bob, id);
    const content = rows(page).last().locator('[data-text]');
    const texts = (selector: string) => content.locator(selector).allTextContents();
    expect(await texts('strong')).toEqual(['bold']);
    expect(await texts('em')).toEqual(['italic']);
    expect(await texts('s')).toEqual(['gone']);
    expect(await texts('code')).toEqual(['code', 'const x = 1;']);
    expect(await texts('blockquote')).toEqual(['quoted']);
    expect(await texts('li')).toEqual(['item']);
    expect(await texts('[data-own]')).toEqual([`@${bob.username}`, '@everyone']);
    expect(await content.locator('a').evaluateAll((links) => links.map((link) => link.getAttribute('href')))).toEqual([
      'https://example.com/a',
    ]);
    expect(await content.locator('b').count()).toBe(0);
    expect(await content.textContent()).toContain('<b>plain</b>');
    expect(errors).toEqual([]);
  });

  describe('mentions', () => {
    const options = (page: Page) => page.getByRole('option').allTextContents();
    async function groupOf(owner: Person, others: Person[]) {
      const id = await createGroup(owner, others);
      await send(owner, id, 'welcome');
      return id;
    }

    it('are chosen from the members, with @everyone for those who may use it', async () => {
      const [ada, bob, bella] = await registerAll(node.url, 'ada', 'bob', 'bella');
      const id = await groupOf(ada, [bob, bella]);
      const { page, errors } = await openApp(browser, url, ada, id);
      await composer(page).pressSequentially('Hello @b');
      await eventually('both are offered', async () => (await options(page)).length === 2);
      await composer(page).press('ArrowDown');
      const active = await composer(page).getAttribute('aria-activedescendant');
      const chosen = await page.locator(`#${active}`).textContent();
      await composer(page).press('Enter');
      await page.getByRole('listbox').waitFor({ state: 'detached' });
      const username = /@(.+)$/.exec(chosen ?? '')?.[1];
      expect(await composer(page).inputValue()).toBe(`Hello @${username} `);
      await composer(page).pressSequentially('and @every');
      await eventually('everyone is offered', async () => (await options(page)).join().includes('@everyone'));
      await composer(page).press('Escape');
      await page.getByRole('listbox').waitFor({ state: 'detached' });
      await composer(page).press('Enter');
      await rows(page).last().getByText(`@${username}`).waitFor();
      const member = await openApp(browser, url, bob, id);
      await composer(member.page).pressSequentially('@');
      await eventually('others are offered', async () => (await options(member.page)).length === 2);
      expect((await options(member.page)).join()).not.toContain('everyone');
      expect(errors).toEqual([]);
    });
  });
});
