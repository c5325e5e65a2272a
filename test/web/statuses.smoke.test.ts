import { expect, it } from 'vitest';
import { browserFound } from '../support/browser.js';
import { registerAll } from '../support/client.js';
import { befriend } from '../support/status-posts.js';
import { openAnswered } from '../support/talk.js';
import { openApp, startApp } from '../support/web-app.js';
import { postText, strip, viewer } from '../support/web-statuses.js';

it.skipIf(!browserFound)('two users post, view and answer a status, and both see what became of it', async () => {
  const { browser, node, url } = await startApp();
  const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
  await befriend(ada, bob);
  await openAnswered(ada, bob);
  const [adas, bobs] = [await openApp(browser, url, ada), await openApp(browser, url, bob)];
  await postText(adas.page, 'On the summit');
  const entry = bobs.page.getByRole('button', { name: `${ada.username}, 1 status, new` });
  await entry.click();
  const shown = viewer(bobs.page, ada.username);
  await shown.getByText('On the summit', { exact: true }).waitFor();
  await shown.getByRole('textbox', { name: `Reply to ${ada.username}` }).fill('Well done!');
  await shown.getByRole('button', { name: 'Send' }).click();
  await bobs.page.getByText('Your reply was sent.').waitFor();
  await bobs.page.keyboard.press('Escape');
  await shown.waitFor({ state: 'detached' });
  await bobs.page.getByRole('button', { name: `${ada.username}, 1 status`, exact: true }).waitFor();
  // The author sees who it was, and the message with what it answers.
  await strip(adas.page).getByRole('button', { name: 'My status, 1 update' }).click();
  const own = viewer(adas.page, ada.username);
  await own.getByRole('button', { name: 'Seen by 1 person' }).click();
  const views = adas.page.getByRole('dialog', { name: 'Seen by 1 person' });
  await views.getByRole('listitem').filter({ hasText: bob.username }).waitFor();
  expect(await views.getByRole('listitem').count()).toBe(1);
  await views.getByRole('button', { name: 'Close' }).click();
  await own.getByRole('button', { name: 'Close' }).click();
  await adas.page.locator('nav li a').filter({ hasText: bob.username }).click();
  const message = adas.page.locator('article[data-key]').filter({ hasText: 'Well done!' });
  await message.getByRole('button', { name: 'Reply to your status On the summit' }).waitFor();
  expect([...adas.errors, ...bobs.errors]).toEqual([]);
});
