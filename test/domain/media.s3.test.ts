import { createHash, randomBytes } from 'node:crypto';
import sharp from 'sharp';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readConfig } from '../../src/app/config.js';
import { mediaStore } from '../../src/domain/media/media.files.js';
import { bucketOf } from '../../src/domain/media/media.settings.js';
import { deleteOrphans, verifyMedia } from '../../src/domain/media/media.verify.js';
import { mediaWorker } from '../../src/domain/media/media.worker.js';
import type { DirectUploads, MediaStore } from '../../src/infra/media/store.js';
import type { RunningNode } from '../../src/server/start.js';
import { type FakeClamd, startClamd, VIRUS } from '../support/clamd.js';
import { eventually, type Json, type Person, registerAll } from '../support/client.js';
import { rowId } from '../support/durable-streams.js';
import { atFileEnd } from '../support/ending.js';
import {
  attachmentOf,
  complete,
  createUpload,
  makePicture,
  makeRecording,
  open,
  putPart,
  sendWith,
  tryCreate,
  upload,
  uploaded,
} from '../support/media.js';
import { scrape } from '../support/metrics.js';
import { anyMode, makePlace, type Place } from '../support/place.js';
import { type FakeS3, startS3 } from '../support/s3.js';
import { openDirect } from '../support/talk.js';

const MiB = 1024 * 1024;
const CANCEL = 'mutation ($input: CancelUploadInput!) { cancelUpload(input: $input) { attachmentId } }';
const errorOf = ({ errors }: Json) => [errors?.[0].extensions.code, errors?.[0].extensions.field];

describe('attachments in S3', () => {
  let place: Place;
  let node: RunningNode;
  let s3: FakeS3;
  let clamd: FakeClamd;
  let ada: Person;
  let bob: Person;
  let direct: string;
  beforeAll(async () => {
    [place, s3, clamd] = await Promise.all([
      makePlace(anyMode, { web: true }),
      startS3(atFileEnd),
      startClamd(atFileEnd),
    ]);
    clamd.sizeMax = 20 * MiB;
    node = await place.start({
      ...s3.env,
      CLAMD_URL: clamd.url,
      DELETED_ACCOUNT_MESSAGES: 'delete',
      METRICS_PORT: '0',
    });
    [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    direct = await openDirect(ada, bob);
  });
  beforeEach(() => {
    s3.fault(() => undefined);
    s3.refusals.length = 0;
    clamd.files.length = 0;
  });

  const keyOf = async (id: string): Promise<string> =>
    (await node.deps.database.db.attachment.findUniqueOrThrow({ where: { id: rowId(id) } })).storeKey;
  /** The names of the objects of an attachment, and of its uploads in progress. */
  const storedOf = (key: string): string[] =>
    [...s3.objects.keys(), ...[...s3.uploads.values()].map((each) => `${each.key} in parts`)]
      .filter((name) => name.startsWith(`some/folder/${key}/`))
      .map((name) => name.slice(`some/folder/${key}/`.length))
      .sort();
  const ready = async () => (await fetch(node.url.replace('/graphql', '/ready'))).json() as Promise<Json>;

  it('are sent to the bucket, processed, opened and deleted', async () => {
    const file = await uploaded(node.url, ada, await makePicture('jpeg', 6), { kind: 'IMAGE', filename: 'a.jpg' });
    expect(file).toMatchObject({ state: 'READY', contentType: 'image/jpeg', width: 400, height: 600 });
    const key = await keyOf(file.id);
    await eventually('the upload with its metadata is deleted', async () => !storedOf(key).includes('upload'));
    expect(storedOf(key)).toEqual(['original', 'preview', 'thumbnail']);
    const { message } = (await sendWith(ada, direct, [file.id])).data.sendMessage;
    const original = Buffer.from(await (await open(node.url, bob, file.path)).arrayBuffer());
    expect(original.length).toBe(file.byteSize);
    expect(original.includes('Secret Camera')).toBe(false);
    expect((await sharp(original).metadata()).orientation).toBe(6);
    const part = await open(node.url, bob, file.path, { headers: { range: 'bytes=10-19' } });
    expect([part.status, part.headers.get('content-range')]).toEqual([206, `bytes 10-19/${file.byteSize}`]);
    expect(Buffer.compare(Buffer.from(await part.arrayBuffer()), original.subarray(10, 20))).toBe(0);
    const thumbnail = await open(node.url, bob, file.variants[1].path);
    expect((await sharp(await thumbnail.arrayBuffer()).metadata()).format).toBe('webp');
    const voice = await uploaded(node.url, ada, makeRecording(), { kind: 'VOICE' });
    expect(voice).toMatchObject({ state: 'READY', durationMs: 1_000 });
    await ada.ask('mutation ($input: DeleteMessageInput!) { deleteMessage(input: $input) { message { id } } }', {
      input: { messageId: message.id },
    });
    await eventually('the objects are deleted', async () => storedOf(key).length === 0);
    expect(s3.refusals).toEqual([]);
  });

  it('continue after an interruption, and are opened at the bucket if they are large', async () => {
    const bytes = randomBytes(10 * MiB + 5);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const input = { clientUploadId: 'interrupted', filename: 'große Datei.bin', sha256 };
    const { attachment, missingParts } = await createUpload(ada, bytes, input);
    expect(missingParts.map(({ offset, byteSize }: Json) => [offset, byteSize])).toEqual([
      [0, 5 * MiB],
      [5 * MiB, 5 * MiB],
      [10 * MiB, 5],
    ]);
    for (const index of [2, 0]) expect((await putPart(node.url, bytes, missingParts[index])).status).toBe(200);
    // Another length than the announced one is not accepted.
    const longer = { ...missingParts[1], byteSize: 5 * MiB + 1 };
    expect((await putPart(node.url, bytes, longer)).status).toBe(403);
    expect(errorOf(await complete(ada, attachment.id))).toEqual(['CONFLICT', 'input.attachmentId']);
    const again = await createUpload(ada, bytes, input);
    expect(again.attachment.id).toBe(attachment.id);
    expect(again.missingParts.map(({ number }: Json) => number)).toEqual([2]);
    await putPart(node.url, bytes, again.missingParts[0]);
    const answers = await Promise.all([complete(ada, attachment.id), complete(ada, attachment.id)]);
    for (const { data } of answers) expect(data.completeUpload.attachment.state).not.toBe('UPLOADING');
    expect((await putPart(node.url, bytes, missingParts[0])).status).toBe(404);
    await eventually('it is ready', async () => (await attachmentOf(ada, attachment.id)).state === 'READY');
    expect((await createUpload(ada, bytes, input)).missingParts).toEqual([]);
    const first = await open(node.url, ada, attachment.path, { redirect: 'manual' });
    expect([first.status, first.headers.get('cache-control')]).toEqual([302, 'no-store']);
    const url = first.headers.get('location') ?? '';
    expect(url).toMatch(s3.endpoint);
    const answer = await fetch(url);
    expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), bytes)).toBe(0);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-disposition': expect.stringMatching(
        /^attachment; filename="gro\?e Datei.bin"; filename\*=UTF-8''gro%C3%9Fe/,
      ),
      'cache-control': 'private, max-age=31536000, immutable',
    });
    s3.shiftClock(61_000);
    expect((await fetch(url)).status).toBe(403);
    s3.shiftClock(0);
    expect((await open(node.url, bob, attachment.path)).status).toBe(404);
    const head = await open(node.url, ada, attachment.path, { method: 'HEAD', redirect: 'manual' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(bytes.length)]);
  });

  it('pass through the node if redirects are off, and have another hash than promised if they are rejected', async () => {
    const own = await (await makePlace(anyMode)).start({
      ...s3.env,
      MEDIA_REDIRECTS: 'off',
      MEDIA_REDIRECT_MIN_BYTES: '0',
    });
    const [eve] = await registerAll(own.url, 'eve');
    const file = await uploaded(own.url, eve, Buffer.from('hello'));
    const answer = await open(own.url, eve, file.path, { redirect: 'manual' });
    expect([answer.status, await answer.text()]).toEqual([200, 'hello']);
    const sha256 = createHash('sha256').update('other').digest('hex');
    expect((await uploaded(own.url, eve, Buffer.from('hello'), { sha256 })).state).toBe('REJECTED');
  });

  it('are sent and opened by the web app, whose page may connect to the bucket', async () => {
    const page = await fetch(new URL('/', node.url), { headers: { accept: 'text/html' } });
    const policy = page.headers.get('content-security-policy') ?? '';
    for (const name of ['connect-src', 'img-src', 'media-src']) {
      expect(
        policy
          .split('; ')
          .find((each) => each.startsWith(`${name} `))
          ?.split(' '),
      ).toContain(s3.endpoint);
    }
  });

  it('leave nothing in the bucket if they are cancelled, and begin again if the bucket has lost the upload', async () => {
    const bytes = Buffer.from('hello');
    const cancelled = await createUpload(ada, bytes);
    const key = await keyOf(cancelled.attachment.id);
    await putPart(node.url, bytes, cancelled.missingParts[0]);
    expect(storedOf(key)).toEqual(['upload in parts']);
    await ada.ask(CANCEL, { input: { attachmentId: cancelled.attachment.id } });
    await eventually('the parts are deleted', async () => storedOf(key).length === 0);
    expect((await putPart(node.url, bytes, cancelled.missingParts[0])).status).toBe(404);
    // A rule of the bucket can abort uploads that take long.
    const input = { clientUploadId: 'aborted' };
    const { attachment } = await createUpload(ada, bytes, input);
    s3.uploads.clear();
    expect(errorOf(await complete(ada, attachment.id))).toEqual(['CONFLICT', 'input.attachmentId']);
    const again = await createUpload(ada, bytes, input);
    expect(again.missingParts).toHaveLength(1);
    await putPart(node.url, bytes, again.missingParts[0]);
    expect((await complete(ada, attachment.id)).errors).toBeUndefined();
  });

  it('leave no upload in the bucket that a node had begun when it was killed', async () => {
    const bytes = Buffer.from('hello');
    for (const isKilledAgain of [false, true]) {
      const input = { clientUploadId: `killed ${isKilledAgain}` };
      const { attachment } = await createUpload(ada, bytes, input);
      const key = await keyOf(attachment.id);
      // The node was killed before it had stored the upload.
      await node.deps.database.db.attachment.update({ where: { storeKey: key }, data: { storeUploadId: null } });
      const { missingParts } = await createUpload(ada, bytes, input);
      await putPart(node.url, bytes, missingParts[0]);
      expect(storedOf(key)).toEqual(['upload in parts', 'upload in parts']);
      if (isKilledAgain) {
        // Another one was killed when the bucket had completed the upload.
        const { uploads } = mediaStore.of(node.deps) as MediaStore & { uploads: DirectUploads };
        const row = await node.deps.database.db.attachment.findUniqueOrThrow({ where: { storeKey: key } });
        const id = row.storeUploadId ?? '';
        await uploads.complete(key, id, (await uploads.received(key, id)) ?? []);
      }
      expect((await complete(ada, attachment.id)).errors).toBeUndefined();
      await eventually('it is ready', async () => (await attachmentOf(ada, attachment.id)).state === 'READY');
      expect(storedOf(key)).toEqual(['upload']);
    }
  });

  it('leave nothing in the bucket when the account of the sender is deleted', async () => {
    const [person] = await registerAll(node.url, 'person');
    const picture = await makePicture('jpeg');
    const sent = await uploaded(node.url, person, picture, { kind: 'IMAGE' });
    await sendWith(person, await openDirect(person, bob), [sent.id]);
    const unused = await uploaded(node.url, person, Buffer.from('hello'));
    const incomplete = await createUpload(person, Buffer.from('hello'));
    await putPart(node.url, Buffer.from('hello'), incomplete.missingParts[0]);
    const keys = await Promise.all([sent, unused, incomplete.attachment].map(({ id }) => keyOf(id)));
    expect(storedOf(keys[0] ?? '')).toContain('preview');
    expect(storedOf(keys[2] ?? '')).toEqual(['upload in parts']);
    await person.ask('mutation ($input: DeleteAccountInput!) { deleteAccount(input: $input) { userId } }', {
      input: { password: person.password },
    });
    await eventually('the objects and parts are deleted', () => keys.flatMap(storedOf).length === 0);
    expect((await open(node.url, bob, sent.path)).status).toBe(404);
    expect(s3.refusals).toEqual([]);
  });

  it('can be completed again if the node was interrupted after the bucket had completed them', async () => {
    const bytes = Buffer.from('hello');
    const input = { clientUploadId: 'completed by the bucket' };
    const { attachment, missingParts } = await createUpload(ada, bytes, input);
    await putPart(node.url, bytes, missingParts[0]);
    const { uploads } = mediaStore.of(node.deps) as MediaStore;
    const { storeKey, storeUploadId } = await node.deps.database.db.attachment.findUniqueOrThrow({
      where: { id: rowId(attachment.id) },
    });
    if (uploads.receiver !== 'STORE' || storeUploadId === null) throw new Error('the upload is not direct');
    await uploads.complete(storeKey, storeUploadId, (await uploads.received(storeKey, storeUploadId)) ?? []);
    expect((await createUpload(ada, bytes, input)).missingParts).toEqual([]);
    expect((await complete(ada, attachment.id)).errors).toBeUndefined();
    await eventually('it is ready', async () => (await attachmentOf(ada, attachment.id)).state === 'READY');
  });

  it('wait while the bucket is away, and nothing is lost', async () => {
    const before = await uploaded(node.url, ada, Buffer.from('before'));
    const doomed = await uploaded(node.url, ada, Buffer.from('doomed'));
    const doomedKey = await keyOf(doomed.id);
    // From the moment when the bucket has completed the upload.
    let isAway = false;
    s3.fault(({ method, query }) => {
      const fault = isAway ? 'disconnect' : undefined;
      isAway ||= method === 'POST' && query.has('uploadId');
      return fault;
    });
    const { id } = await upload(node.url, ada, Buffer.from('while it was away'));
    const refused = await tryCreate(ada, Buffer.from('x'), { clientUploadId: 'refused' });
    expect(refused.errors?.[0]?.extensions).toMatchObject({ code: 'UNAVAILABLE', retryAfterMs: expect.any(Number) });
    const answer = await open(node.url, ada, before.path);
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await ready()).toMatchObject({ status: 'ready', s3: 'unavailable', clamd: 'ok' });
    await ada.ask(CANCEL, { input: { attachmentId: doomed.id } });
    const { db } = node.deps.database;
    expect(await db.mediaDeletion.count({ where: { storeKey: doomedKey } })).toBe(1);
    const waiting = async () => {
      const { value } = await scrape(node);
      return [value('parley_media_waiting'), value('parley_media_deletions_waiting')];
    };
    const [files = 0, deletions = 0] = await waiting();
    expect([files > 0, deletions > 0]).toEqual([true, true]);
    s3.fault(() => undefined);
    await eventually('the files are processed', async () => (await attachmentOf(ada, id)).state === 'READY');
    await eventually('the bytes are deleted', async () => storedOf(doomedKey).length === 0);
    await eventually('nothing waits', async () => (await waiting()).every((count) => count === 0));
    expect(await ready()).toMatchObject({ s3: 'ok' });
    expect(await (await open(node.url, ada, before.path)).text()).toBe('before');
    expect((await createUpload(ada, Buffer.from('x'), { clientUploadId: 'refused' })).missingParts).toHaveLength(1);
  });

  it('stay claimed while they are processed, and are given back when the node stops', async () => {
    const slow = await (await makePlace(anyMode)).start(s3.env);
    const [eve] = await registerAll(slow.url, 'eve');
    let isRead = false;
    // The bucket does not send the file until the end of the test.
    s3.fault(({ method, query }) => {
      if (method !== 'GET' || query.size > 0) return undefined;
      isRead = true;
      return 'silence';
    });
    const { id } = await upload(slow.url, eve, Buffer.from('hello'));
    const find = () => slow.deps.database.db.attachment.findUniqueOrThrow({ where: { id: rowId(id) } });
    await eventually('the file is read', async () => isRead);
    const { claimedUntil, tries } = await find();
    await eventually('the claim is renewed', async () => (await find()).claimedUntil > claimedUntil);
    expect(tries).toBe(1);
    const worker = mediaWorker.of(slow.deps);
    const began = performance.now();
    await worker.close();
    expect(performance.now() - began).toBeLessThan(5_000);
    const given = await find();
    expect([given.state, given.tries]).toEqual(['PROCESSING', 0]);
    expect(given.claimedUntil.getTime()).toBeLessThanOrEqual(Date.now() + 1_000);
  });

  it('are compared with the database', async () => {
    const file = await uploaded(node.url, ada, Buffer.from('hello'));
    const key = await keyOf(file.id);
    const store = mediaStore.of(node.deps) as MediaStore;
    const orphan = randomBytes(16).toString('hex');
    s3.objects.set(`some/folder/${orphan}/original`, Buffer.from('x'));
    s3.objects.set(`some/folder/${key}/upload`, Buffer.from('hell'));
    const { orphans, damaged } = await verifyMedia(node.deps, store);
    expect(orphans).toContain(orphan);
    expect(damaged).toContainEqual({ id: rowId(file.id), object: 'upload', expected: 5, found: 4 });
    await deleteOrphans(node.deps, [orphan]);
    mediaWorker.of(node.deps).wake();
    await eventually('the orphan is deleted', async () => storedOf(orphan).length === 0);
  });

  describe('with clamd', () => {
    it('are scanned before they can be opened, and rejected with a virus', async () => {
      const clean = await uploaded(node.url, ada, Buffer.from('harmless'));
      expect([clean.state, clamd.files.map(String)]).toEqual(['READY', ['harmless']]);
      const infected = await uploaded(node.url, ada, Buffer.from(`a document with ${VIRUS}`));
      expect(infected.state).toBe('REJECTED');
      expect((await open(node.url, ada, infected.path)).status).toBe(404);
      const key = await keyOf(infected.id);
      await eventually('its bytes are deleted', async () => storedOf(key).length === 0);
      expect(mediaWorker.of(node.deps).counts.scans).toMatchObject({ infected: 1 });
      clamd.sizeMax = 3;
      expect((await uploaded(node.url, ada, Buffer.from('too large'))).state).toBe('REJECTED');
      clamd.sizeMax = 20 * MiB;
    });

    it('stay PROCESSING while clamd is away', async () => {
      await clamd.stop();
      const { id, path } = await upload(node.url, ada, Buffer.from('not scanned yet'));
      await eventually('the node has noticed', async () => (await ready()).clamd === 'unavailable');
      expect((await attachmentOf(ada, id)).state).toBe('PROCESSING');
      expect((await open(node.url, ada, path)).status).toBe(404);
      expect(mediaWorker.of(node.deps).counts.scans.failed).toBeGreaterThan(0);
      await clamd.start();
      await eventually('it is ready', async () => (await attachmentOf(ada, id)).state === 'READY');
      expect(clamd.files.map(String)).toContain('not scanned yet');
      const { tries } = await node.deps.database.db.attachment.findUniqueOrThrow({ where: { id: rowId(id) } });
      // Attempts that failed because of clamd are not counted.
      expect(tries).toBe(1);
    });
  });

  it.each([
    [{ S3_BUCKET: 'another-bucket' }, /^S3_BUCKET: NoSuchBucket/],
    [{ S3_ACCESS_KEY_ID: 'AKIDOTHER' }, /^S3_ACCESS_KEY_ID: InvalidAccessKeyId/],
    [{ S3_SECRET_ACCESS_KEY: 'another secret' }, /^S3_SECRET_ACCESS_KEY: SignatureDoesNotMatch/],
    [{ S3_REGION: 'eu-other-1' }, /^S3_REGION: AuthorizationHeaderMalformed/],
  ])('are not accepted by a node with %o, and its error names the setting', async (env, error) => {
    // In a place of its own, because an embedded database serves one node.
    const own = await makePlace(anyMode);
    await expect(own.start({ ...s3.env, ...env })).rejects.toThrow(error);
  });
});

describe('the settings of S3', () => {
  const given = { S3_BUCKET: 'parley', S3_ACCESS_KEY_ID: 'id', S3_SECRET_ACCESS_KEY: 'secret' };
  it.each([
    [{ S3_SECRET_ACCESS_KEY: '' }, 'S3_SECRET_ACCESS_KEY: must be set if S3_BUCKET is set'],
    [{ S3_ACCESS_KEY_ID: '' }, 'S3_ACCESS_KEY_ID: must be set if S3_BUCKET is set'],
    [{ S3_BUCKET: '' }, 'S3_BUCKET: must be set if S3_ACCESS_KEY_ID is set'],
    [{ MEDIA_DIR: '/media' }, 'MEDIA_DIR: must not be set if S3_BUCKET is set'],
    [{ S3_ENDPOINT: 'https://user:password@example.com' }, /^S3_ENDPOINT: must be a URL/],
    [{ S3_PREFIX: '../other' }, /^S3_PREFIX: must be/],
    [{ S3_UPLOAD_URL_TTL: '8d' }, 'S3_UPLOAD_URL_TTL: must be at most 7d'],
    [{ CLAMD_URL: 'localhost:3310' }, /^CLAMD_URL: must be clamd/],
  ])('are refused with %o', (env, error) => {
    expect(() => readConfig({ ...given, ...env })).toThrow(error);
  });

  it('have defaults for Amazon', () => {
    expect(bucketOf(readConfig({ ...given, S3_REGION: 'eu-central-1' }))).toMatchObject({
      endpoint: 'https://s3.eu-central-1.amazonaws.com',
      publicEndpoint: 'https://s3.eu-central-1.amazonaws.com',
    });
  });
});
