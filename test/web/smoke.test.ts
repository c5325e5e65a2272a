import type { BrowserContext } from 'playwright-core';
import { expect, it } from 'vitest';
import { browserFound, startBrowser, visit } from '../support/browser.js';
import { register } from '../support/client.js';
import { makePlace, modes } from '../support/place.js';
import { openDirect, send } from '../support/talk.js';

// The only test of the web app that `npm test` runs; `npm run test:web` runs all.

it.skipIf(!browserFound)('the web app signs in, and sends and receives messages', async () => {
  const [browser, node] = await Promise.all([
    startBrowser(),
    makePlace(modes.at(-1) ?? 'embedded', { web: true }).then((place) => place.start()),
  ]);
  const [ada, bob] = [await register(node.url, 'ada'), await register(node.url, 'bob')];
  const direct = await openDirect(bob, ada);
  await send(bob, direct, 'Hello Ada!');
  const { page, errors } = await visit(browser, `${node.webUrl}sign-in`, { prepare: countFormats });
  await page.fill('[name=usernameOrEmail]', ada.username);
  await page.fill('[name=password]', ada.password);
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: bob.username }).click();
  const row = (text: string) => page.locator('article[data-key]').getByText(text);
  await row('Hello Ada!').waitFor();
  const composer = page.getByRole('textbox', { name: /^Message / });
  await composer.fill('Hello Bob!');
  await composer.press('Enter');
  await row('Hello Bob!').waitFor();
  const query = 'query ($id: ID!) { conversation(id: $id) { messages(last: 1) { nodes { text } } } }';
  await expect
    .poll(async () => (await bob.ask(query, { id: direct })).conversation.messages.nodes[0].text, { timeout: 30_000 })
    .toBe('Hello Bob!');
  await send(bob, direct, 'How are you?');
  await row('How are you?').waitFor();
  expect(errors).toEqual([]);
  // They take long to make, so all messages have the same ones.
  expect(await page.evaluate('formatsMade')).toBeLessThan(20);
});

/** Counts the formats of times that a page makes. */
const countFormats = (context: BrowserContext) =>
  context.addInitScript(`
    globalThis.formatsMade = 0;
    Intl.DateTimeFormat = new Proxy(Intl.DateTimeFormat, {
      construct(target, args) {
        globalThis.formatsMade += 1;
        return new target(...args);
      },
    });
  `);
