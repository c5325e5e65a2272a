import axe from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { browserFound, startBrowser, visit } from '../support/browser.js';
import { type Person, registerAll } from '../support/client.js';
import { makePlace, modes } from '../support/place.js';
import { createGroup, openAnswered, reply, send } from '../support/talk.js';
import { openApp, rowWith } from '../support/web-app.js';

// One mode is enough: the app sees no difference between them.
const mode = modes.at(-1) ?? 'embedded';

interface Violation {
  id: string;
  nodes: { html: string; failureSummary?: string }[];
}

/** The rules that a screen breaks, with the elements. */
async function violations(page: Page): Promise<string[]> {
  if (!(await page.evaluate('"axe" in window'))) await page.evaluate(axe.source);
  // Transitions change colors.
  await page.evaluate(() => Promise.all(document.getAnimations().map((each) => each.finished.catch(() => {}))));
  const found = await page.evaluate<Violation[]>(
    'axe.run(document, { resultTypes: ["violations"] }).then((all) => all.violations)',
  );
  return found.map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('\n')}`,
  );
}

describe.skipIf(!browserFound)('accessibility of the web app', () => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  let ada: Person;
  let group: string;
  beforeAll(async () => {
    const [started, place] = await Promise.all([startBrowser(), makePlace(mode)]);
    browser = started;
    node = await place.start();
    url = node.webUrl ?? '';
    const [first, bob, eve] = await registerAll(node.url, 'ada', 'bob', 'eve');
    ada = first;
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
    await send(eve, group, 'last words');
  });

  it.each([
    ['light', 'light'],
    ['dark', 'dark'],
    ['contrast', 'light'],
    ['contrast', 'dark'],
  ] as const)('violates no rule of axe on any screen: %s, on a system that is %s', async (theme, colorScheme) => {
    const options = { colorScheme, reducedMotion: 'reduce' } as const;
    const found: Record<string, string[]> = {};
    const signedOut = await visit(browser, `${url}sign-in`, options);
    await signedOut.page.evaluate((name) => localStorage.setItem('parley.theme', name), theme);
    for (const path of ['sign-in', 'sign-up', 'recover', 'reset']) {
      await signedOut.page.goto(`${url}${path}`);
      await signedOut.page.getByRole('heading').first().waitFor();
      found[path] = await violations(signedOut.page);
    }
    const { page } = await openApp(browser, url, ada, undefined, options);
    await page.evaluate((name) => localStorage.setItem('parley.theme', name), theme);
    await page.reload();
    const check = async (screen: string) => {
      found[screen] = await violations(page);
    };
    await page.locator('nav li').first().waitFor();
    await check('list');
    await page.goto(`${url}c/${encodeURIComponent(group)}`);
    const row = rowWith(page, 'last words');
    await row.waitFor();
    await page.getByRole('region', { name: '1 pinned message' }).waitFor();
    await row.hover();
    await check('conversation');
    await row.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menu').waitFor();
    await check('menu of a message');
    await page.getByRole('menuitem', { name: 'Details' }).click();
    await page.getByRole('dialog').getByRole('heading', { name: 'Sent' }).waitFor();
    await check('details of a message');
    await page.keyboard.press('Escape');
    await row.hover();
    await row.getByRole('button', { name: 'React' }).click();
    await page.getByRole('searchbox', { name: 'Search emojis' }).waitFor();
    await check('emojis');
    await page.keyboard.press('Escape');
    await page.getByRole('textbox', { name: /^Message / }).pressSequentially('@');
    await page.getByRole('listbox').waitFor();
    await check('mentions');
    await page.keyboard.press('Escape');
    await page.getByRole('textbox', { name: /^Message / }).fill('');
    await page.getByRole('heading', { name: 'Garden' }).getByRole('button').click();
    await page
      .getByRole('button', { name: /^Actions for/ })
      .first()
      .waitFor();
    await check('group');
    await page.getByRole('button', { name: 'Add people' }).click();
    await page.getByRole('dialog').getByRole('searchbox').fill('a');
    await check('adding people');
    await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
    await page.getByRole('complementary').getByRole('button', { name: /^eve/ }).first().click();
    await page.getByRole('button', { name: 'Block' }).waitFor();
    await check('profile');
    await page.getByRole('button', { name: 'Summaries' }).click();
    await page.getByRole('button', { name: 'Summarize' }).click();
    await page.locator('details').first().waitFor();
    await check('summaries');
    await page.getByRole('button', { name: 'Search in this conversation' }).click();
    await page.getByRole('searchbox', { name: 'Search messages' }).waitFor();
    await check('help of the search');
    await page.getByRole('searchbox', { name: 'Search messages' }).fill('words');
    await page.locator('mark').first().waitFor();
    await check('search');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'New conversation' }).click();
    await page.getByRole('button', { name: 'Public groups' }).waitFor();
    await check('new conversation');
    await page.getByRole('button', { name: 'Public groups' }).click();
    await page.getByRole('searchbox', { name: 'Search public groups' }).waitFor();
    await check('public groups');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'New conversation' }).click();
    await page.getByRole('button', { name: 'New group' }).click();
    await page.getByRole('button', { name: 'Create group' }).waitFor();
    await check('new group');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox').waitFor();
    await check('switcher');
    await page.keyboard.press('Escape');
    await page.getByRole('log').focus();
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
    await check('shortcuts');
    await page.goto(`${url}settings`);
    await page.getByText('This device').waitFor();
    await check('settings');
    await page.getByRole('button', { name: 'Edit profile' }).click();
    await page.getByRole('dialog').waitFor();
    await check('profile of the viewer');
    const wrong = Object.fromEntries(Object.entries(found).filter(([, rules]) => rules.length > 0));
    expect(wrong).toEqual({});
  });
});
