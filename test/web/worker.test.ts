import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { browserFound } from '../support/browser.js';
import { eventually, registerAll } from '../support/client.js';
import { atEnd } from '../support/ending.js';
import { openDirect, send } from '../support/talk.js';
import { composer, openApp, rowWith, startApp } from '../support/web-app.js';

describe.skipIf(!browserFound)('the service worker of the web app', () => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  beforeAll(async () => {
    ({ browser, node, url } = await startApp());
  });

  it('starts the app without a connection, with the messages that are on the device', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'Read this on the train');
    const { page } = await openApp(browser, url, ada, id);
    await rowWith(page, 'Read this on the train').waitFor();
    await page.evaluate(() => navigator.serviceWorker.ready);
    await eventually('the worker controls the page', () =>
      page.evaluate(() => navigator.serviceWorker.controller !== null),
    );
    await page.context().setOffline(true);
    await page.reload();
    await rowWith(page, 'Read this on the train').waitFor();
    // Parts that were never used before are there as well.
    await page.getByRole('button', { name: 'New conversation' }).click();
    await page.getByRole('button', { name: 'New group' }).click();
    await page.getByLabel('Title').waitFor();
  });

  it('asks before it uses a new version, and keeps what is being written', async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'hello');
    let isNew = false;
    // Stands for a server whose app has changed. WebSockets are not needed here.
    const server = createServer((req, res) => {
      const upstream = request(new URL(req.url ?? '/', url), {
        method: req.method,
        headers: { ...req.headers, 'accept-encoding': 'identity' },
      });
      upstream.on('response', async (response) => {
        const chunks: Buffer[] = [];
        for await (const chunk of response) chunks.push(chunk);
        let body = Buffer.concat(chunks);
        if (req.url === '/sw.js' && isNew)
          body = Buffer.from(body.toString().replace(/VERSION = "/, 'VERSION = "new-'));
        const { 'content-length': _, etag: __, ...headers } = response.headers;
        res.writeHead(response.statusCode ?? 500, headers).end(body);
      });
      upstream.on('error', () => res.destroy());
      req.pipe(upstream);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    atEnd(() => {
      server.closeAllConnections();
      server.close();
    });
    const proxied = `http://localhost:${(server.address() as AddressInfo).port}/`;
    const { page } = await openApp(browser, proxied, ada, id);
    await page.evaluate(() => navigator.serviceWorker.ready);
    await eventually('the worker controls the page', () =>
      page.evaluate(() => navigator.serviceWorker.controller !== null),
    );
    await composer(page).fill('not sent yet');
    isNew = true;
    await page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.update());
    await page.getByText('A new version is available.').waitFor();
    const reloaded = page.waitForEvent('load');
    await page.getByRole('button', { name: 'Reload' }).click();
    await reloaded;
    await rowWith(page, 'hello').waitFor();
    expect(await composer(page).inputValue()).toBe('not sent yet');
    await eventually('only the files of the new version are kept', async () => {
      const names = await page.evaluate(() => caches.keys());
      return names.length === 1 && (names[0]?.startsWith('parley-new-') ?? false);
    });
    expect(await page.getByText('A new version is available.').count()).toBe(0);
  });
});
