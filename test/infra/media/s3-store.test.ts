import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, inject, it, onTestFinished } from 'vitest';
import { createAvailability } from '../../../src/infra/media/availability.js';
import { createS3Client, publicOriginOf, type S3Bucket } from '../../../src/infra/media/s3-client.js';
import { createS3Store, type S3Store } from '../../../src/infra/media/s3-store.js';
import { type DirectUploads, type Part, StoreUnavailable, WrongParts } from '../../../src/infra/media/store.js';
import { type FakeS3, type Fault, startS3 } from '../../support/s3.js';

const MiB = 1024 * 1024;
const KEY = 'ab'.repeat(16);
const OTHER = 'cd'.repeat(16);
const PREFIX = 'some/folder/';
const HEADERS = { 'content-type': 'application/octet-stream' };
const TIMEOUT_MS = 200;

describe('a store in S3', () => {
  let s3: FakeS3;
  let bucket: S3Bucket;
  let store: S3Store;
  let uploads: DirectUploads;
  let counts: { ok: number; retried: number; failed: number };
  let log: string[];
  let folder: string;
  beforeEach(async () => {
    s3 = await startS3();
    folder = await mkdtemp(join(inject('scratch'), 's3-'));
    bucket = {
      endpoint: s3.endpoint,
      publicEndpoint: s3.endpoint,
      region: s3.env['S3_REGION'] ?? '',
      bucket: s3.env['S3_BUCKET'] ?? '',
      isInPath: true,
      accessKeyId: s3.env['S3_ACCESS_KEY_ID'] ?? '',
      secretAccessKey: s3.env['S3_SECRET_ACCESS_KEY'] ?? '',
    };
    ({ store, counts, log } = open());
    uploads = store.uploads as DirectUploads;
  });

  function open(changes: Partial<S3Bucket> = {}) {
    const log: string[] = [];
    const availability = createAvailability({
      onLost: () => void log.push('lost'),
      onRegained: () => void log.push('regained'),
    });
    const client = createS3Client({ ...bucket, ...changes }, { timeoutMs: TIMEOUT_MS, availability });
    const store = createS3Store(client, {
      copiesDir: join(folder, 'copies'),
      prefix: PREFIX,
      uploadTtlMs: 60_000,
      readTtlMs: 60_000,
      availability,
    });
    onTestFinished(() => store.close());
    return { store, counts: client.counts, log };
  }

  async function putBytes(key: string, bytes: Buffer, name: 'original' | 'upload' = 'original'): Promise<void> {
    const path = join(folder, 'file');
    await writeFile(path, bytes);
    await store.put(key, name, path);
  }

  const send = async (uploadId: string, part: Part, body: Buffer, headers: Record<string, string> = HEADERS) =>
    fetch(await uploads.partUrl(KEY, uploadId, part, HEADERS), { method: 'PUT', headers, body: new Uint8Array(body) });

  it('stores, reads and deletes objects', async () => {
    const bytes = randomBytes(300_000);
    await putBytes(KEY, bytes);
    await putBytes(OTHER, Buffer.from('other'), 'upload');
    expect([...s3.objects.keys()]).toEqual([`${PREFIX}${KEY}/original`, `${PREFIX}${OTHER}/upload`]);
    expect(await store.size(KEY, 'original')).toBe(bytes.length);
    expect(await store.size(KEY, 'preview')).toBeUndefined();
    const read = async (start: number, end: number) => {
      const stream = await store.read(KEY, 'original', { start, end });
      return stream && Buffer.concat(await stream.toArray());
    };
    expect(Buffer.compare((await read(0, bytes.length - 1)) ?? Buffer.alloc(0), bytes)).toBe(0);
    expect(Buffer.compare((await read(1_000, 1_999)) ?? Buffer.alloc(0), bytes.subarray(1_000, 2_000))).toBe(0);
    // The object is shorter than it should be.
    await expect(read(0, bytes.length)).rejects.toThrow(StoreUnavailable);
    expect(await read(bytes.length, bytes.length + 5)).toBeUndefined();
    expect(await store.read(KEY, 'poster', { start: 0, end: 1 })).toBeUndefined();
    const path = await store.withFile(KEY, 'original', async (path) => {
      expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
      return path;
    });
    expect(existsSync(dirname(path))).toBe(false);
    await expect(store.withFile(KEY, 'poster', async () => {})).rejects.toThrow('NoSuchKey');
    await store.remove(KEY, 'original');
    await store.remove(KEY, 'original');
    expect(await store.size(KEY, 'original')).toBeUndefined();
    expect(s3.refusals.filter((code) => !['NoSuchKey', 'InvalidRange'].includes(code))).toEqual([]);
  });

  it('finds and deletes everything of a key, page by page', async () => {
    s3.pageMax = 2;
    const keys = Array.from({ length: 5 }, (_, index) => `${index}`.repeat(32));
    for (const key of keys) s3.objects.set(`${PREFIX}${key}/original`, Buffer.from('x'));
    for (const name of ['original', 'preview', 'thumbnail'])
      s3.objects.set(`${PREFIX}${KEY}/${name}`, Buffer.from('x'));
    s3.objects.set('elsewhere/object', Buffer.from('x'));
    for (let times = 0; times < 3; times += 1) await uploads.begin(KEY);
    await uploads.begin(OTHER);
    const found = new Set<string>();
    for await (const key of store.keys()) found.add(key);
    expect([...found].sort()).toEqual([...keys, KEY, OTHER].sort());
    await store.deleteAll(KEY);
    await store.deleteAll(KEY);
    expect([...s3.objects.keys()].filter((name) => name.includes(KEY))).toEqual([]);
    expect([...s3.uploads.values()].map(({ key }) => key)).toEqual([`${PREFIX}${OTHER}/upload`]);
    expect(s3.objects.size).toBe(6);
    expect(s3.refusals).toEqual([]);
  });

  describe('uploads of clients', () => {
    const parts: Part[] = [
      { number: 1, offset: 0, byteSize: 2 * MiB },
      { number: 2, offset: 2 * MiB, byteSize: 2 * MiB },
      { number: 3, offset: 4 * MiB, byteSize: 5 },
    ];
    const bytes = randomBytes(4 * MiB + 5);
    const partOf = ({ offset, byteSize }: Part) => bytes.subarray(offset, offset + byteSize);
    const [first, second, third] = parts as [Part, Part, Part];

    it('are received in parts, in any order, and become an object', async () => {
      s3.pageMax = 2;
      s3.partBytesMin = MiB;
      const id = await uploads.begin(KEY);
      expect(await uploads.received(KEY, id)).toEqual([]);
      for (const part of [third, first, second]) expect((await send(id, part, partOf(part))).status).toBe(200);
      const received = await uploads.received(KEY, id);
      expect(received?.map(({ number, byteSize }) => [number, byteSize])).toEqual(
        parts.map(({ number, byteSize }) => [number, byteSize]),
      );
      await uploads.complete(KEY, id, received ?? []);
      expect(Buffer.compare(s3.objects.get(`${PREFIX}${KEY}/upload`) ?? Buffer.alloc(0), bytes)).toBe(0);
      expect(await uploads.received(KEY, id)).toBeUndefined();
      // Nobody can replace the content afterwards.
      expect((await send(id, first, partOf(first))).status).toBe(404);
      await expect(uploads.complete(KEY, id, received ?? [])).rejects.toThrow(WrongParts);
    });

    it('accept exactly the announced bytes, and only for some time', async () => {
      const id = await uploads.begin(KEY);
      expect((await send(id, third, Buffer.from('12345'))).status).toBe(200);
      for (const body of ['1234', '123456']) expect((await send(id, third, Buffer.from(body))).status).toBe(403);
      const other = { 'content-type': 'text/html' };
      expect((await send(id, third, Buffer.from('12345'), other)).status).toBe(403);
      const url = await uploads.partUrl(KEY, id, third, HEADERS);
      const put = (to: string) => fetch(to, { method: 'PUT', headers: HEADERS, body: '12345' });
      expect((await put(url.replace('partNumber=3', 'partNumber=4'))).status).toBe(403);
      expect((await put(url.replace(KEY, OTHER))).status).toBe(403);
      expect((await fetch(url)).status).toBe(403);
      // The clock goes on meanwhile, and the URL is valid for a minute.
      s3.shiftClock(45_000);
      expect((await put(url)).status).toBe(200);
      s3.shiftClock(61_000);
      expect((await put(url)).status).toBe(403);
    });

    it('cannot be completed with parts that have changed or are too small', async () => {
      const id = await uploads.begin(KEY);
      await send(id, first, partOf(first));
      await send(id, third, partOf(third));
      const received = (await uploads.received(KEY, id)) ?? [];
      // The minimum size of S3 is 5 MiB.
      await expect(uploads.complete(KEY, id, received)).rejects.toThrow(WrongParts);
      s3.partBytesMin = MiB;
      await send(id, third, Buffer.from('other'));
      await expect(uploads.complete(KEY, id, received)).rejects.toThrow(WrongParts);
      await uploads.complete(KEY, id, (await uploads.received(KEY, id)) ?? []);
      expect(s3.objects.get(`${PREFIX}${KEY}/upload`)?.subarray(-5).toString()).toBe('other');
    });

    it('can be aborted', async () => {
      const id = await uploads.begin(KEY);
      await send(id, third, partOf(third));
      await uploads.abort(KEY, id);
      await uploads.abort(KEY, id);
      expect(await uploads.received(KEY, id)).toBeUndefined();
      expect((await send(id, third, partOf(third))).status).toBe(404);
    });
  });

  it('creates URLs at which clients read an object for some time', async () => {
    await putBytes(KEY, Buffer.from('content'));
    const headers = {
      contentType: 'image/png',
      contentDisposition: `attachment; filename="a b+c.png"; filename*=UTF-8''%E2%82%AC.png`,
      cacheControl: 'private',
    };
    const url = (await store.urlOf?.(KEY, 'original', headers)) ?? '';
    const response = await fetch(url, { headers: { range: 'bytes=0-2' } });
    expect([response.status, await response.text()]).toEqual([206, 'con']);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'image/png',
      'content-disposition': headers.contentDisposition,
      'cache-control': 'private',
    });
    expect((await fetch(url.replace('image%2Fpng', 'text%2Fhtml'))).status).toBe(403);
    s3.shiftClock(61_000);
    expect((await fetch(url)).status).toBe(403);
  });

  it('checks at the start that the bucket can be used, and deletes old copies', async () => {
    const copies = join(folder, 'copies');
    for (const name of ['old', 'new']) await mkdir(join(copies, name), { recursive: true });
    const dayBefore = new Date(Date.now() - 2 * 86_400_000);
    await utimes(join(copies, 'old'), dayBefore, dayBefore);
    await store.prepare();
    expect(await readdir(copies)).toEqual(['new']);
    expect([s3.objects.size, s3.refusals]).toEqual([0, []]);
    // A key that can only read is not enough.
    s3.fault(({ method }) => (method === 'PUT' ? { status: 403, code: 'AccessDenied' } : undefined));
    await expect(store.prepare()).rejects.toMatchObject({ cause: { code: 'AccessDenied' } });
  });

  it('addresses a bucket in the path or in the host', async () => {
    const there = { publicEndpoint: 'https://files.example.com:8443', region: 'eu-test-1' };
    const headers = { contentType: 'image/png', contentDisposition: 'inline', cacheControl: 'private' };
    const inPath = await open(there).store.urlOf?.(KEY, 'original', headers);
    expect(inPath).toMatch(`https://files.example.com:8443/${bucket.bucket}/${PREFIX}${KEY}/original?`);
    const inHost = await open({ ...there, isInPath: false }).store.urlOf?.(KEY, 'original', headers);
    expect(inHost).toMatch(`https://${bucket.bucket}.files.example.com:8443/${PREFIX}${KEY}/original?`);
    const inFolder = { ...there, publicEndpoint: 'https://example.com/storage/s3/' };
    expect(await open(inFolder).store.urlOf?.(KEY, 'original', headers)).toMatch(
      `https://example.com/storage/s3/${bucket.bucket}/${PREFIX}${KEY}/original?`,
    );
    expect(publicOriginOf({ ...bucket, ...there, isInPath: false })).toBe(
      `https://${bucket.bucket}.files.example.com:8443`,
    );
  });

  describe('when the server fails', () => {
    /** The first requests fail in this way. */
    const failing = (times: number, fault: Fault) => {
      let left = times;
      s3.fault(() => {
        left -= 1;
        return left >= 0 ? fault : undefined;
      });
    };

    it.each<[string, Fault]>([
      ['responds that it is busy', { status: 503, code: 'SlowDown' }],
      ['has an error', { status: 500, code: 'InternalError' }],
      ['ends the connection', 'disconnect'],
      ['reports an error with the status 200', 'error in a response with 200'],
    ])('repeats a request if it %s, up to three times in total', async (_, fault) => {
      failing(2, fault);
      const id = await uploads.begin(KEY);
      expect(id).not.toBe('');
      expect(counts).toEqual({ ok: 1, retried: 2, failed: 0 });
      failing(3, fault);
      const failure = await uploads.begin(KEY).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(StoreUnavailable);
      expect(failure).toMatchObject({ code: 'UNAVAILABLE', retryAfterMs: expect.any(Number) });
      expect(counts).toEqual({ ok: 1, retried: 4, failed: 1 });
      await putBytes(KEY, Buffer.from('x'));
      expect(log).toEqual(['lost', 'regained']);
    });

    it('sends the whole file again', async () => {
      failing(2, { status: 503, code: 'SlowDown' });
      const bytes = randomBytes(200_000);
      await putBytes(KEY, bytes);
      expect(Buffer.compare(s3.objects.get(`${PREFIX}${KEY}/original`) ?? Buffer.alloc(0), bytes)).toBe(0);
    });

    it('waits once for a server that does not respond', async () => {
      failing(5, 'silence');
      await expect(store.size(KEY, 'original')).rejects.toThrow(StoreUnavailable);
      expect(counts).toMatchObject({ retried: 0, failed: 1 });
    });

    it('does not repeat a request that the server rejects', async () => {
      for (const [status, code] of [
        [403, 'AccessDenied'],
        [404, 'NoSuchBucket'],
      ] as const) {
        failing(1, { status, code });
        const failure = await uploads.begin(KEY).catch((error: unknown) => error);
        expect(failure).toBeInstanceOf(StoreUnavailable);
        expect((failure as StoreUnavailable).cause).toMatchObject({ code });
      }
      expect(counts).toMatchObject({ ok: 0, retried: 0 });
    });

    it('works nevertheless if only an object is damaged', async () => {
      await putBytes(KEY, Buffer.from('x'));
      s3.fault(() => ({ status: 409, code: 'BrokenMPU' }));
      expect(await store.read(KEY, 'original', { start: 0, end: 0 })).toBeUndefined();
      await expect(store.withFile(KEY, 'original', async () => {})).rejects.toThrow('BrokenMPU');
      expect(log).toEqual([]);
    });

    it('does not take the part of an object that has arrived for the whole', async () => {
      await putBytes(KEY, randomBytes(500_000));
      failing(1, 'cut');
      let isUsed = false;
      const use = async () => {
        isUsed = true;
      };
      await expect(store.withFile(KEY, 'original', use)).rejects.toThrow(StoreUnavailable);
      failing(1, 'cut');
      const stream = await store.read(KEY, 'original', { start: 0, end: 499_999 });
      await expect(stream?.toArray()).rejects.toThrow();
      expect(isUsed).toBe(false);
    });

    it('is checked again after a failure', async () => {
      failing(4, 'disconnect');
      expect(await store.isAvailable()).toBe(true);
      await expect(store.size(KEY, 'original')).rejects.toThrow(StoreUnavailable);
      expect(await store.isAvailable()).toBe(true);
      expect(log).toEqual(['lost', 'regained']);
      s3.fault(() => 'disconnect');
      await expect(store.size(KEY, 'original')).rejects.toThrow(StoreUnavailable);
      expect(await store.isAvailable()).toBe(false);
    });
  });
});
