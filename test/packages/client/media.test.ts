import { randomBytes } from 'node:crypto';
import { afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type Parley, ParleyError } from '../../../packages/client/src/index.js';
import { kindOf, type Media, mediaOf, uploadFile } from '../../../packages/client/src/media.js';
import { encodeGlobalId } from '../../../src/core/ids.js';
import type { RunningNode } from '../../../src/server/start.js';
import { eventually, type Json, type Person, registerAll } from '../../support/client.js';
import { attachmentOf, makeAac, makePicture } from '../../support/media.js';
import { detailModes, makePlace, type Place } from '../../support/place.js';
import { startProxy } from '../../support/proxy.js';
import { openAlone, openBrowser } from '../../support/tabs.js';
import { openDirect, send } from '../../support/talk.js';
import { followFiles, sendFiles } from './media.js';
import { upload } from './upload.js';

const PART = 65_536;
const portOf = (node: RunningNode) => Number(new URL(node.url).port);
const isLive = (parley: Parley) => parley.connection.value.status === 'live';
const bytesOf = (parts: number) => randomBytes(parts * PART - 100);
const fileOf = (bytes: Uint8Array, name = 'data.bin', type = '') => new File([new Uint8Array(bytes)], name, { type });

/**
 * Records the parts that are sent from now on. `onPart` is called before each of them with how many there were, and can throw.
 */
function watchParts(onPart: (count: number, signal: AbortSignal | null | undefined) => unknown = () => {}) {
  const parts: string[] = [];
  const original = globalThis.fetch;
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
    if (init?.method === 'PUT') {
      parts.push(new URL(String(input)).pathname);
      await onPart(parts.length, init.signal);
    }
    return original(input, init);
  });
  return parts;
}

/** The keys of the files that this browser has stored. */
async function filesOf(url: string): Promise<unknown[]> {
  const done = <T>(request: IDBRequest<T>) =>
    new Promise<T>((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  const name = `parley:${url}:files`;
  const databases = await indexedDB.databases();
  if (!databases.some((each) => each.name === name)) return [];
  const db = await done(indexedDB.open(name));
  const keys = await done(db.transaction('files').objectStore('files').getAllKeys());
  db.close();
  return keys;
}

/** A promise to wait for until a signal ends it. */
const untilAborted = (signal: AbortSignal | null | undefined) =>
  new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));

describe('a part', () => {
  it('may take as long as a slow connection needs for its size', async () => {
    onTestFinished(() => void vi.restoreAllMocks());
    const limits = vi.spyOn(AbortSignal, 'timeout');
    vi.spyOn(globalThis, 'fetch').mockResolvedValue(new Response(null, { status: 204 }));
    const attachment = { id: 'one' };
    for (const byteSize of [PART - 1, 80 * PART]) {
      const missingParts = [{ number: 1, offset: 0, byteSize, url: '/media/1', headers: [] }];
      const request = vi
        .fn()
        .mockResolvedValueOnce({ createUpload: { upload: { attachment, missingParts, expiresAt: '' } } })
        .mockResolvedValueOnce({ completeUpload: { attachment } });
      const file = fileOf(new Uint8Array(byteSize));
      const details = { kind: 'FILE', filename: 'data', clientUploadId: 'key' } as const;
      await uploadFile({ request, url: 'http://localhost/graphql', file, ...details });
    }
    const [small = 0, large = 0] = limits.mock.calls.map(([milliseconds]) => milliseconds);
    expect(small).toBeLessThan(40_000);
    // 5 MiB at 16 KB/s.
    expect(large).toBeGreaterThan(5 * 64_000);
  });
});

describe('the kind of a file', () => {
  it('depends on its type', () => {
    const kinds = ['image/png', 'image/svg+xml', 'video/mp4', 'audio/webm;codecs=opus', 'text/html', ''].map((type) =>
      kindOf({ type }),
    );
    expect(kinds).toEqual(['IMAGE', 'FILE', 'VIDEO', 'AUDIO', 'FILE', 'FILE']);
  });
});

describe.each(detailModes)('the files of a client in %s mode', (mode) => {
  let place: Place;
  let node: RunningNode;
  beforeAll(async () => {
    place = await makePlace(mode);
    node = await place.start({ UPLOAD_PART_BYTES: String(PART), ATTACHMENT_MAX_BYTES: '2000000' });
  });

  afterEach(() => vi.restoreAllMocks());

  async function meet() {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const id = await openDirect(ana, ben);
    const proxy = await startProxy(portOf(node));
    const browser = openBrowser();
    const url = `http://127.0.0.1:${proxy.port}/graphql`;
    const open = async () => {
      const parley = browser.open({ url, requestTimeout: 2_000 });
      return { parley, media: mediaOf(parley) };
    };
    const opened = await open();
    await opened.parley.session.useTokens({ accessToken: ana.token, refreshToken: ana.refreshToken });
    await eventually('it is live', () => isLive(opened.parley));
    opened.parley.conversation(id).subscribe(() => {});
    return { ana, ben, id, proxy, url, browser, open, ...opened };
  }

  async function openAs(person: Person, id: string) {
    const parley = openAlone({ url: node.url });
    const media = mediaOf(parley);
    await parley.session.useTokens({ accessToken: person.token, refreshToken: person.refreshToken });
    await eventually('it is live', () => isLive(parley));
    parley.conversation(id).subscribe(() => {});
    return { parley, media };
  }

  /** The attachments of the messages of a conversation, as the server has them. */
  async function stored(person: Person, id: string) {
    const query = `query ($id: ID!) {
      conversation(id: $id) { messages { nodes { text attachments { id kind state filename byteSize altText } } } }
    }`;
    return (await person.ask(query, { id })).conversation.messages.nodes;
  }

  const stateOf = (media: Media, id: string) => media.upload(id).value?.state;

  it('sends a picture, which others see and can open when it has been processed', async () => {
    const { id, ben, parley, media } = await meet();
    const other = await openAs(ben, id);
    const attachments = () =>
      other.parley.conversation(id).value.rows.flatMap(({ message }) => message?.attachments ?? []);
    const picture = await makePicture('jpeg');
    await media.add(id, fileOf(picture, 'beach.jpg', 'image/jpeg'), { altText: 'A beach', width: 600, height: 400 });
    expect(media.draft(id).value).toMatchObject([{ kind: 'IMAGE', filename: 'beach.jpg', width: 600 }]);
    const key = await media.send(id, 'Look');
    expect(media.draft(id).value).toEqual([]);
    expect(media.ofMessage(key).value).toHaveLength(1);
    await eventually('the others can open it', () => attachments()[0]?.state === 'READY');
    const [shown] = attachments();
    expect(shown).toMatchObject({
      kind: 'IMAGE',
      altText: 'A beach',
      width: 600,
      height: 400,
      contentType: 'image/jpeg',
    });
    await eventually('the token is known', () => other.media.token.value !== undefined);
    for (const variant of [undefined, 'preview', 'thumbnail'] as const) {
      const url = shown && other.media.attachmentUrl(shown, variant);
      const response = await fetch(url ?? '');
      expect([variant, response.status]).toEqual([variant, 200]);
      expect(response.headers.get('content-type')).toMatch(/^image\//);
      await response.arrayBuffer();
    }
    expect(shown && other.media.attachmentUrl(shown, 'poster')).toBeUndefined();
    await eventually('nothing is left to be sent', () => parley.outbox.value.length === 0 && !media.upload('x').value);
    expect(media.ofMessage(key).value).toEqual([]);
    // The page that has sent it need not load it again.
    expect(media.ownFile(shown?.id ?? '')?.size).toBe(picture.length);
    expect(parley.conversation(id).value.rows).toMatchObject([{ key, text: 'Look', status: expect.any(String) }]);
  });

  it('sends the waveform of a recording that the server cannot decode', async () => {
    const { id, ben, media } = await meet();
    const waveform = Array.from({ length: 64 }, (_, index) => index);
    const aac = await makeAac();
    await media.add(id, fileOf(aac, 'voice.m4a', 'audio/mp4'), { kind: 'VOICE', waveform });
    // Another number of peaks is not for the server, which would refuse it.
    await media.add(id, fileOf(aac, 'voice.m4a', 'audio/mp4'), { kind: 'VOICE', waveform: [1, 2, 3] });
    await media.send(id);
    await eventually('it is sent', async () => (await stored(ben, id)).length === 1);
    const [{ attachments }] = await stored(ben, id);
    const waveforms = async () =>
      Promise.all(attachments.map(async (each: Json) => (await attachmentOf(ben, each.id)).waveform));
    expect(await waveforms()).toEqual([waveform, null]);
  });

  it('sends at most one part again after the connection was cut', { timeout: 60_000 }, async () => {
    const { id, ben, proxy, media } = await meet();
    const bytes = bytesOf(12);
    const parts = watchParts((count) => {
      if (count === 5) setTimeout(() => proxy.cut());
    });
    await media.add(id, fileOf(bytes));
    await media.send(id);
    await eventually('it is sent', async () => (await stored(ben, id)).length === 1);
    expect(await stored(ben, id)).toMatchObject([
      { text: null, attachments: [{ kind: 'FILE', filename: 'data.bin', byteSize: bytes.length }] },
    ]);
    expect(new Set(parts).size).toBe(12);
    expect(parts.length).toBeLessThanOrEqual(13);
    const [{ attachments }] = await stored(ben, id);
    await eventually('it can be opened', async () => (await attachmentOf(ben, attachments[0].id)).state === 'READY');
    const { viewer } = await ben.ask('{ viewer { mediaToken } }');
    const { path } = await attachmentOf(ben, attachments[0].id);
    const received = await fetch(`${new URL(path, node.url).href}?t=${viewer.mediaToken}`);
    expect(Buffer.from(await received.arrayBuffer()).equals(bytes)).toBe(true);
  });

  it('continues after a page load, and sends the message then', { timeout: 60_000 }, async () => {
    const { id, ben, parley, media, open } = await meet();
    const first = watchParts((count, signal) => (count > 4 ? untilAborted(signal) : undefined));
    await media.add(id, fileOf(bytesOf(8)), { altText: 'Numbers' });
    const key = await media.send(id, 'after the load');
    await eventually('it is being uploaded', () => first.length === 5);
    await parley.close();
    vi.restoreAllMocks();
    const parts = watchParts();
    const next = await open();
    next.parley.conversation(id).subscribe(() => {});
    await eventually('it is shown', () => next.media.ofMessage(key).value.length === 1);
    expect(await next.media.file(next.media.ofMessage(key).value[0]?.id ?? '')).toMatchObject({ size: 8 * PART - 100 });
    await eventually('it is sent', async () => (await stored(ben, id)).length === 1);
    // The fifth part was not received.
    expect(parts).toHaveLength(4);
    expect(await stored(ben, id)).toMatchObject([{ text: 'after the load', attachments: [{ altText: 'Numbers' }] }]);
    await eventually('nothing is left', () => next.parley.outbox.value.length === 0);
  });

  it('keeps the files of a draft, and sends later messages before one that waits for its files', async () => {
    const { id, ben, parley, media } = await meet();
    const parts = watchParts((count, signal) => (count > 2 ? untilAborted(signal) : undefined));
    const file = await media.add(id, fileOf(bytesOf(4)));
    await eventually('it is being uploaded', () => parts.length === 3);
    expect(media.upload(file).value).toMatchObject({ state: 'uploading', sentBytes: 2 * PART });
    await media.pause(file);
    expect(media.draft(id).value).toMatchObject([{ id: file, state: 'paused', sentBytes: 2 * PART }]);
    await media.send(id, 'first');
    await parley.conversation(id).send('second');
    await eventually('the second one is sent', async () => (await stored(ben, id)).length === 1);
    expect(await stored(ben, id)).toMatchObject([{ text: 'second' }]);
    vi.restoreAllMocks();
    await media.pause(file);
    await media.resume(file);
    await eventually('the first one is sent', async () => (await stored(ben, id)).length === 2);
    expect(await stored(ben, id)).toMatchObject([{ text: 'second' }, { text: 'first', attachments: [{}] }]);
  });

  it('removes files from drafts and from messages that wait, and cancels their uploads', async () => {
    const { id, ana, ben, parley, media } = await meet();
    const bytes = async () => (await ana.ask('{ viewer { mediaUsage { bytes } } }')).viewer.mediaUsage.bytes;
    watchParts((count, signal) => (count > 1 ? untilAborted(signal) : undefined));
    const [one, two] = [await media.add(id, fileOf(bytesOf(3))), await media.add(id, fileOf(bytesOf(2)))];
    await eventually('both are known', async () => (await bytes()) === 5 * PART - 200);
    await media.remove(one);
    expect(media.draft(id).value.map((each) => each.id)).toEqual([two]);
    expect(await media.file(one)).toBeUndefined();
    await eventually('it is deleted', async () => (await bytes()) === 2 * PART - 100);
    await media.send(id);
    await media.remove(two);
    await eventually('nothing is left to be sent', () => parley.outbox.value.length === 0);
    await eventually('it is deleted, too', async () => (await bytes()) === 0);
    expect(await stored(ben, id)).toEqual([]);
    const three = await media.add(id, fileOf(bytesOf(2)));
    const key = await media.send(id, 'discarded');
    await parley.outbox.discard(key);
    await eventually('the file is gone', () => media.upload(three).value === undefined);
    await eventually('everything is deleted', async () => (await bytes()) === 0);
  });

  it('cancels the upload of a file that was removed before the server had responded', async () => {
    const { id, ana, media } = await meet();
    let isCreated = false;
    let respond = () => {};
    const held = new Promise<void>((resolve) => {
      respond = resolve;
    });
    const original = globalThis.fetch;
    vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
      const response = await original(input, init);
      if (String(init?.body).includes('createUpload(')) {
        isCreated = true;
        await held;
      }
      return response;
    });
    const file = await media.add(id, fileOf(bytesOf(2)));
    await eventually('the server has created it', () => isCreated);
    await media.remove(file);
    respond();
    await eventually('it is deleted', async () => {
      return (await ana.ask('{ viewer { mediaUsage { bytes } } }')).viewer.mediaUsage.bytes === 0;
    });
  });

  it('changes the description of an image without uploading it again', async () => {
    const { id, ben, media } = await meet();
    const parts = watchParts();
    const file = await media.add(id, fileOf(await makePicture('png'), 'a.png', 'image/png'), { altText: 'A flag' });
    await eventually('it is uploaded', () => stateOf(media, file) === 'uploaded');
    expect(parts).toHaveLength(1);
    await media.update(file, { altText: 'Red and blue' });
    await media.send(id);
    await eventually('it is sent', async () => (await stored(ben, id)).length === 1);
    expect(await stored(ben, id)).toMatchObject([{ attachments: [{ altText: 'Red and blue', kind: 'IMAGE' }] }]);
    expect(parts).toHaveLength(1);
  });

  it('changes the description of a file that is being uploaded, and sends at most one part again', async () => {
    const { id, ben, media } = await meet();
    let isHeld = true;
    const parts = watchParts((count, signal) => (isHeld && count > 2 ? untilAborted(signal) : undefined));
    const file = await media.add(id, fileOf(bytesOf(4)));
    await eventually('it is being uploaded', () => parts.length === 3);
    isHeld = false;
    await media.update(file, { altText: 'Numbers' });
    await media.send(id);
    await eventually('it is sent', async () => (await stored(ben, id)).length === 1);
    expect(await stored(ben, id)).toMatchObject([{ attachments: [{ altText: 'Numbers' }] }]);
    expect(parts).toHaveLength(5);
  });

  it('reports when the files of a conversation have changed', async () => {
    const { id, ana, ben, media } = await meet();
    const other = await openAs(ben, id);
    let isChanged = false;
    const stop = other.media.onAttachmentsChanged(id, () => {
      isChanged = true;
    });
    const changes = async (what: string) => {
      await eventually(what, () => isChanged);
      isChanged = false;
    };
    const names = async () => (await other.media.attachments(id)).items.map(({ attachment }) => attachment.filename);
    await media.add(id, fileOf(Buffer.from('a'), 'a.txt'));
    await media.send(id, 'with a file');
    await changes('it is sent');
    expect(await names()).toEqual(['a.txt']);
    await eventually('it is processed', async () => (await stored(ben, id))[0].attachments[0].state === 'READY');
    const messages = () => other.parley.conversation(id).value.rows.flatMap(({ message }) => message ?? []);
    await eventually('it is shown', () => messages()[0]?.attachments[0]?.state === 'READY');
    isChanged = false;
    // What changes no files is not reported.
    const text = await send(ana, id, 'without a file');
    await eventually('the text is shown', () => messages().length === 2);
    expect([text.text, isChanged]).toEqual(['without a file', false]);
    await ana.ask('mutation ($input: DeleteMessageInput!) { deleteMessage(input: $input) { message { id } } }', {
      input: { messageId: messages()[0]?.id },
    });
    await changes('it is deleted');
    expect(await names()).toEqual([]);
    stop();
  });

  it('reports why a file is refused, and a rejected file can be sent as a document', async () => {
    const { id, ben, parley, media } = await meet();
    const large = await media.add(id, fileOf(randomBytes(2_000_001)));
    await eventually('it fails', () => stateOf(media, large) === 'failed');
    expect(media.upload(large).value?.error).toMatchObject({
      ...{ code: 'PAYLOAD_TOO_LARGE', field: 'input.byteSize', limit: 'attachmentMaxBytes' },
    });
    const key = await media.send(id, 'too much');
    await eventually('the message fails', () => parley.outbox.value.some(({ error }) => error !== undefined));
    expect(parley.conversation(id).value.rows).toMatchObject([{ key, status: 'failed' }]);
    await media.remove(large);
    await eventually('the text is sent', async () => (await stored(ben, id)).length === 1);

    const broken = await media.add(id, fileOf(Buffer.from('no picture'), 'b.png', 'image/png'));
    await eventually('it is rejected', () => stateOf(media, broken) === 'failed');
    expect(media.upload(broken).value?.error).toMatchObject({ code: 'REJECTED' });
    await media.update(broken, { kind: 'FILE' });
    await media.send(id);
    await eventually('it is sent', async () => (await stored(ben, id)).length === 2);
    expect((await stored(ben, id))[1]).toMatchObject({ attachments: [{ kind: 'FILE', filename: 'b.png' }] });
  });

  it('uploads a file again that the server has deleted before the message was sent', async () => {
    const { id, ana, ben, parley, media } = await meet();
    const parts = watchParts();
    const file = await media.add(id, fileOf(bytesOf(2)));
    await eventually('it is uploaded', () => stateOf(media, file) === 'uploaded');
    // As after `UPLOAD_TTL`.
    const attachmentId = encodeGlobalId('Attachment', parts[0]?.split('/')[3] ?? '');
    await ana.ask('mutation ($input: CancelUploadInput!) { cancelUpload(input: $input) { attachmentId } }', {
      input: { attachmentId },
    });
    const key = await media.send(id, 'again');
    await eventually('it is refused', () => parley.outbox.value.some(({ error }) => error !== undefined));
    expect(parley.outbox.value).toMatchObject([{ error: { code: 'NOT_FOUND', field: 'input.attachmentIds.0' } }]);
    await parley.outbox.retry(key);
    await eventually('it is sent', async () => (await stored(ben, id)).length === 1);
    expect(await stored(ben, id)).toMatchObject([{ text: 'again', attachments: [{ byteSize: 2 * PART - 100 }] }]);
  });

  it('has pages of the attachments of a conversation', async () => {
    const { id, ben, media } = await meet();
    for (const name of ['a.txt', 'b.txt', 'c.txt']) await media.add(id, fileOf(Buffer.from(name), name));
    await media.send(id);
    await eventually('they are sent', async () => (await stored(ben, id)).length === 1);
    const first = await media.attachments(id, { kind: 'FILE', first: 2 });
    const second = await media.attachments(id, { kind: 'FILE', first: 2, after: first.after });
    const names = [...first.items, ...second.items].map(({ attachment }) => attachment.filename);
    expect(names.toSorted()).toEqual(['a.txt', 'b.txt', 'c.txt']);
    expect(second.after).toBeUndefined();
    expect(first.items[0]?.message).toMatchObject({ seq: 1, sender: { displayName: expect.any(String) } });
    expect((await media.attachments(id, { kind: 'IMAGE' })).items).toEqual([]);
  });

  it('removes the files from the device when the user signs out', async () => {
    const { id, parley, media, url, browser } = await meet();
    watchParts((_, signal) => untilAborted(signal));
    const file = await media.add(id, fileOf(bytesOf(2)));
    expect(await filesOf(url)).toEqual([file]);
    await eventually('there is a token', () => media.token.value !== undefined);
    await parley.close();
    // Also by a page that has not loaded this entry point.
    const next = browser.open({ url });
    await eventually('it is signed in', () => next.session.value.status === 'signedIn');
    await next.session.signOut();
    await eventually('they are removed', async () => (await filesOf(url)).length === 0);
    await next.close();
    const last = mediaOf(browser.open({ url }));
    expect([last.draft(id).value, last.token.value]).toEqual([[], undefined]);
  });

  it('renews the token of URLs before it is too old', async () => {
    const { media, parley, proxy } = await meet();
    await eventually('there is a token', () => media.token.value !== undefined);
    const asked: string[] = [];
    const original = globalThis.fetch;
    vi.spyOn(globalThis, 'fetch').mockImplementation((input, init) => {
      if (String(init?.body).includes('mediaToken')) asked.push(String(init?.body));
      return original(input, init);
    });
    const reconnect = async () => {
      const { since } = parley.connection.value;
      proxy.cut();
      await eventually('it is live again', () => parley.connection.value.since > since && isLive(parley));
    };
    await reconnect();
    expect(asked).toEqual([]);
    const now = Date.now;
    vi.spyOn(Date, 'now').mockImplementation(() => now() + 13 * 3_600_000);
    await reconnect();
    await eventually('it is asked for again', () => asked.length > 0);
  });

  it('uploads without a store, with the same function', async () => {
    const [ana] = await registerAll(node.url, 'ana');
    const parley = openAlone({ url: node.url, sync: false });
    await parley.session.useTokens({ accessToken: ana.token, refreshToken: ana.refreshToken });
    const progress: number[] = [];
    const bytes = bytesOf(3);
    const attachmentId = await upload(parley, node.url, fileOf(bytes, 'c.txt'), (sent) => progress.push(sent));
    expect(await attachmentOf(ana, attachmentId)).toMatchObject({ filename: 'c.txt', byteSize: bytes.length });
    expect(progress).toEqual([0, PART, 2 * PART, bytes.length]);
    const options = {
      request: parley.request,
      url: node.url,
      filename: 'd',
      kind: 'FILE',
      clientUploadId: 'd',
    } as const;
    // Interrupted by the caller, and continued.
    const controller = new AbortController();
    const interrupted = uploadFile({
      ...{ ...options, file: fileOf(bytes), signal: controller.signal },
      onProgress: (sent) => sent === PART && controller.abort(new Error('not now')),
    });
    await expect(interrupted).rejects.toThrow('not now');
    const parts = watchParts();
    await uploadFile({ ...options, file: fileOf(bytes) });
    expect(parts).toHaveLength(2);
    // Parts that are refused, and a file that cannot be read.
    vi.restoreAllMocks();
    const original = globalThis.fetch;
    vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) =>
      init?.method === 'PUT' ? new Response('<Error/>', { status: 403 }) : original(input, init),
    );
    await expect(uploadFile({ ...options, clientUploadId: 'e', file: fileOf(bytes) })).rejects.toThrow('status 403');
    vi.restoreAllMocks();
    const gone = fileOf(bytes);
    gone.slice = () => {
      throw new DOMException('gone', 'NotFoundError');
    };
    const failed = uploadFile({ ...options, clientUploadId: 'f', file: gone });
    await expect(failed).rejects.toThrow(ParleyError);
    await expect(failed).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  });

  it('the example of the documentation shows the progress and the images', async () => {
    const { id, parley } = await meet();
    const drafts: string[][] = [];
    let images: { src: string; alt: string }[] = [];
    followFiles(parley, id, {
      showDraft: (lines) => drafts.push(lines),
      showImages: (shown) => {
        images = shown;
      },
    });
    await sendFiles(parley, id, [fileOf(await makePicture('webp'), 'sea.webp', 'image/webp')]);
    await eventually('the image is shown', () => images.length === 1);
    expect(images).toMatchObject([{ alt: 'sea.webp', src: expect.stringContaining('/preview?t=') }]);
    expect(drafts.flat()).toContain('sea.webp: 0 %');
  });
});
