import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import exifr from 'exifr';
import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { violations } from '../support/axe.js';
import { browserFound, startBrowser } from '../support/browser.js';
import { eventually, type Json, type Person, registerAll } from '../support/client.js';
import { attachmentOf, makePicture, makeVideo, open, sendWith, uploaded } from '../support/media.js';
import { makePlace, modes } from '../support/place.js';
import { startProxy } from '../support/proxy.js';
import { createGroup, openDirect, send } from '../support/talk.js';
import { act, composer, openApp, rows, rowWith, write } from '../support/web-app.js';
import { recordVideo } from '../support/web-videos.js';

// One mode is enough: the app sees no difference between them.
const mode = modes.at(-1) ?? 'embedded';
const PART = 65_536;

interface File {
  name: string;
  mimeType: string;
  buffer: Buffer;
}

describe.skipIf(!browserFound)('files in the web app', () => {
  let browser: Browser;
  let node: RunningNode;
  let url: string;
  let photo: File;
  beforeAll(async () => {
    const devices = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];
    const [started, place] = await Promise.all([startBrowser(devices), makePlace(mode, { web: true })]);
    browser = started;
    node = await place.start({ UPLOAD_PART_BYTES: String(PART) });
    url = node.webUrl ?? '';
    photo = { name: 'beach.jpg', mimeType: 'image/jpeg', buffer: await makePicture('jpeg') };
  });

  async function pair() {
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await openDirect(ada, bob);
    await send(bob, id, 'Hello');
    return { ada, bob, id };
  }
  const pick = (page: Page, files: File | File[]) => page.getByLabel('Attach files').setInputFiles(files);
  const tray = (page: Page) => page.getByRole('list', { name: /attached/ });
  const image = (page: Page) => page.getByRole('button', { name: /^Open image/ });
  /** Whether images are loaded. */
  const areLoaded = (page: Page, count: number) =>
    eventually('the images are loaded', async () => {
      const loaded = await image(page)
        .locator('img:not([alt=""])')
        .evaluateAll((all) => all.filter((each) => (each as HTMLImageElement).naturalWidth > 0).length);
      return loaded === count;
    });
  /** The attachments of the last message, as the server has them. */
  async function last(person: Person, id: string): Promise<Json> {
    const query = `query ($id: ID!) {
      conversation(id: $id) { messages(last: 1) { nodes { text attachments { id path kind filename altText state durationMs } } } }
    }`;
    return (await person.ask(query, { id })).conversation.messages.nodes[0];
  }
  /** Sums up how much the page moves without a reason from now on. */
  const watchShifts = (page: Page) =>
    page.evaluate(() => {
      const found: string[] = [];
      Object.assign(window, { shifts: found });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries() as (PerformanceEntry & { value: number; hadRecentInput: boolean })[]) {
          if (!entry.hadRecentInput) found.push(`${entry.value}`);
        }
      }).observe({ type: 'layout-shift' });
    });
  const shifts = (page: Page) => page.evaluate(() => (window as unknown as { shifts: string[] }).shifts);

  it('sends a chosen picture with a description, which the other user opens', { timeout: 60_000 }, async () => {
    const { ada, bob, id } = await pair();
    const [adas, bobs] = await Promise.all([openApp(browser, url, ada, id), openApp(browser, url, bob, id)]);
    await watchShifts(bobs.page);
    const { page } = adas;
    await pick(page, photo);
    await tray(page).getByRole('img', { name: 'beach.jpg' }).waitFor();
    await page.getByRole('button', { name: /Describe beach\.jpg/ }).click();
    await page.getByRole('dialog').getByRole('textbox').fill('A beach in the evening');
    expect(await violations(page)).toEqual([]);
    await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
    await tray(page).getByRole('img', { name: 'A beach in the evening' }).waitFor();
    expect(await violations(page)).toEqual([]);
    await composer(page).fill('Look');
    await composer(page).press('Enter');
    await tray(page).waitFor({ state: 'detached' });
    await bobs.page.getByRole('button', { name: 'Open image: A beach in the evening' }).waitFor();
    await areLoaded(bobs.page, 1);
    await areLoaded(page, 1);
    expect(await last(bob, id)).toMatchObject({
      text: 'Look',
      attachments: [{ kind: 'IMAGE', filename: 'beach.jpg', altText: 'A beach in the evening' }],
    });
    await eventually('it is processed', async () => (await image(bobs.page).isEnabled()) && image(page).isEnabled());
    await bobs.page.reload();
    await areLoaded(bobs.page, 1);
    expect(adas.errors.concat(bobs.errors)).toEqual([]);
  });

  it('lets two people exchange videos and documents, which play and open', { timeout: 120_000 }, async () => {
    const { ada, bob, id } = await pair();
    const [adas, bobs] = await Promise.all([openApp(browser, url, ada, id), openApp(browser, url, bob, id)]);
    const videos: [string, Buffer][] = [
      ['film.webm', await recordVideo(adas.page, 'video/webm;codecs=vp8')],
      ['film.mp4', await recordVideo(adas.page, 'video/mp4;codecs=vp9')],
    ];
    for (const [name, buffer] of videos) {
      await pick(adas.page, { name, mimeType: name.replace('film.', 'video/'), buffer });
      await tray(adas.page).getByText(name).waitFor();
      await composer(adas.page).press('Enter');
      const video = bobs.page.getByLabel(`Video: ${name}`);
      await video.waitFor();
      const ask = <Result>(question: (element: HTMLVideoElement) => Result) =>
        video.evaluate(question as (element: SVGElement | HTMLElement) => Result);
      await eventually('its size and length are known', () =>
        ask((each) => each.videoWidth === 160 && each.videoHeight === 120 && each.duration > 1),
      );
      expect(await ask((each) => each.paused)).toBe(true);
      await video.focus();
      await bobs.page.keyboard.press(' ');
      await eventually('it plays', () => ask((each) => each.currentTime > 0.5));
      expect(await ask((each) => each.getVideoPlaybackQuality().totalVideoFrames)).toBeGreaterThan(5);
      await eventually('it has ended', () => ask((each) => each.ended));
      expect(await ask((each) => each.error)).toBeNull();
      // What was decoded is not a black frame.
      const brightest = await ask((each) => {
        const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 });
        const context = canvas.getContext('2d');
        context?.drawImage(each, 0, 0, 1, 1);
        return Math.max(...(context?.getImageData(0, 0, 1, 1).data.slice(0, 3) ?? []));
      });
      expect(brightest).toBeGreaterThan(150);
      // Any place can be opened.
      await ask((each) => {
        each.currentTime = 1;
      });
      await eventually('it is there', () => ask((each) => !each.seeking && each.currentTime === 1));
    }
    const plan = { name: 'plan.pdf', mimeType: 'application/pdf', buffer: Buffer.from('%PDF-1.7 a plan') };
    await pick(bobs.page, plan);
    await composer(bobs.page).fill('The plan');
    await composer(bobs.page).press('Enter');
    const [download] = await Promise.all([
      adas.page.waitForEvent('download'),
      adas.page.getByRole('link', { name: /^plan\.pdf .* Download$/ }).click(),
    ]);
    expect(download.suggestedFilename()).toBe('plan.pdf');
    expect(await readFile(await download.path(), 'utf8')).toBe('%PDF-1.7 a plan');
    expect(adas.errors.concat(bobs.errors)).toEqual([]);
  });

  it('removes the text of a message and keeps its files', { timeout: 60_000 }, async () => {
    const { ada, bob, id } = await pair();
    const notes = await uploaded(node.url, ada, Buffer.from('text'), { filename: 'notes.txt' });
    await sendWith(ada, id, [notes.id], { text: 'a mistake' });
    const [adas, bobs] = await Promise.all([openApp(browser, url, ada, id), openApp(browser, url, bob, id)]);
    await rowWith(bobs.page, 'a mistake').waitFor();
    await act(adas.page, 'a mistake', 'Edit');
    await composer(adas.page).fill('');
    await adas.page.getByRole('button', { name: 'Save', exact: true }).click();
    for (const { page } of [adas, bobs]) {
      await rowWith(page, 'a mistake').waitFor({ state: 'detached' });
      await page.getByRole('link', { name: /^notes\.txt .* Download$/ }).waitFor();
    }
    expect(await last(bob, id)).toMatchObject({ text: null, attachments: [{ filename: 'notes.txt' }] });
    // A message without files keeps its text.
    await write(adas.page, 'only a text');
    await act(adas.page, 'only a text', 'Edit');
    await composer(adas.page).fill('');
    expect(await adas.page.getByRole('button', { name: 'Save', exact: true }).isDisabled()).toBe(true);
    expect(adas.errors.concat(bobs.errors)).toEqual([]);
  });

  it('removes the place from photos that are sent as documents, and warns if that is not possible', async () => {
    const { ada, bob, id } = await pair();
    const { page, errors } = await openApp(browser, url, ada, id);
    // What a TIFF image begins with, and raw formats of cameras.
    const { exif } = await sharp(photo.buffer).metadata();
    const scan = Buffer.from(exif?.subarray(6) ?? []);
    expect((await exifr.gps(scan)).latitude).toBeCloseTo(52.52, 1);
    await pick(page, { name: 'scan.tif', mimeType: 'image/tiff', buffer: scan });
    const removed = tray(page).getByText('The place where it was taken has been removed.');
    await removed.waitFor();
    expect(await violations(page)).toEqual([]);
    const png = await makePicture('png');
    await pick(page, { name: 'broken.png', mimeType: 'image/png', buffer: png.subarray(0, png.length - 20) });
    await page.getByRole('button', { name: 'Send as a document' }).click();
    await tray(page).getByText('It can contain the place where it was taken.').waitFor();
    await page.reload();
    await removed.waitFor();
    await eventually('it can be sent', () => page.getByRole('button', { name: 'Send', exact: true }).isEnabled());
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await eventually('it is sent', async () => (await last(bob, id)).attachments.length === 2);
    const [sent] = (await last(bob, id)).attachments;
    expect(sent).toMatchObject({ kind: 'FILE', filename: 'scan.tif' });
    await eventually('it is processed', async () => (await attachmentOf(bob, sent.id)).state === 'READY');
    const received = Buffer.from(await (await open(node.url, bob, sent.path)).arrayBuffer());
    expect(received).toHaveLength(scan.length);
    expect(await exifr.gps(received)).toBeUndefined();
    expect(await exifr.parse(received)).toMatchObject({ Make: 'Secret Camera' });
    expect(errors).toEqual([]);
  });

  it('moves nothing when pictures are processed and loaded', { timeout: 60_000 }, async () => {
    const { ada, bob, id } = await pair();
    for (let number = 1; number <= 20; number += 1) await send(bob, id, `filler ${number}`);
    const { page } = await openApp(browser, url, ada, id);
    await rowWith(page, 'filler 20').waitFor();
    // The strip of statuses is loaded after the messages, and moves the list.
    await page.getByText('My status').waitFor();
    await watchShifts(page);
    const tall = await sharp({ create: { width: 300, height: 900, channels: 3, background: 'green' } })
      .png()
      .toBuffer();
    const ids = await Promise.all(
      [photo.buffer, tall].map((bytes) => uploaded(node.url, bob, bytes, { kind: 'IMAGE', filename: 'a' })),
    );
    await sendWith(bob, id, [ids[0]?.id]);
    await areLoaded(page, 1);
    await sendWith(bob, id, [ids[1]?.id]);
    await areLoaded(page, 2);
    // Arrivals move what is above them. Nothing else does: loading and processing take place afterwards.
    const before = (await shifts(page)).length;
    await page.reload();
    await rowWith(page, 'filler 20').waitFor();
    await page.getByText('My status').waitFor();
    await watchShifts(page);
    await areLoaded(page, 2);
    expect(before).toBeLessThanOrEqual(2);
    expect(await shifts(page)).toEqual([]);
  });

  it('shows pictures in front of the page, and goes through them with the keyboard', { timeout: 60_000 }, async () => {
    const { ada, bob, id } = await pair();
    const send3 = async (names: string[]) => {
      const all = await Promise.all(
        names.map((filename) => uploaded(node.url, bob, photo.buffer, { kind: 'IMAGE', filename, altText: filename })),
      );
      await sendWith(
        bob,
        id,
        all.map((each) => each.id),
      );
    };
    await send3(['one', 'two', 'three']);
    await send3(['four']);
    const { page, errors } = await openApp(browser, url, ada, id);
    await areLoaded(page, 4);
    const opener = page.getByRole('button', { name: 'Open image: two' });
    await opener.focus();
    await page.keyboard.press('Enter');
    const lightbox = page.getByRole('dialog', { name: 'Image' });
    await lightbox.getByRole('img', { name: 'two' }).waitFor();
    await lightbox.getByText('Image 2 of 4', { exact: true }).waitFor();
    expect(await violations(page)).toEqual([]);
    for (const name of ['three', 'four', 'four']) {
      await page.keyboard.press('ArrowRight');
      await lightbox.getByRole('img', { name }).waitFor();
    }
    expect(await lightbox.getByRole('button', { name: 'Next image' }).count()).toBe(0);
    for (const name of ['three', 'two', 'one']) {
      await page.keyboard.press('ArrowLeft');
      await lightbox.getByRole('img', { name }).waitFor();
    }
    // The focus stays within it.
    for (let count = 0; count < 8; count += 1) {
      await page.keyboard.press('Tab');
      const isInside = await page.evaluate(
        () => document.activeElement === document.body || document.activeElement?.closest('dialog') !== null,
      );
      expect(isInside).toBe(true);
    }
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      lightbox.getByRole('link', { name: 'Download' }).click(),
    ]);
    expect(download.suggestedFilename()).toBe('one');
    await page.keyboard.press('Escape');
    await lightbox.waitFor({ state: 'detached' });
    expect(await opener.evaluate((element) => document.activeElement === element)).toBe(true);
    expect(errors).toEqual([]);
  });

  it('attaches what is pasted and dropped', async () => {
    const { ada, bob, id } = await pair();
    const { page, errors } = await openApp(browser, url, ada, id);
    const bytes = [...photo.buffer];
    await composer(page).evaluate((field, content) => {
      const clipboardData = new DataTransfer();
      clipboardData.items.add(new File([new Uint8Array(content)], 'image.png', { type: 'image/jpeg' }));
      field.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
    }, bytes);
    await tray(page).getByRole('listitem').waitFor();
    const drag = (type: string) =>
      page.evaluate((name) => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File(['text'], 'notes.txt', { type: 'text/plain' }));
        const event = new DragEvent(name, { dataTransfer, bubbles: true, cancelable: true });
        document.querySelector('main')?.dispatchEvent(event);
        return event.defaultPrevented;
      }, type);
    await drag('dragenter');
    await page.getByText('Drop files here to attach them').waitFor();
    expect(await violations(page)).toEqual([]);
    expect(await drag('dragover')).toBe(true);
    expect(await drag('drop')).toBe(true);
    await page.getByText('Drop files here to attach them').waitFor({ state: 'detached' });
    await page.getByRole('list', { name: '2 files attached' }).waitFor();
    // What is attached stays on this device.
    await page.reload();
    await page.getByRole('list', { name: '2 files attached' }).waitFor();
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await eventually('it is sent', async () => (await last(bob, id)).attachments.length === 2);
    expect((await last(bob, id)).attachments).toMatchObject([
      { kind: 'IMAGE' },
      { kind: 'FILE', filename: 'notes.txt' },
    ]);
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: /^notes\.txt .* Download$/ }).click(),
    ]);
    expect(download.suggestedFilename()).toBe('notes.txt');
    expect(errors).toEqual([]);
  });

  it('pauses and removes files, and reports what cannot be attached', async () => {
    const { ada, bob, id } = await pair();
    const { page } = await openApp(browser, url, ada, id);
    let isHeld = true;
    await page.route('**/media/uploads/**', async (route) => {
      if (!isHeld) await route.continue();
    });
    const files = ['a.bin', 'b.bin'].map((name) => ({ name, mimeType: '', buffer: randomBytes(3 * PART) }));
    await pick(page, files);
    await page.getByRole('button', { name: 'Pause the upload of a.bin' }).click();
    await page.getByRole('button', { name: 'Continue the upload of a.bin' }).waitFor();
    await page.getByRole('button', { name: 'Remove b.bin' }).click();
    await page.getByRole('list', { name: '1 file attached' }).waitFor();
    expect(
      await page.getByRole('button', { name: 'Remove a.bin' }).evaluate((each) => each === document.activeElement),
    ).toBe(true);
    isHeld = false;
    await page.getByRole('button', { name: 'Continue the upload of a.bin' }).click();
    await page.getByRole('button', { name: /upload of a.bin/ }).waitFor({ state: 'detached' });
    await pick(page, { name: 'nothing.txt', mimeType: '', buffer: Buffer.alloc(0) });
    await page.getByText('nothing.txt is empty.').waitFor();
    await pick(page, { name: 'broken.png', mimeType: 'image/png', buffer: Buffer.from('no picture') });
    await page.getByText('This file could not be read.').waitFor();
    expect(await page.getByRole('button', { name: 'Send', exact: true }).isDisabled()).toBe(true);
    await page.getByRole('button', { name: 'Send as a document' }).click();
    await eventually('it can be sent', () => page.getByRole('button', { name: 'Send', exact: true }).isEnabled());
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await eventually('it is sent', async () => (await last(bob, id)).attachments.length === 2);
    expect((await last(bob, id)).attachments).toMatchObject([{ filename: 'a.bin' }, { kind: 'FILE' }]);
  });

  it('shows the progress of an upload also within a part', async () => {
    const { ada, id } = await pair();
    const { page, errors } = await openApp(browser, url, ada, id);
    const session = await page.context().newCDPSession(page);
    const slow = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 50_000 };
    await session.send('Network.emulateNetworkConditions', slow);
    await pick(page, { name: 'a.bin', mimeType: '', buffer: randomBytes(2 * PART) });
    const bar = page.getByRole('progressbar', { name: 'Upload of a.bin' });
    await bar.waitFor({ state: 'attached' });
    await eventually('it is between the parts', async () => {
      const value = Number(await bar.getAttribute('value'));
      return value > 0 && value < 50;
    });
    await session.send('Network.emulateNetworkConditions', { ...slow, uploadThroughput: -1 });
    await bar.waitFor({ state: 'detached' });
    expect(errors).toEqual([]);
  });

  it('continues when the network is back, and after a page load', { timeout: 90_000 }, async () => {
    const { ada, bob, id } = await pair();
    const proxy = await startProxy(Number(new URL(node.url).port));
    const { page } = await openApp(browser, `http://127.0.0.1:${proxy.port}/`, ada, id);
    const received: string[] = [];
    page.on('response', (response) => {
      if (response.request().method() === 'PUT' && response.status() === 204) received.push(response.url());
    });
    let sent = 0;
    let stopAt = 4;
    await page.route('**/media/uploads/**', async (route) => {
      sent += 1;
      if (sent === stopAt) {
        proxy.pointTo(1);
        proxy.cut();
      }
      await route.continue().catch(() => {});
    });
    await pick(page, { name: 'large.bin', mimeType: '', buffer: randomBytes(12 * PART) });
    await composer(page).fill('large');
    await composer(page).press('Enter');
    await eventually('the network is gone', () => sent >= stopAt);
    await page.getByRole('progressbar', { name: 'Upload of large.bin' }).waitFor({ state: 'attached' });
    expect(received.length).toBeLessThan(5);
    stopAt = sent + 100;
    proxy.pointTo(Number(new URL(node.url).port));
    await eventually('it goes on', () => received.length >= 6);
    await page.reload();
    await eventually('it is sent', async () => (await last(bob, id)).attachments.length === 1);
    expect(await last(bob, id)).toMatchObject({ text: 'large', attachments: [{ filename: 'large.bin' }] });
    // The response to one of them can be lost at the load of the page; another one was under way when the network was cut.
    expect(new Set(received).size).toBeGreaterThanOrEqual(11);
    expect(received.length).toBeLessThanOrEqual(14);
    await page.getByRole('link', { name: /^large.bin .* Download$/ }).waitFor();
    expect(await rows(page).count()).toBe(2);
  });

  it('records a voice message, which others play faster and from any place', { timeout: 60_000 }, async () => {
    const { ada, bob, id } = await pair();
    const [adas, bobs] = await Promise.all([openApp(browser, url, ada, id), openApp(browser, url, bob, id)]);
    const { page } = adas;
    await page.getByRole('button', { name: 'Record a voice message' }).click();
    await page.getByRole('timer').filter({ hasText: '0:01' }).waitFor();
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await composer(page).waitFor();
    expect(await rows(page).count()).toBe(1);
    await page.getByRole('button', { name: 'Record a voice message' }).click();
    await page.getByRole('timer').filter({ hasText: '0:02' }).waitFor();
    await page.getByRole('button', { name: 'Stop recording' }).click();
    await page.getByRole('slider', { name: 'Position in: Voice message' }).waitFor();
    expect(await violations(page)).toEqual([]);
    await page.getByRole('button', { name: 'Send the voice message' }).click();
    const player = rows(bobs.page).filter({ has: bobs.page.getByRole('slider') });
    await player.waitFor();
    expect(await last(bob, id)).toMatchObject({ text: null, attachments: [{ kind: 'VOICE' }] });
    await eventually('its length is known', async () => (await last(bob, id)).attachments[0].durationMs > 1_000);
    expect(await violations(bobs.page)).toEqual([]);
    const slider = player.getByRole('slider');
    const audio = player.locator('audio');
    const at = () => audio.evaluate((element) => (element as HTMLAudioElement).currentTime);
    await player.getByRole('button', { name: 'Speed: 1×' }).click();
    await player.getByRole('button', { name: 'Speed: 1.5×' }).click();
    await player.getByRole('button', { name: 'Speed: 2×' }).waitFor();
    await player.getByRole('button', { name: 'Play: Voice message' }).click();
    await eventually('it plays', async () => (await at()) > 0);
    expect(await audio.evaluate((element) => (element as HTMLAudioElement).playbackRate)).toBe(2);
    await eventually('it has ended', () => audio.evaluate((element) => (element as HTMLAudioElement).paused));
    await slider.focus();
    await bobs.page.keyboard.press('ArrowRight');
    await eventually('it is further', async () => (await at()) > 1);
    await bobs.page.keyboard.press('Home');
    await eventually('it is at the beginning', async () => (await at()) === 0);
    // The list of conversations says what it is.
    await bobs.page.getByRole('link', { name: /Voice message/ }).waitFor();
    expect(adas.errors.concat(bobs.errors)).toEqual([]);
  });

  it('uploads the pictures of the user and of a group', { timeout: 60_000 }, async () => {
    const { ada, bob, id } = await pair();
    const group = await createGroup(ada, [bob], { title: 'Garden' });
    await send(ada, group, 'first');
    const [{ page }, bobs] = await Promise.all([openApp(browser, url, ada, group), openApp(browser, url, bob, id)]);
    const pictures = bobs.page.getByRole('navigation').locator('li img');
    expect(await pictures.count()).toBe(0);
    await page.getByRole('button', { name: /Garden/ }).click();
    await page.getByRole('button', { name: 'Edit title and description' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Choose a picture').setInputFiles({ ...photo, buffer: Buffer.from('no picture') });
    await dialog.getByText('This file could not be read.').waitFor();
    await dialog.getByLabel('Choose a picture').setInputFiles(photo);
    await dialog.getByRole('button', { name: 'Remove the picture' }).waitFor();
    expect(await violations(page)).toEqual([]);
    await eventually('the picture of the group is shown', async () => (await pictures.count()) === 1);
    await page.goto(`${url}settings`);
    await page.getByRole('button', { name: 'Edit profile' }).click();
    await dialog.getByLabel('Choose a picture').setInputFiles(photo);
    await eventually('that of the user is shown', async () => (await pictures.count()) === 2);
    await dialog.getByRole('button', { name: 'Remove the picture' }).click();
    await eventually('it is removed', async () => (await pictures.count()) === 1);
    await dialog.getByRole('button', { name: 'Remove the picture' }).waitFor({ state: 'detached' });
  });

  it('lists the files of a conversation in its details', { timeout: 60_000 }, async () => {
    const { ada, bob, id } = await pair();
    const video = await uploaded(node.url, bob, await makeVideo('webm'), { kind: 'VIDEO', filename: 'film.webm' });
    const picture = await uploaded(node.url, bob, photo.buffer, { kind: 'IMAGE', filename: 'beach.jpg' });
    await sendWith(bob, id, [picture.id]);
    await sendWith(bob, id, [video.id]);
    const text = await uploaded(node.url, bob, Buffer.from('text'), { filename: 'notes.txt' });
    await sendWith(bob, id, [text.id], { text: 'my notes' });
    const { page, errors } = await openApp(browser, url, ada, id);
    await page
      .getByRole('button', { name: new RegExp(bob.username) })
      .first()
      .click();
    const panel = page.getByRole('complementary', { name: 'Profile' });
    const media = panel.getByRole('tab', { name: 'Media' });
    // It follows what others send and delete.
    const { data } = await sendWith(bob, id, [
      (await uploaded(node.url, bob, photo.buffer, { kind: 'IMAGE', filename: 'sunset.jpg' })).id,
    ]);
    const sunset = panel.getByRole('button', { name: 'Open image: sunset.jpg' });
    await sunset.waitFor();
    await bob.ask('mutation ($input: DeleteMessageInput!) { deleteMessage(input: $input) { message { id } } }', {
      input: { messageId: data.sendMessage.message.id },
    });
    await sunset.waitFor({ state: 'detached' });
    await panel.getByRole('button', { name: /^Video: film.webm/ }).waitFor();
    expect(await violations(page)).toEqual([]);
    await panel.getByRole('button', { name: 'Open image: beach.jpg' }).click();
    await page.getByRole('dialog', { name: 'Image' }).waitFor();
    await page.keyboard.press('Escape');
    await media.focus();
    await page.keyboard.press('ArrowRight');
    await panel.getByRole('link', { name: /^notes.txt .* Download$/ }).waitFor();
    expect(await violations(page)).toEqual([]);
    await panel.getByRole('button', { name: 'Go to the message' }).click();
    await eventually('the message has the focus', () =>
      rowWith(page, 'my notes').evaluate((row) => row === document.activeElement),
    );
    await panel.getByRole('tab', { name: 'Files' }).focus();
    await page.keyboard.press('ArrowRight');
    await panel.getByText('No voice messages yet').waitFor();
    await write(page, 'done');
    await rowWith(page, 'done').waitFor();
    expect(errors).toEqual([]);
  });
});
