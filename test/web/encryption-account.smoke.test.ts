import { expect, it } from 'vitest';
import { browserFound } from '../support/browser.js';
import { registerAll } from '../support/client.js';
import { openApp, startApp } from '../support/web-app.js';
import { recover, setUp } from '../support/web-encryption.js';

it.skipIf(!browserFound)('a user sets up encryption, and recovers it on another device', async () => {
  const { browser, node, url } = await startApp();
  const [ada] = await registerAll(node.url, 'ada');
  const [desk, phone] = [await openApp(browser, url, ada), await openApp(browser, url, ada)];
  await recover(phone.page, url, await setUp(desk.page, url));
  await phone.page.getByText('You can read and write encrypted messages in this browser.').waitFor();
  expect([...desk.errors, ...phone.errors]).toEqual([]);
});
