import { randomUUID } from 'node:crypto';
import type { BrowserContext, CDPSession, Page } from 'playwright-core';
import { eventually, type Json } from './client.js';
import { type BrowserKeys, makeBrowserKeys, type PushService } from './push-service.js';

/** The push service of a browser context. */
export interface BrowserPushes {
  /** The endpoint of the subscription; undefined if there is none. */
  endpoint(page: Page): Promise<string | undefined>;
  /** Waits for the next push to the subscription, decrypts it as a browser does, and delivers it to the service worker. */
  deliverNext(page: Page): Promise<Json>;
  /** Delivers a text to the service worker as a push. */
  deliver(page: Page, text: string): Promise<void>;
  /** The errors of the service worker since the first push, violations of its content security policy among them. */
  readonly errors: readonly string[];
}

/**
 * Gives the pages of a context subscriptions at a push service of the tests. Chromium's own needs Google's servers. Everything
 * else is real: the server encrypts and sends pushes, and the service worker of the browser receives them.
 */
export async function providePushes(context: BrowserContext, service: PushService): Promise<BrowserPushes> {
  const keys = new Map<string, BrowserKeys>();
  const delivered = new Map<string, number>();
  await context.exposeFunction('newPushSubscription', () => {
    const own = makeBrowserKeys();
    const path = `/${randomUUID()}`;
    keys.set(path, own);
    return { endpoint: `${service.origin}${path}`, p256dh: own.p256dh, auth: own.auth };
  });
  await context.addInitScript(replacePushManager);

  const endpoint = async (page: Page) => {
    const text = await page.evaluate(() => localStorage.getItem('test-push-subscription'));
    return text === null ? undefined : (JSON.parse(text).endpoint as string);
  };
  const errors: string[] = [];
  let worker: Promise<Worker> | undefined;
  const deliver = async (page: Page, text: string) => {
    worker ??= workerOf(page, (message) => errors.push(message));
    const { client, registrationId } = await worker;
    const { origin } = new URL(page.url());
    await client.send('ServiceWorker.deliverPushMessage', { origin, registrationId, data: text });
  };
  return {
    endpoint,
    deliver,
    errors,
    async deliverNext(page) {
      const path = new URL((await endpoint(page)) ?? service.origin).pathname;
      const count = delivered.get(path) ?? 0;
      const push = (await service.until(path, count + 1))[count];
      delivered.set(path, count + 1);
      const text = keys.get(path)?.decrypt(push?.body ?? Buffer.alloc(0)) ?? '';
      await deliver(page, text);
      return JSON.parse(text);
    },
  };
}

/** The service worker of a page, for the protocol of Chromium's developer tools. */
interface Worker {
  client: CDPSession;
  registrationId: string;
}

async function workerOf(page: Page, onError: (message: string) => void): Promise<Worker> {
  const client = await page.context().newCDPSession(page);
  const { origin } = new URL(page.url());
  let registrationId: string | undefined;
  client.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
    for (const each of registrations) {
      if (!each.isDeleted && new URL(each.scopeURL).origin === origin) registrationId = each.registrationId;
    }
  });
  client.on('ServiceWorker.workerErrorReported', ({ errorMessage }) => onError(errorMessage.errorMessage));
  await client.send('ServiceWorker.enable');
  await eventually('the service worker is known', () => registrationId !== undefined);
  return { client, registrationId: registrationId as string };
}

/**
 * Runs in the page before its own scripts. The subscription is in the storage of the browser, so that it remains when
 * the page is closed.
 */
function replacePushManager(): void {
  const KEY = 'test-push-subscription';
  const made = (text: string | null): PushSubscription | null => {
    if (text === null) return null;
    const { endpoint, p256dh, auth, key } = JSON.parse(text);
    return {
      endpoint,
      options: { userVisibleOnly: true, applicationServerKey: Uint8Array.from(key).buffer },
      toJSON: () => ({ endpoint, keys: { p256dh, auth } }),
      unsubscribe: async () => {
        localStorage.removeItem(KEY);
        return true;
      },
    } as unknown as PushSubscription;
  };
  PushManager.prototype.getSubscription = async () => made(localStorage.getItem(KEY));
  PushManager.prototype.subscribe = async ({ applicationServerKey, userVisibleOnly } = {}) => {
    if (Notification.permission !== 'granted' || !userVisibleOnly) throw new DOMException('denied', 'NotAllowedError');
    const text = String(applicationServerKey).replace(/-/g, '+').replace(/_/g, '/');
    const key = [...atob(text)].map((character) => character.charCodeAt(0));
    const { newPushSubscription } = globalThis as unknown as { newPushSubscription(): Promise<object> };
    localStorage.setItem(KEY, JSON.stringify({ ...(await newPushSubscription()), key }));
    return made(localStorage.getItem(KEY)) as PushSubscription;
  };
}
