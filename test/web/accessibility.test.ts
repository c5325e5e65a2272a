import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { violations } from '../support/axe.js';
import { browserFound, startBrowser, visit } from '../support/browser.js';
import { type Person, registerAll } from '../support/client.js';
import { makePicture, makeRecording, sendWith, uploaded } from '../support/media.js';
import { makePlace, modes } from '../support/place.js';
import { createGroup, edit, openAnswered, reply, send } from '../support/talk.js';
import { openApp, rowWith } from '../support/web-app.js';

// One mode is enough: the app sees no difference between them.
const mode = modes.at(-1) ?? 'embedded';

/** The widths of a telephone, a tablet and a window. The last one is that of `visit`. */
const widths = [390, 768, 1280];
/** The smallest size of what is pressed with a finger, in pixels. */
const TARGET_PX = 44;

/** The elements that can be pressed and are too small for a finger. Links and mentions in a text are as high as its lines. */
const smallTargets = (page: Page): Promise<string[]> =>
  page.evaluate((least) => {
    const top = document.querySelector('dialog[open], :popover-open') ?? document;
    const targets = [...top.querySelectorAll<HTMLElement>('button, a, input, textarea, summary, [role=option]')];
    return targets
      .filter((element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
      .filter((element) => !element.closest('[data-text], .visually-hidden') && element.closest('label') === null)
      .concat([...top.querySelectorAll<HTMLElement>('label:has(input)')])
      .flatMap((element) => {
        // A field is pressed anywhere in its box.
        const box = element.matches('input, textarea') ? (element.parentElement ?? element) : element;
        const { width, height } = box.getBoundingClientRect();
        const isSmall = width > 0 && (width < least - 0.5 || height < least - 0.5);
        return isSmall ? [`${width} x ${height}: ${element.outerHTML.slice(0, 160)}`] : [];
      });
  }, TARGET_PX);

describe.skipIf(!browserFound)('accessibility of the web app', () => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  let ada: Person;
  let bob: Person;
  let zoe: Person;
  let group: string;
  /** A message that each visit changes while the viewer is away. */
  let changed: string;
  let changes = 0;
  let picture: Buffer;
  beforeAll(async () => {
    const [started, place] = await Promise.all([
      startBrowser(['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']),
      makePlace(mode, { web: true }),
    ]);
    browser = started;
    node = await place.start();
    url = node.webUrl ?? '';
    const people = await registerAll(node.url, 'ada', 'bob', 'eve', 'zoe');
    const eve = people[2];
    [ada, bob, , zoe] = people;
    await openAnswered(ada, bob);
    group = await createGroup(ada, [bob, eve], { title: 'Garden', description: 'What grows where' });
    const { id } = await send(bob, group, `**Bold** and \`code\` for @${ada.username} at https://example.com`);
    await reply(ada, group, id, '> quoted\n\n- item\n\n```\nconst x = 1;\n```');
    for (const [mutation, input] of [
      ['pinMessage', { messageId: id }],
      ['addReaction', { messageId: id, emoji: '👍' }],
    ] as const) {
      const type = `${mutation[0]?.toUpperCase()}${mutation.slice(1)}Input`;
      await ada.ask(`mutation ($input: ${type}!) { ${mutation}(input: $input) { message { id } } }`, { input });
    }
    picture = await makePicture('jpeg');
    const files = await Promise.all([
      uploaded(node.url, bob, picture, { kind: 'IMAGE', filename: 'beach.jpg', altText: 'A beach' }),
      uploaded(node.url, bob, Buffer.from('notes'), { filename: 'notes.txt' }),
      uploaded(node.url, bob, makeRecording(), { kind: 'VOICE', filename: 'voice.wav' }),
    ]);
    await sendWith(
      bob,
      group,
      files.map((each) => each.id),
    );
    changed = (await send(bob, group, 'version 0')).id;
    await send(eve, group, 'last words');
  });

  /** Opens each screen, and calls `check` with it. */
  async function visitAll(
    options: BrowserContextOptions,
    theme: string,
    check: (page: Page, screen: string) => Promise<void>,
  ): Promise<void> {
    const signedOut = await visit(browser, `${url}sign-in`, options);
    await signedOut.page.evaluate((name) => localStorage.setItem('parley.theme', name), theme);
    for (const path of ['sign-in', 'sign-up', 'recover', 'reset']) {
      await signedOut.page.goto(`${url}${path}`);
      await signedOut.page.getByRole('heading').first().waitFor();
      await check(signedOut.page, path);
    }
    await signedOut.page.context().close();
    // A user without conversations.
    const start = await openApp(browser, url, zoe, undefined, options);
    await start.page.evaluate((name) => localStorage.setItem('parley.theme', name), theme);
    await start.page.reload();
    await start.page
      .getByRole('heading', { name: /^Welcome, / })
      .filter({ visible: true })
      .first()
      .waitFor();
    await check(start.page, 'start');
    await start.page.goto(`${url}invite/nobody`);
    await start.page.getByText('This invitation is not valid').waitFor();
    await check(start.page, 'invitation');
    await start.page.goto(`${url}nothing/here`);
    await start.page.getByRole('heading', { name: 'This page does not exist' }).waitFor();
    await check(start.page, 'page that does not exist');
    await start.page.context().close();
    const { page } = await openApp(browser, url, ada, undefined, options);
    await page.evaluate((name) => localStorage.setItem('parley.theme', name), theme);
    await page.reload();
    await page.locator('nav li').first().waitFor();
    await check(page, 'list');
    await page.getByRole('link', { name: /^Notifications/ }).click();
    await page.getByRole('region', { name: 'Notifications' }).getByRole('link').first().waitFor();
    await check(page, 'inbox');
    await page.keyboard.press('Escape');
    await page.goto(`${url}c/${encodeURIComponent(group)}`);
    const row = rowWith(page, 'last words');
    await row.waitFor();
    await page.getByRole('region', { name: '1 pinned message' }).waitFor();
    await row.hover();
    await check(page, 'conversation');
    await page.getByRole('button', { name: /^Notifications:/ }).click();
    await page.getByRole('menu').waitFor();
    await check(page, 'notifications of a conversation');
    await page.keyboard.press('Escape');
    // With a key, because the buttons of a message are not displayed on a touch screen.
    await row.press('Enter');
    await page.getByRole('menu').waitFor();
    await check(page, 'menu of a message');
    await page.getByRole('menuitem', { name: 'Details' }).click();
    await page.getByRole('dialog').getByRole('heading', { name: 'Sent' }).waitFor();
    await check(page, 'details of a message');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await row.press('Enter');
    await page.getByRole('menuitem', { name: 'Was I notified?' }).click();
    await page.getByRole('dialog', { name: 'Was I notified?' }).getByText('Your settings at that time').waitFor();
    await check(page, 'explanation of a notification');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await row.press('+');
    await page.getByRole('searchbox', { name: 'Search emojis' }).waitFor();
    await check(page, 'emojis');
    await page.keyboard.press('Escape');
    await page.getByRole('textbox', { name: /^Message / }).pressSequentially('@');
    await page.getByRole('listbox').waitFor();
    await check(page, 'mentions');
    await page.keyboard.press('Escape');
    await page.getByRole('textbox', { name: /^Message / }).fill('');
    await page.getByLabel('Attach files').setInputFiles([
      { name: 'beach.jpg', mimeType: 'image/jpeg', buffer: picture },
      { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('notes') },
    ]);
    await page.getByRole('list', { name: '2 files attached' }).getByRole('img').waitFor();
    await check(page, 'files of a draft');
    await page.getByRole('button', { name: /Describe beach.jpg/ }).click();
    await page.getByRole('dialog', { name: 'Describe the image' }).waitFor();
    await check(page, 'description of an image');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    for (const name of ['beach.jpg', 'notes.txt']) await page.getByRole('button', { name: `Remove ${name}` }).click();
    await page.getByRole('button', { name: 'Record a voice message' }).click();
    await page.getByRole('timer').waitFor();
    await check(page, 'recording');
    await page.getByRole('button', { name: 'Discard the recording' }).click();
    await page.getByRole('button', { name: 'Open image: A beach' }).click();
    await page.getByRole('dialog', { name: 'Image' }).getByRole('img').waitFor();
    await check(page, 'image');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.getByRole('heading', { name: 'Garden' }).getByRole('button').click();
    await page
      .getByRole('button', { name: /^Actions for/ })
      .first()
      .waitFor();
    await check(page, 'group');
    await page.getByRole('button', { name: 'Add people' }).click();
    await page.getByRole('dialog').getByRole('searchbox').fill('a');
    await check(page, 'adding people');
    await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
    await page.getByRole('complementary').getByRole('button', { name: /^eve/ }).first().click();
    await page.getByRole('button', { name: 'Block' }).waitFor();
    await check(page, 'profile');
    // On a narrow screen, the panel is in front of the conversation.
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Summaries' }).click();
    await page.getByRole('button', { name: 'Summarize' }).click();
    await page.locator('details').first().waitFor();
    await check(page, 'summaries');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Search in this conversation' }).click();
    await page.getByRole('searchbox', { name: 'Search messages' }).waitFor();
    await check(page, 'help of the search');
    await page.getByRole('searchbox', { name: 'Search messages' }).fill('words');
    await page.locator('mark').first().waitFor();
    await check(page, 'search');
    await page.keyboard.press('Escape');
    // A dialog that is closing would close the next one.
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.getByRole('log').press('n');
    await page.getByRole('button', { name: 'Public groups' }).waitFor();
    await check(page, 'new conversation');
    await page.getByRole('button', { name: 'Public groups' }).click();
    await page.getByRole('searchbox', { name: 'Search public groups' }).waitFor();
    await check(page, 'public groups');
    await page.keyboard.press('Escape');
    // A dialog that is closing would close the next one.
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.getByRole('log').press('n');
    await page.getByRole('button', { name: 'New group' }).click();
    await page.getByRole('button', { name: 'Create group' }).waitFor();
    await check(page, 'new group');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox').waitFor();
    await check(page, 'switcher');
    await page.keyboard.press('Escape');
    await page.getByRole('log').focus();
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
    await check(page, 'shortcuts');
    await page.goto(`${url}settings`);
    await page.locator('em').getByText('This device').waitFor();
    await page.getByRole('checkbox', { name: 'Quiet hours' }).check();
    await page.locator('select[name=time-zone]').waitFor();
    await check(page, 'settings');
    await page.getByRole('button', { name: 'Edit profile' }).click();
    await page.getByRole('dialog').waitFor();
    await check(page, 'profile of the viewer');
    await page.goto('about:blank');
    changes += 1;
    await edit(bob, changed, `version ${changes}`);
    await page.goto(url);
    await page.getByRole('button', { name: '1 message you read was changed' }).filter({ visible: true }).click();
    await page.getByRole('dialog', { name: 'Changed while you were away' }).locator('ins').waitFor();
    await check(page, 'changes');
    await page.goto(`${url}?chaos`);
    await page.getByRole('region', { name: 'Chaos' }).waitFor();
    await check(page, 'chaos');
    await page.context().close();
  }

  it.each([
    ['light', 'light'],
    ['dark', 'dark'],
    ['contrast', 'light'],
    ['contrast', 'dark'],
  ] as const)(
    'violates no rule of axe on any screen: %s, on a system that is %s',
    { timeout: 180_000 },
    async (theme, colorScheme) => {
      const found: Record<string, string[]> = {};
      await visitAll({ colorScheme, reducedMotion: 'reduce' }, theme, async (page, screen) => {
        for (const width of widths) {
          await page.setViewportSize({ width, height: 800 });
          const rules = await violations(page);
          if (rules.length > 0) found[`${screen}, ${width} px`] = rules;
        }
      });
      expect(found).toEqual({});
    },
  );

  it('has no target on a touch screen that is smaller than a finger', async () => {
    const options = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
    const found: Record<string, string[]> = {};
    await visitAll({ ...options, reducedMotion: 'reduce' }, 'light', async (page, screen) => {
      const small = await smallTargets(page);
      if (small.length > 0) found[screen] = small;
    });
    expect(found).toEqual({});
  });
});
