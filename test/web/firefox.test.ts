import { expect, it } from 'vitest';
import { eventually, type Json, registerAll } from '../support/client.js';
import { firefoxFound, startFirefox } from '../support/firefox.js';
import { makePlace, modes } from '../support/place.js';
import { openAnswered, send } from '../support/talk.js';

it.skipIf(!firefoxFound)(
  'Firefox registers for pushes, receives one, and ends the subscription when the user signs out',
  async () => {
    const [firefox, place] = await Promise.all([startFirefox(), makePlace(modes.at(-1) ?? 'embedded', { web: true })]);
    const node = await place.start({ PUSH_HOSTS: firefox.pushOrigin, PUSH_ATTENTION_DELAY: '1ms' });
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openAnswered(ada, bob);

    /** Waits until a text of JavaScript has a value in the page. */
    const until = async (text: string): Promise<Json> => {
      let value: Json;
      await eventually(text, async () => {
        value = await firefox.evaluate(`() => ${text}`);
        return Boolean(value);
      });
      return value;
    };
    const button = (name: string) =>
      `[...document.querySelectorAll('button')].find((each) => each.textContent === '${name}')`;
    const press = async (name: string) => {
      await until(`${button(name)} !== undefined`);
      await firefox.evaluate(`() => ${button(name)}.click()`);
    };

    await firefox.goto(`${node.webUrl}sign-in`);
    await until(`document.querySelector('[name=password]') !== null`);
    await firefox.evaluate(`() => {
    for (const [name, value] of ${JSON.stringify([
      ['usernameOrEmail', ada.username],
      ['password', ada.password],
    ])}) {
      const field = document.querySelector('[name=' + name + ']');
      field.value = value;
      field.dispatchEvent(new Event('input', { bubbles: true }));
    }
    document.querySelector('form').requestSubmit();
  }`);
    await until(`location.pathname === '/'`);
    await firefox.goto(`${node.webUrl}settings`);
    await press('Turn on');
    await until(`${button('Turn off')} !== undefined`);
    await send(bob, id, 'Who brings the salad?');
    const shown = await until(`navigator.serviceWorker.ready
    .then((registration) => registration.getNotifications())
    .then((all) => all.length > 0 && all.map(({ title, body }) => ({ title, body })))`);
    expect(shown).toEqual([{ title: bob.username, body: 'Who brings the salad?' }]);
    expect(firefox.pushCount()).toBe(1);
    await press('Sign out');
    await until(`location.pathname === '/sign-in'`);
    await until(`navigator.serviceWorker.ready
    .then(({ pushManager }) => pushManager.getSubscription())
    .then((subscription) => subscription === null)`);
    await eventually('the server has removed the device', async () => {
      const { viewer } = await ada.ask('{ viewer { pushSubscriptions { id } } }');
      return viewer.pushSubscriptions.length === 0;
    });
  },
);
