// The service worker of the app: the app starts without a connection, from the files of one build. web/vite.config.ts
// puts the names of the files in place of FILES. It answers no requests of the API, and never answers with a page in place
// of another file.
const files = FILES;
const version = VERSION;
const cacheName = `parley-${version}`;

addEventListener('install', (event) => {
  event.waitUntil(caches.open(cacheName).then((cache) => cache.addAll(['/', ...files])));
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
  const isPage = request.mode === 'navigate' && !/^\/(?:graphql|health|ready|metrics)\b|\./.test(pathname);
  if (!isPage && !files.includes(pathname)) return;
  const answer = async () => {
    const cache = await caches.open(cacheName);
    return (await cache.match(isPage ? '/' : pathname)) ?? fetch(request);
  };
  event.respondWith(answer());
});
