import type { Browser, BrowserContext, Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { attention } from '../../src/domain/push/attention.js';
import type { RunningNode } from '../../src/server/start.js';
import { browserFound } from '../support/browser.js';
import { type BrowserPushes, providePushes } from '../support/browser-pushes.js';
import { eventually, type Json, type Person, registerAll } from '../support/client.js';
import { registerDevice } from '../support/devices.js';
import { rowId } from '../support/durable-streams.js';
import { atFileEnd } from '../support/ending.js';
import { modes } from '../support/place.js';
import { makeBrowserKeys, type PushService, startPushService } from '../support/push-service.js';
import { attempt, openAnswered, send } from '../support/talk.js';
import { composer, openApp, rowWith, startApp, write } from '../support/web-app.js';
import { deviceOutside, setUp } from '../support/web-encryption.js';

interface Shown {
  title: string;
  body: string;
  tag: string;
  lang: string;
  path: string;
}

/** The notifications that the browser displays. */
const shownIn = (page: Page): Promise<Shown[]> =>
  page.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready;
    return (await registration.getNotifications()).map(({ title, body, tag, lang, data }) => ({
      title,
      body,
      tag,
      lang,
      path: data.path,
    }));
  });

const untilShown = async (page: Page, count: number): Promise<Shown[]> => {
  await eventually(`${count} notifications`, async () => (await shownIn(page)).length === count);
  return shownIn(page);
};

/** Clicks the notification with a tag. Protocols have no command for it, so the event is dispatched in the service worker. */
async function click(context: BrowserContext, tag: string): Promise<void> {
  const [worker] = context.serviceWorkers();
  await worker?.evaluate(`(async () => {
    const [notification] = await registration.getNotifications({ tag: ${JSON.stringify(tag)} });
    const event = new NotificationEvent('notificationclick', { notification });
    let work;
    // Only browsers can extend the lifetime of a service worker, and only after a click can a window be focused.
    event.waitUntil = (promise) => { work = promise; };
    dispatchEvent(event);
    await work.catch(({ name }) => { if (name !== 'InvalidAccessError') throw new Error(name); });
  })()`);
}

const offerIn = (page: Page) => page.locator('main > div').filter({ hasText: 'Get notified on this device' });

const devicesOf = async (person: Person): Promise<Json[]> =>
  (await person.ask('{ viewer { pushSubscriptions { id session { deviceName } } } }')).viewer.pushSubscriptions;

const untilDevices = (person: Person, count: number): Promise<void> =>
  eventually(`${count} devices`, async () => (await devicesOf(person)).length === count);

describe.skipIf(!browserFound).each(modes)('pushes to the web app in %s mode', (mode) => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  let service: PushService;
  beforeAll(async () => {
    service = await startPushService(atFileEnd);
    ({ browser, node, url } = await startApp({ PUSH_HOSTS: service.origin, PUSH_ATTENTION_DELAY: '1ms' }, mode));
  });

  /** Opens the app in a browser that permits notifications. */
  async function open(person: Person, conversationId?: string) {
    let pushes: BrowserPushes | undefined;
    const visited = await openApp(browser, url, person, conversationId, {
      permissions: ['notifications'],
      prepare: async (context) => {
        pushes = await providePushes(context, service);
      },
    });
    return { ...visited, pushes: pushes as BrowserPushes };
  }

  const isOn = (page: Page) => page.getByText('Notifications are on for this device.').waitFor();

  /** Switches pushes on in the settings. */
  async function turnOn(page: Page): Promise<void> {
    await page.goto(`${url}settings`);
    await page.getByRole('button', { name: 'Turn on' }).click();
    await isOn(page);
  }

  it('shows a push, and opens the message', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openAnswered(ada, bob);
    const { page, pushes, errors } = await open(ada);
    await turnOn(page);
    await send(bob, id, 'Who brings the salad?');
    const push = await pushes.deliverNext(page);
    const [notification] = await untilShown(page, 1);
    expect(notification).toEqual({
      title: bob.username,
      body: 'Who brings the salad?',
      tag: push.notification.tag,
      lang: 'en',
      path: push.notification.navigate,
    });
    // The page is not loaded again, which would lose this.
    await page.evaluate(() => Object.assign(window, { isSamePage: true }));
    await click(page.context(), push.notification.tag);
    await rowWith(page, 'Who brings the salad?').waitFor();
    expect(new URL(page.url()).pathname).toBe(push.notification.navigate);
    expect(await page.evaluate('isSamePage')).toBe(true);
    expect(await shownIn(page)).toEqual([]);
    expect([...errors, ...pushes.errors]).toEqual([]);
  });

  if (mode !== modes.at(-1)) return;

  it('shows the text of an encrypted message where the user has keys, and otherwise only that there is one', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openAnswered(ada, bob);
    const [desk, phone] = [await open(ada), await open(ada)];
    await setUp(desk.page, url);
    await turnOn(desk.page);
    await turnOn(phone.page);
    const conversation = (await deviceOutside(node.url, bob)).conversation(id);
    await conversation.enable();
    await conversation.send({ text: 'Who brings\nthe cake?' });
    const push = await desk.pushes.deliverNext(desk.page);
    expect(push.notification.body).toBe('New message');
    expect(push.encrypted.content).toEqual(expect.any(String));
    expect(await untilShown(desk.page, 1)).toMatchObject([
      { title: bob.username, body: 'Who brings the cake?', path: push.notification.navigate },
    ]);
    await phone.pushes.deliverNext(phone.page);
    expect(await untilShown(phone.page, 1)).toMatchObject([{ title: bob.username, body: 'New message' }]);
    // A push that names another message, as only the server could send it.
    const notification = { ...push.notification, tag: 'tampered' };
    await desk.pushes.deliver(desk.page, JSON.stringify({ ...push, messageId: id, notification }));
    await untilShown(desk.page, 2);
    expect((await shownIn(desk.page)).find(({ tag }) => tag === 'tampered')?.body).toBe('New message');
    expect([...desk.errors, ...phone.errors, ...desk.pushes.errors, ...phone.pushes.errors]).toEqual([]);
  });

  it('shows a notification for every push, and closes that of a conversation in front of the user', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openAnswered(ada, bob);
    const { page, pushes, errors } = await open(ada, id);
    await pushes.deliver(page, 'not JSON');
    expect(await untilShown(page, 1)).toMatchObject([{ title: 'New message', path: '/' }]);
    await pushes.deliver(
      page,
      JSON.stringify({ notification: { title: 'Strange', dir: 'up', navigate: 'https://[' } }),
    );
    await eventually('the first one is replaced', async () => (await shownIn(page))[0]?.title === 'New message');
    expect(await shownIn(page)).toHaveLength(1);
    // At the address of another server, where the user is not signed in.
    // Not read yet: the page closes notifications of messages that have been read.
    const path = `/c/${encodeURIComponent(id)}/99`;
    const notification = { title: 'News', tag: 'news', navigate: `https://chat.example.com${path}` };
    await page.bringToFront();
    await pushes.deliver(page, JSON.stringify({ notification }));
    await page.goto(`${url}settings`);
    await pushes.deliver(page, JSON.stringify({ notification: { ...notification, tag: 'other' } }));
    const both = await untilShown(page, 2);
    expect(both.map((each) => [each.tag, each.path]).sort()).toEqual([
      ['other', path],
      ['unknown', '/'],
    ]);
    expect([...errors, ...pushes.errors]).toEqual([]);
  });

  it('opens a window if the app is not open', async () => {
    const [ada] = await registerAll(node.url, 'ada');
    const { page, pushes } = await open(ada);
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => {}));
    const notification = { title: 'News', tag: 'news', navigate: '/c/x/1' };
    await pushes.deliver(page, JSON.stringify({ notification }));
    await untilShown(page, 1);
    const [worker] = page.context().serviceWorkers();
    await worker?.evaluate(
      'clients.matchAll = async () => []; clients.openWindow = async (path) => { self.opened = path; }',
    );
    await click(page.context(), 'news');
    expect(await worker?.evaluate('opened')).toBe('/c/x/1');
  });

  it('closes notifications that were read on another device, and counts the others on the icon', async () => {
    const [ada, bob, eve] = await registerAll(node.url, 'ada', 'bob', 'eve');
    const [one, other] = [await openAnswered(ada, bob), await openAnswered(ada, eve)];
    const { page, pushes } = await open(ada);
    await page.context().addInitScript(() => {
      const badges: number[] = [];
      navigator.setAppBadge = async (count = 0) => void badges.push(count);
      Object.assign(window, { badges });
    });
    const untilBadge = (count: number) =>
      eventually(`the number ${count}`, async () => (await page.evaluate('badges.at(-1)')) === count);
    await turnOn(page);
    const first = await send(bob, one, 'first');
    // There is another unread message in both conversations.
    expect((await pushes.deliverNext(page)).app_badge).toBe(3);
    await send(eve, other, 'second');
    expect((await pushes.deliverNext(page)).app_badge).toBe(4);
    await untilShown(page, 2);
    await untilBadge(4);
    await attempt(ada, 'markRead', { conversationId: one, seq: first.seq });
    expect(await untilShown(page, 1)).toMatchObject([{ body: 'second' }]);
    await untilBadge(2);
    await attempt(ada, 'muteConversation', { conversationId: other, until: new Date(Date.now() + 3_600_000) });
    await untilBadge(0);
  });

  it('registers the browser again at each start, and with a new key of the server', async () => {
    const [ada] = await registerAll(node.url, 'ada');
    const { page, pushes, errors } = await open(ada);
    await turnOn(page);
    const [device] = await devicesOf(ada);
    const endpoint = await pushes.endpoint(page);
    expect(device.session.deviceName).toMatch(/Linux/);
    await page.reload();
    await isOn(page);
    // Another key than that with which it was made.
    await page.evaluate(() => {
      const stored = JSON.parse(localStorage.getItem('test-push-subscription') ?? '');
      localStorage.setItem('test-push-subscription', JSON.stringify({ ...stored, key: [1, 2, 3] }));
    });
    expect(await pushes.endpoint(page)).toBe(endpoint);
    await page.reload();
    await eventually('there is another subscription', async () => (await pushes.endpoint(page)) !== endpoint);
    await eventually('only the new one is registered', async () => {
      const devices = await devicesOf(ada);
      return devices.length === 1 && devices[0].id !== device.id;
    });
    expect(errors).toEqual([]);
  });

  it('is switched off in the settings, and by removing the device on another one', async () => {
    const [ada] = await registerAll(node.url, 'ada');
    await registerDevice(ada, service);
    const { page, pushes } = await open(ada);
    await turnOn(page);
    const remove = page.getByRole('button', { name: /^Remove / });
    await remove.click();
    await remove.waitFor({ state: 'detached' });
    await page.getByRole('listitem').getByText('This device').first().waitFor();
    await page.getByRole('button', { name: 'Turn off' }).click();
    await page.getByRole('button', { name: 'Turn on' }).waitFor();
    await untilDevices(ada, 0);
    expect(await pushes.endpoint(page)).toBeUndefined();
    await page.reload();
    await page.getByRole('button', { name: 'Turn on' }).click();
    await isOn(page);
    const [device] = await devicesOf(ada);
    await attempt(ada, 'removePush', { pushSubscriptionId: device.id });
    await page.reload();
    await page.getByRole('button', { name: 'Turn on' }).waitFor();
    expect(await pushes.endpoint(page)).toBeUndefined();
    expect(await devicesOf(ada)).toEqual([]);
  });

  it('ends with the session, whoever signs in next', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const { page, pushes } = await open(ada);
    await turnOn(page);
    await pushes.deliver(page, 'not JSON');
    await untilShown(page, 1);
    await page.getByRole('button', { name: 'Sign out', exact: true }).click();
    await page.waitForURL(`${url}sign-in`);
    await eventually('nothing remains', async () => (await pushes.endpoint(page)) === undefined);
    await untilShown(page, 0);
    await untilDevices(ada, 0);
    const signIn = async (person: Person) => {
      await page.fill('[name=usernameOrEmail]', person.username);
      await page.fill('[name=password]', person.password);
      await page.keyboard.press('Enter');
      await page.waitForURL(url);
      await page.goto(`${url}settings`);
    };
    await signIn(bob);
    await turnOn(page);
    const endpoint = await pushes.endpoint(page);
    // The server ends the session while the app is open. The same user gets pushes again when they sign in.
    const { viewer } = await bob.ask('{ viewer { sessions { id current } } }');
    await bob.ask('mutation ($id: ID!) { logout(input: { sessionId: $id }) { sessionId } }', {
      id: viewer.sessions.find(({ current }: Json) => !current).id,
    });
    await page.waitForURL(`${url}sign-in`);
    await eventually('the subscription has ended', async () => (await pushes.endpoint(page)) === undefined);
    await signIn(bob);
    await isOn(page);
    expect(await pushes.endpoint(page)).not.toBe(endpoint);
    await untilDevices(bob, 1);
  });

  it('is offered when the user has sent a message, and not again when dismissed', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openAnswered(ada, bob);
    const { page, errors } = await open(ada, id);
    const offer = offerIn(page);
    await composer(page).waitFor();
    expect(await offer.count()).toBe(0);
    await write(page, 'hello');
    await offer.getByRole('button', { name: 'Turn on' }).click();
    await page.getByText('Notifications are on for this device.').waitFor();
    await offer.waitFor({ state: 'detached' });
    await untilDevices(ada, 1);
    const second = await open(bob, id);
    await write(second.page, 'hello');
    const other = offerIn(second.page);
    await other.getByRole('button', { name: 'Close' }).click();
    await second.page.reload();
    await write(second.page, 'again');
    await rowWith(second.page, 'again').waitFor();
    expect(await other.count()).toBe(0);
    expect([...errors, ...second.errors]).toEqual([]);
  });

  it('explains what to do where the browser blocks notifications, and on an iPhone', async () => {
    const [ada] = await registerAll(node.url, 'ada');
    const { page } = await openApp(browser, url, ada, undefined, {
      prepare: (context) =>
        context.addInitScript(() => Object.defineProperty(Notification, 'permission', { value: 'denied' })),
    });
    await page.goto(`${url}settings`);
    await page.getByText('Your browser blocks notifications from this site.').waitFor();
    expect(await page.getByRole('button', { name: 'Turn on' }).count()).toBe(0);
    const phone = await openApp(browser, url, ada, undefined, {
      userAgent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1',
      prepare: (context) => context.addInitScript('delete window.PushManager'),
    });
    await phone.page.goto(`${url}settings`);
    await phone.page.getByText('“Add to Home Screen”').waitFor();
  });

  it('reports whether the user is looking', async () => {
    const [ada] = await registerAll(node.url, 'ada');
    const { page } = await open(ada);
    const isLooking = () => attention.of(node.deps).isAttentive(rowId(ada.id));
    await eventually('the user is looking', isLooking);
    await page.evaluate(() => {
      Object.defineProperty(document, 'visibilityState', { value: 'hidden' });
      document.dispatchEvent(new Event('visibilitychange'));
    });
    await eventually('the user is not looking', () => !isLooking());
  });

  it('registers the browser again when its push service has replaced the subscription', async () => {
    const [ada] = await registerAll(node.url, 'ada');
    const { page } = await open(ada);
    await turnOn(page);
    const { p256dh, auth } = makeBrowserKeys();
    const replaced = { endpoint: `${service.origin}/replaced`, keys: { p256dh, auth } };
    const [worker] = page.context().serviceWorkers();
    // The page is not asked, because it may be closed.
    await worker?.evaluate(`(async () => {
      const subscription = ${JSON.stringify(replaced)};
      PushManager.prototype.getSubscription = async () => null;
      PushManager.prototype.subscribe = async () => ({ toJSON: () => subscription });
      const event = new ExtendableEvent('pushsubscriptionchange');
      let work;
      event.waitUntil = (promise) => { work = promise; };
      dispatchEvent(event);
      await work;
    })()`);
    // The server removes the previous one when the push service rejects the next push to it.
    expect(await devicesOf(ada)).toHaveLength(2);
  });
});
