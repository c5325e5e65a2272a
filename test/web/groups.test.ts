import type { Browser } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { browserFound } from '../support/browser.js';
import { eventually, registerAll } from '../support/client.js';
import { createGroup, openDirect, send } from '../support/talk.js';
import { composer, openApp, rows, rowWith, startApp, write } from '../support/web-app.js';

describe.skipIf(!browserFound)('groups and people in the web app', () => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  beforeAll(async () => {
    ({ browser, node, url } = await startApp());
  });

  it('creates a group, adds people, changes roles and settings, and leaves it', async () => {
    const [ada, bob, eve] = await registerAll(node.url, 'ada', 'bob', 'eve');
    const adas = await openApp(browser, url, ada);
    const { page } = adas;
    await page.getByRole('button', { name: 'New conversation' }).first().click();
    await page.getByRole('button', { name: 'New group' }).click();
    const dialog = page.getByRole('dialog', { name: 'New group' });
    await dialog.getByRole('button', { name: 'Create group' }).click();
    await dialog.getByText('Fill in this field.').waitFor();
    await dialog.getByLabel('Title').fill('Garden');
    await dialog.getByRole('searchbox').fill(bob.username);
    await dialog.getByRole('checkbox', { name: bob.username }).check();
    await dialog.getByRole('button', { name: `Remove ${bob.username}` }).waitFor();
    await dialog.getByRole('button', { name: 'Create group' }).click();
    await write(page, 'Welcome');
    await rowWith(page, 'Welcome').waitFor();

    const bobs = await openApp(browser, url, bob);
    await bobs.page.getByRole('link', { name: /Garden/ }).click();
    await rowWith(bobs.page, 'Welcome').waitFor();
    await bobs.page.getByRole('button', { name: /Garden/ }).click();
    const seen = bobs.page.getByRole('complementary');
    await seen.getByRole('button', { name: 'Leave the group' }).waitFor();
    expect(await seen.getByRole('button', { name: /Edit title|Add people|Actions for/ }).count()).toBe(0);

    await page.getByRole('button', { name: /Garden/ }).click();
    const panel = page.getByRole('complementary', { name: 'About this group' });
    await panel.getByRole('button', { name: 'Edit title and description' }).click();
    await page.getByRole('dialog').getByLabel('Title').fill('Kitchen garden');
    await page.getByRole('dialog').getByLabel('Description').fill('What grows where');
    await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
    await panel.getByText('What grows where').waitFor();
    await seen.getByText('What grows where').waitFor();

    await panel.getByRole('button', { name: 'Add people' }).click();
    await page.getByRole('dialog').getByRole('searchbox').fill(eve.username);
    await page.getByRole('dialog').getByRole('checkbox', { name: eve.username }).check();
    await page.getByRole('dialog').getByRole('button', { name: 'Add 1' }).click();
    await panel.getByRole('button', { name: `Actions for ${eve.username}` }).waitFor();
    await seen.getByText(`@${eve.username}`).waitFor();

    await panel.getByRole('button', { name: `Actions for ${bob.username}` }).click();
    await page.getByRole('menuitem', { name: 'Make admin' }).click();
    await panel.getByRole('button', { name: new RegExp(`${bob.username}.*Admin`) }).waitFor();
    await seen.getByRole('button', { name: 'Add people' }).waitFor();

    await panel.getByRole('radio', { name: /Public/ }).check();
    await seen.getByText('Public · 3 members').waitFor();

    await panel.getByRole('button', { name: `Actions for ${eve.username}` }).click();
    await page.getByRole('menuitem', { name: 'Remove from the group' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Remove from the group' }).click();
    await seen.getByText('Public · 2 members').waitFor();

    await seen.getByRole('button', { name: 'Leave the group' }).click();
    await bobs.page.getByRole('dialog').getByRole('button', { name: 'Leave the group' }).click();
    await bobs.page.waitForURL(url);
    await bobs.page.getByRole('link', { name: /Kitchen garden/ }).waitFor({ state: 'detached' });
    await panel.getByText('Public · 1 member').waitFor();
    for (const { errors } of [adas, bobs]) expect(errors).toEqual([]);
  });

  it('lists public groups, shows one that the viewer is not in, and joins it', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const title = `Chess ${ada.username}`;
    const id = await createGroup(ada, [], { title, visibility: 'PUBLIC' });
    await send(ada, id, 'First move?');
    const { page, errors } = await openApp(browser, url, bob);
    await page.getByRole('button', { name: 'New conversation' }).first().click();
    await page.getByRole('button', { name: 'Public groups' }).click();
    await page.getByRole('searchbox', { name: 'Search public groups' }).fill(ada.username);
    await page.getByRole('button', { name: `Join ${title}` }).waitFor();
    await page.getByRole('button', { name: 'Close' }).click();
    await page.goto(`${url}c/${encodeURIComponent(id)}`);
    await page.getByRole('button', { name: 'Join this group' }).click();
    await rowWith(page, 'First move?').waitFor();
    await write(page, 'e4');
    await rowWith(page, 'e4').getByText('Sent', { exact: true }).waitFor();
    await page.getByRole('link', { name: new RegExp(title) }).waitFor();
    expect(errors).toEqual([]);
  });

  it('shows a profile, adds to the contacts, and blocks and unblocks', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'Hi');
    const { page, errors } = await openApp(browser, url, ada, id);
    await page.getByRole('heading', { name: bob.username }).getByRole('button').click();
    const panel = page.getByRole('complementary', { name: 'Profile' });
    await panel.getByRole('button', { name: 'Add to contacts' }).click();
    await panel.getByRole('button', { name: 'Remove from contacts' }).waitFor();
    expect(await panel.getByRole('button', { name: 'Send a message' }).count()).toBe(0);
    await page.getByRole('button', { name: 'New conversation' }).click();
    await page
      .getByRole('dialog')
      .getByRole('button', { name: `@${bob.username}` })
      .waitFor();
    await page.getByRole('button', { name: 'Close' }).last().click();
    await panel.getByRole('button', { name: 'Block' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Block' }).click();
    await panel.getByRole('button', { name: 'Unblock' }).waitFor();
    await page.goto(`${url}settings`);
    await page.getByRole('button', { name: `Unblock ${bob.username}` }).click();
    await page.getByText('You have not blocked anybody.').waitFor();
    await page.goto(`${url}c/${encodeURIComponent(id)}`);
    await write(page, 'Hello again');
    await rowWith(page, 'Hello again').getByText('Sent', { exact: true }).waitFor();
    // In a group, the profile leads to the direct conversation.
    const group = await createGroup(bob, [ada]);
    await send(bob, group, 'Hi all');
    await page.goto(`${url}c/${encodeURIComponent(group)}`);
    await rowWith(page, 'Hi all').getByRole('button', { name: bob.username }).first().click();
    await panel.getByRole('button', { name: 'Send a message' }).click();
    await page.waitForURL(`${url}c/${encodeURIComponent(id)}`);
    expect(errors).toEqual([]);
  });

  it('shows a draft on one device that was begun on another, until it is sent', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'Tell me');
    const desk = await openApp(browser, url, ada, id);
    const phone = await openApp(browser, url, ada, id, { viewport: { width: 390, height: 844 } });
    await rowWith(desk.page, 'Tell me').hover();
    await rowWith(desk.page, 'Tell me').getByRole('button', { name: 'Reply' }).click();
    await composer(desk.page).fill('It began');
    await eventually('the draft is there', async () => (await composer(phone.page).inputValue()) === 'It began');
    await phone.page.getByText(`Reply to ${bob.username}`).waitFor();
    await composer(phone.page).fill('It began and ended');
    await composer(phone.page).press('Enter');
    await rowWith(desk.page, 'It began and ended').waitFor();
    await eventually('the draft is gone', async () => (await composer(desk.page).inputValue()) === '');
    expect(await rows(desk.page).count()).toBe(2);
    const { viewer } = await ada.ask('{ viewer { drafts { id } } }');
    expect(viewer.drafts).toEqual([]);
    for (const { errors } of [desk, phone]) expect(errors).toEqual([]);
  });
});
