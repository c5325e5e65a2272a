import type { Browser, BrowserContext, Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { browserFound, visit } from '../support/browser.js';
import { eventually, type Person, registerAll } from '../support/client.js';
import { setTyping } from '../support/presence.js';
import { createGroup, openAnswered, reply, send } from '../support/talk.js';
import { openApp, rows, startApp } from '../support/web-app.js';

/**
 * The texts of the pseudo locale that are cut off. Its texts are a third longer than the English ones, and end with a
 * bracket.
 */
function cutTexts(): string[] {
  const found: string[] = [];
  const isHidden = (element: Element) =>
    !element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) ||
    element.closest('.visually-hidden, [aria-hidden=true]') !== null;
  const top = document.querySelector('dialog[open]') ?? document.body;
  const walker = document.createTreeWalker(top, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement as HTMLElement;
    // Names of users are between the brackets of some texts, and can be cut off.
    if (!node.textContent?.includes('⟧') || isHidden(element)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const { left, right } = range.getBoundingClientRect();
    for (let box: HTMLElement | null = element; box; box = box.parentElement) {
      const { overflowX } = getComputedStyle(box);
      const outside = box.getBoundingClientRect();
      const isClipped = box === document.body || overflowX === 'hidden' || overflowX === 'clip';
      if (!isClipped || (left >= outside.left - 1 && right <= outside.right + 1)) continue;
      found.push(`${node.textContent} in ${box.tagName}.${box.className}`);
      break;
    }
  }
  for (const field of top.querySelectorAll<HTMLInputElement>('input, textarea')) {
    const text = field.placeholder;
    if (!text.includes('⟧') || isHidden(field) || field.value !== '') continue;
    const style = getComputedStyle(field);
    const context = document.createElement('canvas').getContext('2d') as CanvasRenderingContext2D;
    context.font = style.font;
    const space = field.clientWidth - Number.parseFloat(style.paddingLeft) - Number.parseFloat(style.paddingRight);
    if (context.measureText(text).width > space + 1) found.push(`${text} in ${field.tagName}, ${space} px`);
  }
  return found;
}

describe.skipIf(!browserFound)('the appearance of the web app', () => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  let ada: Person;
  let bob: Person;
  let id: string;
  beforeAll(async () => {
    ({ browser, node, url } = await startApp());
    [ada, bob] = (await registerAll(node.url, 'ada', 'bob')) as [Person, Person];
    await openAnswered(ada, bob);
    id = await createGroup(ada, [bob], { title: 'Garden' });
    const first = await send(bob, id, 'Hello, world!');
    await reply(ada, id, first.id, `@${bob.username} مرحبا بك!`);
  });

  it('is that of the theme and the accent that are chosen in the settings, also after a page load', async () => {
    const { page, errors } = await openApp(browser, url, ada, undefined, { colorScheme: 'light' });
    const appearance = () =>
      page.evaluate(() => {
        const context = document.createElement('canvas').getContext('2d') as CanvasRenderingContext2D;
        const pixel = (color: string) => {
          context.fillStyle = color;
          context.fillRect(0, 0, 1, 1);
          return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
        };
        const probe = document.body.appendChild(document.createElement('i'));
        probe.style.color = 'var(--accent)';
        const accent = pixel(getComputedStyle(probe).color);
        probe.remove();
        const { theme } = document.documentElement.dataset;
        return { theme, background: pixel(getComputedStyle(document.documentElement).backgroundColor), accent };
      });
    await page.getByRole('link', { name: 'Settings' }).click();
    const light = await appearance();
    expect(light.theme).toBeUndefined();
    expect(Math.min(...light.background)).toBeGreaterThan(200);
    await page.getByRole('radio', { name: 'Dark' }).check({ force: true });
    const dark = await appearance();
    expect(dark.theme).toBe('dark');
    expect(Math.max(...dark.background)).toBeLessThan(60);
    await page.getByRole('radio', { name: 'Hue 155°' }).check({ force: true });
    const green = await appearance();
    // The accent is green now, and the rest is as before.
    expect(green.accent.indexOf(Math.max(...green.accent))).toBe(1);
    expect(dark.accent.indexOf(Math.max(...dark.accent))).toBe(2);
    await page.reload();
    await page.getByRole('radio', { name: 'Hue 155°' }).waitFor();
    expect(await appearance()).toEqual(green);
    expect(await page.getByRole('radio', { name: 'Hue 155°' }).isChecked()).toBe(true);
    expect(await page.getByRole('radio', { name: 'Dark' }).isChecked()).toBe(true);
    await page.getByRole('radio', { name: 'System' }).check({ force: true });
    expect((await appearance()).theme).toBeUndefined();
    expect(errors).toEqual([]);
  });

  it('is mirrored in Arabic, and each text has its own direction', async () => {
    const { page, errors } = await openApp(browser, url, ada);
    await page.evaluate(() => localStorage.setItem('parley.locale', 'ar'));
    const languages = new Set<string>();
    page.on('request', (request) => {
      const [, language] = /\/assets\/(ar|de|pseudo)-[^/]+\.js$/.exec(request.url()) ?? [];
      if (language) languages.add(language);
    });
    await page.goto(`${url}c/${encodeURIComponent(id)}`);
    await rows(page).nth(1).waitFor();
    expect(await page.evaluate(() => document.documentElement.dir)).toBe('rtl');
    // The texts of the other languages are not loaded.
    expect([...languages]).toEqual(['ar']);
    const left = (selector: string) =>
      page
        .locator(selector)
        .last()
        .evaluate((element) => element.getBoundingClientRect().left);
    expect(await left('nav')).toBeGreaterThan(await left('[role=log]'));
    // One's own messages are at the end of the line.
    expect(await left('article[data-own] [data-text]')).toBeLessThan(await left('article:not([data-own]) [data-text]'));
    expect(await left('form textarea ~ button')).toBeLessThan(await left('form textarea'));
    /** Where a part of a text is displayed. */
    const place = (selector: string, part: string) =>
      page.locator(selector).evaluate((element, searched) => {
        const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
        for (let text = walker.nextNode(); text; text = walker.nextNode()) {
          const at = text.textContent?.indexOf(searched) ?? -1;
          if (at < 0) continue;
          const range = document.createRange();
          range.setStart(text, at);
          range.setEnd(text, at + searched.length);
          return range.getBoundingClientRect().left;
        }
        throw new Error(`${searched} is not displayed`);
      }, part);
    const english = 'article:not([data-own]) [data-text]';
    expect(await place(english, '!')).toBeGreaterThan(await place(english, 'Hello'));
    const arabic = 'article[data-own] [data-text]';
    // The mention at its beginning does not turn the text around.
    expect(await place(arabic, bob.username)).toBeGreaterThan(await place(arabic, 'مرحبا'));
    expect(await place(arabic, '!')).toBeLessThan(await place(arabic, 'مرحبا'));
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: 800 });
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBe(0);
    }
    await page.goto(`${url}settings`);
    const handle = 'main section:first-of-type p';
    await page.locator(handle).waitFor();
    expect(await place(handle, '@')).toBeLessThan(await place(handle, ada.username));
    expect(errors).toEqual([]);
  });

  it('breaks no word of the title of the list, and cuts off no name of usual length on a telephone', async () => {
    const title = 'Berliner Runde';
    const group = await createGroup(ada, [bob], { title });
    await send(bob, group, 'Hello!');
    const { page, errors } = await openApp(browser, url, ada, group);
    const heading = page.getByRole('navigation').getByRole('heading', { name: 'Conversations' });
    for (const width of [768, 1024, 1280]) {
      await page.setViewportSize({ width, height: 800 });
      const { isVisible, lines } = await heading.evaluate((element) => {
        const { lineHeight } = getComputedStyle(element);
        const isShown = element.checkVisibility({ opacityProperty: true });
        return { isVisible: isShown, lines: element.getBoundingClientRect().height / Number.parseFloat(lineHeight) };
      });
      // Where the word does not fit between the buttons, only screen readers read it.
      expect({ width, isCut: isVisible && lines > 1.5 }).toEqual({ width, isCut: false });
    }
    expect(await heading.evaluate((element) => element.checkVisibility({ opacityProperty: true }))).toBe(true);
    await page.setViewportSize({ width: 390, height: 800 });
    const name = page.getByRole('heading', { name: title }).locator('strong bdi');
    expect(await name.evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)).toBe(0);
    expect(errors).toEqual([]);
  });

  it('stays above a keyboard that covers the page', async () => {
    const { page, errors } = await openApp(browser, url, ada, id, {
      viewport: { width: 390, height: 800 },
      prepare: (context) =>
        // As in Safari on iOS: the visible part becomes smaller, and the page does not.
        context.addInitScript(() => {
          const visible = Object.assign(new EventTarget(), { height: innerHeight, scale: 1 });
          Object.defineProperty(globalThis, 'visualViewport', { value: visible });
        }),
    });
    const show = (height: number, scale = 1) =>
      page.evaluate(
        (change) => {
          Object.assign(globalThis.visualViewport ?? {}, change);
          globalThis.visualViewport?.dispatchEvent(new Event('resize'));
        },
        { height, scale },
      );
    const bottomOf = async () => {
      const box = await page.getByRole('textbox').boundingBox();
      return box ? box.y + box.height : 0;
    };
    await page.getByRole('textbox').focus();
    expect(await bottomOf()).toBeGreaterThan(700);
    await eventually('the composer is above the keyboard', async () => {
      await show(450);
      return (await bottomOf()) <= 450;
    });
    expect((await page.locator('h1 button').boundingBox())?.y).toBeGreaterThanOrEqual(0);
    // The user has enlarged the page instead.
    await show(450, 1.7);
    expect(await bottomOf()).toBeGreaterThan(700);
    await show(450);
    await show(800);
    expect(await bottomOf()).toBeGreaterThan(700);
    expect(errors).toEqual([]);
  });

  it('has space for texts that are longer than the English ones', { timeout: 180_000 }, async () => {
    const found: Record<string, string[]> = {};
    const check = async (page: Page, screen: string) => {
      for (const width of [390, 1280]) {
        await page.setViewportSize({ width, height: 844 });
        const cut = await page.evaluate(cutTexts);
        if (cut.length > 0) found[`${screen}, ${width} px`] = cut;
      }
    };
    const { page } = await openApp(browser, url, ada);
    await page.locator('nav li').nth(1).waitFor();
    await page.evaluate(() => localStorage.setItem('parley.locale', 'pseudo'));
    await page.goto(url);
    await page.locator('nav li').nth(1).waitFor();
    // The statuses are loaded after the list.
    await page.locator('nav section').waitFor();
    expect(await page.locator('nav h1').textContent()).toMatch(/^⟦.*⟧$/);
    await check(page, 'list');
    await page.goto(`${url}notifications`);
    await page.locator('section, [role=region]').first().waitFor();
    await check(page, 'inbox');
    await page.goto(`${url}c/${encodeURIComponent(id)}`);
    await rows(page).nth(1).waitFor();
    await check(page, 'conversation');
    await rows(page).last().press('Enter');
    await page.getByRole('menu').waitFor();
    await check(page, 'menu of a message');
    await page.keyboard.press('Escape');
    await page.getByRole('menu').waitFor({ state: 'detached' });
    await page.locator('h1 button').click();
    await page.getByRole('complementary').getByRole('button').nth(3).waitFor();
    await check(page, 'group');
    await page.getByRole('complementary').getByRole('button').first().focus();
    await page.keyboard.press('Escape');
    await page.getByRole('complementary').waitFor({ state: 'detached' });
    for (const [key, screen] of [
      ['n', 'new conversation'],
      ['?', 'shortcuts'],
      ['Control+k', 'switcher'],
    ] as const) {
      await page.getByRole('log').press(key);
      await page.locator('dialog[open]').waitFor();
      await check(page, screen);
      await page.keyboard.press('Escape');
      await page.locator('dialog[open]').waitFor({ state: 'detached' });
    }
    await page.getByRole('log').press('/');
    await page.locator('input[type=search]').waitFor();
    await check(page, 'search');
    await page.goto(`${url}settings`);
    await page.locator('em').first().waitFor();
    await check(page, 'settings');
    await page.locator('section').first().getByRole('button').first().click();
    await page.locator('dialog[open]').waitFor();
    await check(page, 'profile of the viewer');
    const prepare = (context: BrowserContext) =>
      context.addInitScript(() => localStorage.setItem('parley.locale', 'pseudo'));
    const signedOut = await visit(browser, `${url}sign-in`, { prepare });
    for (const path of ['sign-in', 'sign-up', 'recover', 'reset']) {
      await signedOut.page.goto(`${url}${path}`);
      await signedOut.page.getByRole('heading').first().waitFor();
      await check(signedOut.page, path);
    }
    expect(found).toEqual({});
  });

  it('has no animations if the user prefers reduced motion', async () => {
    const { page, errors } = await openApp(browser, url, ada, id);
    await page.evaluate(() => {
      const animated: string[] = [];
      Object.assign(globalThis, { animated });
      for (const name of ['animationstart', 'transitionrun']) {
        document.addEventListener(
          name,
          ({ target }) => void animated.push(`${name} ${(target as Element).className}`),
          {
            capture: true,
          },
        );
      }
    });
    const animated = (): Promise<string[]> =>
      page.evaluate(() => (globalThis as unknown as { animated: string[] }).animated.splice(0));
    /** Opens and closes what is animated otherwise. */
    const play = async () => {
      await page.getByRole('log').press('?');
      await page.getByRole('dialog').waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await rows(page).last().press('Enter');
      await page.getByRole('menu').waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('menu').waitFor({ state: 'detached' });
      await rows(page)
        .last()
        .getByRole('button', { name: /Hello, world/ })
        .click();
      // The message to which the viewer has jumped is marked, in either case.
      await page.waitForFunction(() => {
        const bubble = document.querySelector('[data-target] [data-text]')?.parentElement;
        return bubble && getComputedStyle(bubble).boxShadow !== 'none';
      });
      await setTyping(bob, id, false);
      await setTyping(bob, id);
      await page.getByText(`${bob.username} is typing`).waitFor();
      await eventually('frames are displayed', () =>
        page.evaluate(
          () =>
            new Promise<boolean>((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(true)))),
        ),
      );
    };
    await play();
    expect((await animated()).length).toBeGreaterThan(3);
    await page.locator('[data-target]').waitFor({ state: 'detached' });
    await page.emulateMedia({ reducedMotion: 'reduce' });
    await animated();
    await play();
    expect(await animated()).toEqual([]);
    expect(await page.evaluate(() => document.getAnimations().length)).toBe(0);
    expect(errors).toEqual([]);
  });
});
