// The service worker of the app. The app starts without a connection, from the files of one build, and the worker shows the
// notifications of pushes. web/vite.config.ts bundles it, and declares FILES, the paths of the files, and VERSION. It answers no
// requests of the API, and never answers with a page in place of another file.
import { createParley } from '@parley/client';
import { PushStateDocument } from './src/generated/screens/graphql.ts';
import { registerDevice, subscribe } from './src/push/subscription.ts';

const cacheName = `parley-${VERSION}`;

/** What opens encrypted messages. It is larger than this file, and runs only when it is needed. */
const loadEncryption = () => importScripts('/sw-encryption.js');

addEventListener('install', (event) => {
  // Service workers can only load scripts that they have loaded while they were installed.
  loadEncryption();
  event.waitUntil(caches.open(cacheName).then((cache) => cache.addAll(['/', ...FILES])));
});

addEventListener('activate', (event) => {
  const removeOld = async () => {
    for (const name of await caches.keys()) {
      if (name.startsWith('parley-') && name !== cacheName) await caches.delete(name);
    }
    await clients.claim();
  };
  event.waitUntil(removeOld());
});

addEventListener('message', ({ data }) => {
  // The user has agreed to the new version.
  if (data === 'activate') skipWaiting();
});

addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== 'GET' || origin !== location.origin) return;
  const isPage = request.mode === 'navigate' && !/^\/(?:graphql|health|ready|metrics|media)\b|\./.test(pathname);
  if (!isPage && !FILES.includes(pathname)) return;
  const answer = async () => {
    const cache = await caches.open(cacheName);
    return (await cache.match(isPage ? '/' : pathname)) ?? fetch(request);
  };
  event.respondWith(answer());
});

// ── pushes ──

/** Texts for a push that cannot be read. The app has its texts in larger files. */
const newMessage = { en: 'New message', de: 'Neue Nachricht', ar: 'رسالة جديدة' };

addEventListener('push', (event) => {
  // Without data, it is a declarative push message, which the browser shows itself.
  if (event.data || !event.notification) event.waitUntil(receive(event.data));
});

/** Shows the notification of a push. Browsers end subscriptions whose pushes show none, so it shows one in any case. */
async function receive(data) {
  try {
    const push = data.json();
    await show(push.encrypted ? await withText(push) : push.notification);
    await showBadge(push.app_badge);
  } catch {
    const language = navigator.language.split('-')[0];
    await show({ title: newMessage[language] ?? newMessage.en, tag: 'unknown' });
  }
}

/** The notification of an encrypted message, with its text if this browser can open it. */
async function withText(push) {
  try {
    if (!self.openPush) loadEncryption();
    return { ...push.notification, ...(await self.openPush(push)) };
  } catch {
    return push.notification;
  }
}

async function show({ title, body, tag, lang, dir, navigate }) {
  // PUBLIC_URL can be another address of the same app, where the user is not signed in.
  const path = new URL(navigate ?? '/', location.origin).pathname;
  const conversation = conversationAt(path);
  const isInFront =
    conversation !== undefined &&
    (await windows()).some(({ focused, url }) => focused && conversationAt(url) === conversation);
  await registration.showNotification(title, {
    ...(typeof body === 'string' && { body }),
    ...(typeof tag === 'string' && { tag }),
    ...(typeof lang === 'string' && { lang }),
    dir: ['ltr', 'rtl'].includes(dir) ? dir : 'auto',
    icon: '/icon-192.png',
    badge: '/badge-96.png',
    // Safari requires it of a notification that replaces the one of a declarative push message.
    navigate: new URL(path, location.origin).href,
    data: { path },
    silent: isInFront,
    // Replaces an earlier one of the conversation, and draws attention again.
    renotify: Boolean(tag) && !isInFront,
  });
  if (!isInFront) return;
  // The user has the message in front of them. Not all browsers permit to show nothing then.
  for (const shown of await registration.getNotifications({ tag })) shown.close();
}

async function showBadge(count) {
  if (!Number.isSafeInteger(count) || !navigator.setAppBadge) return;
  // It is rejected if the app is not installed.
  await navigator.setAppBadge(count).catch(() => {});
}

addEventListener('notificationclick', (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data?.path ?? '/'));
});

/** Shows a page of the app in a window that is open, without loading it again, or in a new one. */
async function open(path) {
  const [best] = (await windows()).sort((one, other) => rank(other) - rank(one));
  if (!best) return clients.openWindow(path);
  best.postMessage({ type: 'open', path });
  return best.focus();

  function rank({ url, focused, visibilityState }) {
    if (focused) return 3;
    if (visibilityState === 'visible') return 2;
    return conversationAt(url) === conversationAt(path) ? 1 : 0;
  }
}

const windows = () => clients.matchAll({ type: 'window', includeUncontrolled: true });

/** The part of a URL or a path that names a conversation; undefined if it is not that of one. */
const conversationAt = (url) => /^\/c\/[^/]+/.exec(new URL(url, location.origin).pathname)?.[0];

addEventListener('pushsubscriptionchange', (event) => {
  event.waitUntil(renew());
});

/** Registers the device again, because the push service has given up its subscription. */
async function renew() {
  const parley = createParley({ url: new URL('/graphql', location.origin).href, sync: false });
  try {
    const { serverInfo, viewer } = await parley.request(PushStateDocument);
    if (viewer && serverInfo.webPushPublicKey !== null) {
      await registerDevice(parley, await subscribe(registration, serverInfo.webPushPublicKey));
    }
  } catch {
    // The page tries again when it is opened.
  } finally {
    await parley.close();
  }
}
