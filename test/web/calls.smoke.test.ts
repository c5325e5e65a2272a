import { expect, it } from 'vitest';
import { browserFound, startBrowser } from '../support/browser.js';
import { eventually, registerAll } from '../support/client.js';
import { anyMode, makePlace } from '../support/place.js';
import { callScreen, fakeDevices, incoming, meet, openForCalls, talk, usesDevices } from '../support/web-calls.js';

it.skipIf(!browserFound)('two users call each other with video, and both see the outcome', async () => {
  const [browser, place] = await Promise.all([startBrowser(fakeDevices), makePlace(anyMode)]);
  const node = await place.start({ SYSTEM_MESSAGES: 'on' });
  const url = node.webUrl ?? '';
  const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
  const id = await meet(ada, bob);
  const [adas, bobs] = await Promise.all([ada, bob].map((person) => openForCalls(browser, url, person, id)));
  if (!adas || !bobs) throw new Error('there are no pages');
  await talk(adas.page, bobs.page);
  await callScreen(adas.page).getByRole('timer').waitFor();
  await callScreen(bobs.page).getByRole('button', { name: 'Hang up' }).click();
  await callScreen(adas.page).getByText('The call has ended.').waitFor();
  for (const { page } of [adas, bobs]) {
    await page.getByText(/^Video call, \d:\d\d/).waitFor();
    await eventually('the call is closed', async () => (await callScreen(page).count()) === 0);
    expect(await usesDevices(page)).toBe(false);
    expect(await incoming(page).count()).toBe(0);
  }
  expect([...adas.errors, ...bobs.errors]).toEqual([]);
});
