import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Browser, Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { browserFound, startBrowser } from '../support/browser.js';
import { eventually, registerAll } from '../support/client.js';
import { atFileEnd } from '../support/ending.js';
import { makePicture } from '../support/media.js';
import { anyMode, makePlace } from '../support/place.js';
import { type FakeS3, startS3 } from '../support/s3.js';
import { openDirect, send } from '../support/talk.js';
import { composer, openApp } from '../support/web-app.js';

describe.skipIf(!browserFound)('files in the web app, in S3', () => {
  let browser: Browser;
  let node: RunningNode;
  let s3: FakeS3;
  beforeAll(async () => {
    const [started, place, bucket] = await Promise.all([
      startBrowser(),
      makePlace(anyMode, { web: true }),
      startS3(atFileEnd),
    ]);
    [browser, s3] = [started, bucket];
    // Every original is opened at the bucket.
    node = await place.start({ ...s3.env, MEDIA_REDIRECT_MIN_BYTES: '0' });
    s3.allowedOrigin = new URL(node.url).origin;
  });

  it('are sent to the bucket and opened there', { timeout: 60_000 }, async () => {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'Hello');
    const url = node.webUrl ?? '';
    const [adas, bobs] = await Promise.all([openApp(browser, url, ada, id), openApp(browser, url, bob, id)]);
    const document = randomBytes(6 * 1024 * 1024);
    const send1 = async (page: Page, file: { name: string; mimeType: string; buffer: Buffer }) => {
      await page.getByLabel('Attach files').setInputFiles(file);
      const tray = page.getByRole('list', { name: /attached/ });
      await tray.waitFor();
      await composer(page).press('Enter');
      await tray.waitFor({ state: 'detached' });
    };
    await send1(adas.page, { name: 'beach.jpg', mimeType: 'image/jpeg', buffer: await makePicture('jpeg') });
    await send1(adas.page, { name: 'plan.bin', mimeType: 'application/octet-stream', buffer: document });
    const link = bobs.page.getByRole('link', { name: /plan\.bin/ });
    await link.waitFor();
    const sent = s3.calls.filter(({ method, query }) => method === 'PUT' && query.has('partNumber'));
    expect(sent.map(({ query }) => query.get('partNumber')).sort()).toEqual(['1', '1', '2']);
    const image = bobs.page.getByRole('button', { name: /^Open image/ });
    await eventually('it is processed', () => image.isEnabled());
    s3.calls.length = 0;
    await image.click();
    await eventually('the original is loaded from the bucket', async () =>
      s3.calls.some(({ method, key, query }) => {
        return method === 'GET' && key.endsWith('/original') && query.has('response-content-disposition');
      }),
    );
    await bobs.page.keyboard.press('Escape');
    const [download] = await Promise.all([bobs.page.waitForEvent('download'), link.click()]);
    expect(download.suggestedFilename()).toBe('plan.bin');
    expect(Buffer.compare(await readFile(await download.path()), document)).toBe(0);
    expect(s3.refusals).toEqual([]);
    expect(adas.errors.concat(bobs.errors)).toEqual([]);
  });
});
