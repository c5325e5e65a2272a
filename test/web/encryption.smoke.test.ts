import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { browserFound } from '../support/browser.js';
import { eventually, registerAll } from '../support/client.js';
import { openDirect, react, send } from '../support/talk.js';
import { act, composer, openApp, rowWith, startApp, write } from '../support/web-app.js';
import { setUp } from '../support/web-encryption.js';

it.skipIf(!browserFound)('a user encrypts a conversation, and reads it after a reload', async () => {
  const { browser, node, url } = await startApp();
  const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
  const id = await openDirect(ada, bob);
  await send(bob, id, 'Before');
  const { id: own } = await send(ada, id, 'Mine');
  await react(bob, own, '👍');
  const { page, errors } = await openApp(browser, url, ada);
  await setUp(page, url);
  await page.goto(`${url}c/${encodeURIComponent(id)}`);
  await page.locator('h1 button').click();
  await page.getByRole('button', { name: 'Turn on encryption' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Turn on encryption' }).click();
  // Nothing can be written behind the dialog.
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.getByPlaceholder('Encrypted message').waitFor();
  await write(page, 'Only for us');
  await page
    .getByText('Waiting to be sent')
    .or(page.getByText('Sending', { exact: true }))
    .first()
    .waitFor({ state: 'detached' });
  await page.reload();
  const row = rowWith(page, 'Only for us');
  await row.waitFor();
  const choose = async (name: string) => {
    await row.hover();
    await row.getByRole('button', { name: 'React', exact: true }).click();
    await page.getByRole('searchbox', { name: 'Search emojis' }).fill(name);
    await page.keyboard.press('Enter');
  };
  const REACTIONS = `query ($id: ID!) { conversation(id: $id) { messages(last: 1) { nodes {
    id reactions { emoji count isEncrypted } } } } }`;
  const stored = async () => (await bob.ask(REACTIONS, { id })).conversation.messages.nodes[0].reactions;
  await choose('pizza');
  const reaction = row.getByRole('button', { name: '🍕 1', exact: true });
  await reaction.waitFor();
  await eventually('the reaction is stored', async () => (await stored()).length === 1);
  expect(await stored()).toEqual([{ emoji: expect.stringMatching(/^[\w-]{84}$/), count: 1, isEncrypted: true }]);
  await page.reload();
  await reaction.waitFor();
  expect(await reaction.getAttribute('aria-pressed')).toBe('true');
  // Nobody in the group has encrypted this one.
  const { conversation: read } = await bob.ask(REACTIONS, { id });
  const input = { messageId: read.messages.nodes[0].id, emoji: randomBytes(63).toString('base64url') };
  await bob.ask('mutation ($input: AddReactionInput!) { addReaction(input: $input) { message { id } } }', { input });
  const unreadable = row.getByRole('button', { name: 'Reaction that cannot be shown 1' });
  await unreadable.waitFor();
  expect(await unreadable.isDisabled()).toBe(true);
  // One from before the encryption, to a message that was edited since then.
  await act(page, 'Mine', 'Edit');
  await composer(page).fill('Mine, encrypted');
  await composer(page).press('Enter');
  const exposed = rowWith(page, 'Mine, encrypted').getByRole('button', { name: '👍 1, Not encrypted', exact: true });
  await exposed.waitFor();
  expect(await exposed.getAttribute('title')).toBe('Not encrypted');
  const styleOf = (button: typeof exposed) => button.evaluate((each) => getComputedStyle(each).borderTopStyle);
  expect([await styleOf(exposed), await styleOf(unreadable), await styleOf(reaction)]).toEqual([
    'dashed',
    'dashed',
    'solid',
  ]);
  if (process.env['SHOTS']) await page.screenshot({ path: `${process.env['SHOTS']}/encrypted-reactions.png` });
  await reaction.click();
  await reaction.waitFor({ state: 'detached' });
  await eventually('the reaction is removed', async () => (await stored()).length === 1);
  const { conversation } = await bob.ask(
    'query ($id: ID!) { conversation(id: $id) { messages(last: 1) { nodes { text encrypted { epoch } } } } }',
    { id },
  );
  expect(conversation.messages.nodes).toMatchObject([{ text: null, encrypted: { epoch: expect.any(Number) } }]);
  expect(errors).toEqual([]);
});
