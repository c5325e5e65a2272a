import { expect, it } from 'vitest';
import { browserFound } from '../support/browser.js';
import { registerAll } from '../support/client.js';
import { openDirect, send } from '../support/talk.js';
import { openApp, rowWith, startApp, write } from '../support/web-app.js';
import { setUp } from '../support/web-encryption.js';

it.skipIf(!browserFound)('a user encrypts a conversation, and reads it after a reload', async () => {
  const { browser, node, url } = await startApp();
  const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
  const id = await openDirect(ada, bob);
  await send(bob, id, 'Before');
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
  await rowWith(page, 'Only for us').waitFor();
  const { conversation } = await bob.ask(
    'query ($id: ID!) { conversation(id: $id) { messages(last: 1) { nodes { text encrypted { epoch } } } } }',
    { id },
  );
  expect(conversation.messages.nodes).toMatchObject([{ text: null, encrypted: { epoch: expect.any(Number) } }]);
  expect(errors).toEqual([]);
});
