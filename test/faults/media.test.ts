import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Json, type Person, register } from '../support/client.js';
import { rowId } from '../support/durable-streams.js';
import { atEnd } from '../support/ending.js';
import {
  type Fleet,
  figure,
  form,
  makeFleet,
  makeSender,
  type NodeProcess,
  ownServers,
  pause,
  range,
  within,
} from '../support/fleet.js';
import {
  attachmentOf,
  complete,
  createUpload,
  makePicture,
  makeVideo,
  open,
  sendWith,
  upload,
} from '../support/media.js';
import { type FakeS3, startS3 } from '../support/s3.js';
import { type OwnServers, serversLacking } from '../support/servers.js';
import { query } from '../support/services.js';
import { createGroup, REMOVE_MEMBER, remove } from '../support/talk.js';

/** Small, so that a small file has many parts. */
const PART_BYTES = 65_536;
const sha256Of = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const chosen = <Item>(items: readonly [Item, ...Item[]]): Item =>
  items[Math.floor(Math.random() * items.length)] as Item;

/**
 * Sends a part. With `cutAt`, the connection is cut when this number of its bytes has been sent, before the response.
 * @returns whether the part was acknowledged.
 */
function put(url: string, given: Json[], body: Buffer, cutAt?: number): Promise<boolean> {
  return new Promise((resolve) => {
    const headers = Object.fromEntries(given.map(({ name, value }) => [name, value]));
    const sending = httpRequest(url, { method: 'PUT', headers: { ...headers, 'content-length': body.length } });
    sending.on('response', (response) => {
      response.resume();
      // A node responds with 204, and a bucket with 200.
      resolve(response.statusCode === 204 || response.statusCode === 200);
    });
    sending.on('error', () => resolve(false));
    if (cutAt === undefined) {
      sending.end(body);
      return;
    }
    if (cutAt === 0) sending.flushHeaders();
    else sending.write(body.subarray(0, cutAt));
    sending.once('socket', (socket) => setImmediate(() => socket.end(() => socket.destroy())));
  });
}

const stores = ['a directory', 'a bucket'] as const;

describe.skipIf(serversLacking !== undefined).each(stores)('files in %s, while nodes or connections fail', (where) => {
  const inBucket = where === 'a bucket';
  /** The parts of S3 have a minimum size. */
  const partBytes = inBucket ? 5 * 1024 * 1024 : PART_BYTES;
  let servers: OwnServers;
  let fleet: Fleet;
  let dir: string;
  let s3: FakeS3;
  let a: NodeProcess;
  let b: NodeProcess;
  beforeAll(async () => {
    servers = await ownServers();
    dir = await mkdtemp(join(tmpdir(), 'parley_media_'));
    atEnd(() => rm(dir, { recursive: true, force: true }));
    s3 = await startS3();
    fleet = await makeFleet(servers, {
      ...(inBucket ? { ...s3.env, DATA_DIR: dir } : { MEDIA_DIR: dir }),
      UPLOAD_PART_BYTES: String(PART_BYTES),
      // Short claims, so that another node takes over soon.
      MEDIA_PROCESS_TIMEOUT: '5s',
    });
    [a, b] = await Promise.all([fleet.add(), fleet.add()]);
  });

  const ask = <Row extends object>(statement: string) => query<Row>(fleet.env['DATABASE_URL'] ?? '', statement);
  /** The objects of these attachments, and the uploads that the bucket has not completed. */
  const stored = async (keys: readonly string[]) =>
    (await allStored()).filter((object) => keys.some((key) => object.startsWith(`${key}/`))).sort();
  async function allStored(): Promise<string[]> {
    if (inBucket) {
      const prefix = `${s3.env['S3_PREFIX']}/`;
      return [...s3.objects.keys(), ...[...s3.uploads.values()].map(({ key }) => `${key} in parts`)].map((key) =>
        key.replace(prefix, ''),
      );
    }
    const entries = await readdir(dir, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => `${parentPath.slice(dir.length + '/ab/'.length)}/${name}`);
  }
  /** Repeats a call at both nodes in turn until one of them responds. */
  async function retried<Result>(call: (url: string) => Promise<Result>): Promise<Result> {
    for (let attempts = 0; ; attempts += 1) {
      try {
        return await call((attempts % 2 === 0 ? a : b).url);
      } catch (error) {
        if (attempts > 200) throw error;
        await pause(50);
      }
    }
  }

  it('send at most one part again when the connection is cut anywhere', { timeout: 600_000 }, async () => {
    const alice = await register(a.url, 'alice');
    const cuts = inBucket ? form(3, 60) : form(15, 200);
    let sentAgain = 0;
    let bytesSentAgain = 0;
    const keys: string[] = [];
    for (const cut of range(1, cuts)) {
      const bytes = randomBytes(Math.ceil(Math.random() * (inBucket ? 3 : 6) * partBytes));
      const input = { clientUploadId: `cut ${cut}`, sha256: sha256Of(bytes) };
      let left = Math.floor(Math.random() * (bytes.length + 1));
      const acknowledged = new Set<number>();
      const begun: number[] = [];
      let attachment: Json;
      for (let isCut = false; ; ) {
        const node = chosen([a, b]);
        const made = await createUpload(alice.at(node.url), bytes, input);
        attachment = made.attachment;
        // Nothing that was acknowledged is asked for again.
        expect(made.missingParts.filter(({ number }: Json) => acknowledged.has(number))).toEqual([]);
        if (made.missingParts.length === 0) break;
        for (const { number, offset, byteSize, url, headers } of made.missingParts) {
          begun.push(number);
          if (begun.length > 100) throw new Error('the parts are not accepted');
          const body = bytes.subarray(offset, offset + byteSize);
          const cutAt = !isCut && left <= body.length ? left : undefined;
          left -= body.length;
          bytesSentAgain += cutAt ?? body.length;
          if (await put(new URL(url, node.url).href, headers, body, cutAt)) acknowledged.add(number);
          if (cutAt !== undefined) {
            isCut = true;
            break;
          }
        }
      }
      const parts = Math.ceil(bytes.length / partBytes);
      expect(begun.length).toBeLessThanOrEqual(parts + 1);
      sentAgain += begun.length - parts;
      bytesSentAgain -= bytes.length;
      expect((await complete(alice, attachment.id)).errors).toBeUndefined();
      await within(10_000, 'it is ready', async () => (await attachmentOf(alice, attachment.id)).state === 'READY');
      const answer = await open(chosen([a, b]).url, alice, attachment.path);
      expect(sha256Of(Buffer.from(await answer.arrayBuffer()))).toBe(input.sha256);
      const id = rowId(attachment.id);
      keys.push(
        ...(await ask<{ key: string }>(`SELECT store_key AS key FROM attachments WHERE id = '${id}'`)).map(
          ({ key }) => key,
        ),
      );
      await alice.ask('mutation ($input: CancelUploadInput!) { cancelUpload(input: $input) { attachmentId } }', {
        input: { attachmentId: attachment.id },
      });
    }
    expect(sentAgain).toBeGreaterThan(0);
    expect(keys).toHaveLength(cuts);
    await within(30_000, 'nothing is left', async () => (await stored(keys)).length === 0);
    figure(`uploads to ${where} are cut at random bytes`, { cuts, partsSentAgain: sentAgain, bytesSentAgain });
  });

  it('are neither lost nor left over when nodes are killed', { timeout: 900_000 }, async () => {
    const alice = await register(b.url, 'alice');
    const group = await retried((url) => createGroup(alice.at(url), []));
    const files: [string, Buffer][] = [
      ['IMAGE', await makePicture('jpeg')],
      ['VIDEO', await makeVideo('mp4')],
      // Of several parts, also in a bucket.
      ['FILE', randomBytes(partBytes + 4 * PART_BYTES)],
    ];
    const messages: string[] = [];
    const rounds = inBucket ? form(1, 20) : form(2, 20);
    for (const round of range(1, rounds)) {
      const node = chosen([a, b]);
      let isOver = false;
      const work = range(1, 6).map(async (index) => {
        const [kind, bytes] = files[index % files.length] as [string, Buffer];
        const input = { kind, clientUploadId: `round ${round} ${index}` };
        const { id } = await retried((url) => upload(url, alice.at(url), bytes, input));
        const clientMessageId = `round ${round} ${index}`;
        const { data } = await retried(async (url) => {
          const answer = await sendWith(alice.at(url), group, [id], { clientMessageId });
          if (answer.errors) throw new Error(JSON.stringify(answer.errors));
          return answer;
        });
        messages.push(data.sendMessage.message.id);
        // Half of them are deleted, while others are uploaded and processed.
        if (index % 2 === 0) await retried((url) => remove(alice.at(url), data.sendMessage.message.id));
      });
      const all = Promise.all(work).then(() => {
        isOver = true;
      });
      await pause(Math.random() * form(600, 1_500));
      await node.kill();
      const wasBusy = !isOver;
      await all;
      await node.start();
      const afterMs = await within(60_000, 'all is processed and deleted', async () => {
        const [row] = await ask<{ waiting: boolean }>(`
          SELECT EXISTS (SELECT FROM attachments WHERE state NOT IN ('READY', 'REJECTED'))
              OR EXISTS (SELECT FROM media_deletions) AS waiting`);
        return row?.waiting === false;
      });
      figure(`a node is killed while files in ${where} are uploaded, processed and deleted`, { wasBusy, afterMs });
    }
    expect(messages).toHaveLength(6 * rounds);
    const rows = await ask<{ key: string; kind: string; state: string; variants: { name: string }[] }>(
      `SELECT store_key AS key, kind::text, state::text, variants FROM attachments
       WHERE uploader_id = '${rowId(alice.id)}'`,
    );
    expect(rows).toHaveLength(3 * rounds);
    expect(new Set(rows.map(({ state }) => state))).toEqual(new Set(['READY']));
    const expected = rows.flatMap(({ key, kind, variants }) =>
      [kind === 'FILE' ? 'upload' : 'original', ...variants.map(({ name }) => name)].map((name) => `${key}/${name}`),
    );
    const keys = rows.map(({ key }) => key);
    await within(30_000, 'nothing else is left', async () => (await stored(keys)).length === expected.length);
    expect(await stored(keys)).toEqual(expected.sort());
    expect([...s3.uploads.values()]).toEqual([]);
    const { stdout } = await promisify(execFile)(process.execPath, ['dist/media.js', 'verify'], {
      env: { PATH: process.env['PATH'], ...fleet.env },
    });
    expect(stdout).toMatch(/, 0 damaged or missing objects, 0 orphans\n$/);
  });

  if (inBucket) return;

  it('can be opened for at most five seconds by those who must not, without Redis', { timeout: 120_000 }, async () => {
    const [alice, bob, carol] = await Promise.all(['alice', 'bob', 'carol'].map((name) => register(a.url, name)));
    if (!alice || !bob || !carol) throw new Error('not there');
    const group = await createGroup(alice, [bob, carol]);
    const send = async () => {
      const { id, path } = await upload(a.url, alice, Buffer.from('a secret'));
      const { data } = await sendWith(alice, group, [id]);
      return { path, messageId: data.sendMessage.message.id };
    };
    const [kept, deleted] = [await send(), await send()];
    const tokens = new Map<Person, string>();
    for (const person of [alice, bob, carol]) {
      tokens.set(person, (await person.ask('{ viewer { mediaToken } }')).viewer.mediaToken);
    }
    // With the token as a page has it, at the node of the changes and at the other one.
    const statusesOf = (person: Person, path: string) =>
      Promise.all(
        [a, b].map(async ({ url }) => (await fetch(`${new URL(path, url).href}?t=${tokens.get(person)}`)).status),
      );
    const isRefused = async (person: Person, path: string, status: 401 | 404) =>
      (await statusesOf(person, path)).every((each) => each === status);
    for (const { path } of [kept, deleted]) {
      await within(10_000, 'it is ready', async () => (await statusesOf(alice, path)).every((each) => each === 200));
      for (const person of [bob, carol]) expect(await statusesOf(person, path)).toEqual([200, 200]);
    }
    await servers.redis.kill();
    try {
      await alice.ask(REMOVE_MEMBER, { input: { conversationId: group, userId: bob.id } });
      await carol.ask('mutation { logout { sessionId } }');
      await remove(alice, deleted.messageId);
      const [removedMs, signedOutMs, deletedMs] = await Promise.all([
        within(5_000, 'the removed member cannot open it', () => isRefused(bob, kept.path, 404)),
        within(5_000, 'the signed-out user cannot open it', () => isRefused(carol, kept.path, 401)),
        within(5_000, 'the deleted file cannot be opened', () => isRefused(alice, deleted.path, 404)),
      ]);
      expect(await statusesOf(alice, kept.path)).toEqual([200, 200]);
      figure('files without Redis', { removedMs, signedOutMs, deletedMs });
    } finally {
      await servers.redis.start();
    }
  });

  it('that are hostile are rejected while others send', { timeout: 300_000 }, async () => {
    const [alice, mallory] = [await register(a.url, 'alice'), await register(b.url, 'mallory')];
    const group = await createGroup(alice, []);
    const jpeg = await makePicture('jpeg');
    const plain = (width: number, height: number) =>
      sharp({ create: { width, height, channels: 3, background: 'red' } })
        .png()
        .toBuffer();
    const hostile: [string, Buffer][] = [
      ['IMAGE', await plain(16_384, 1)],
      ['IMAGE', await plain(8_000, form(6_400, 8_000))],
      ['IMAGE', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')],
      ['IMAGE', jpeg.subarray(0, jpeg.length / 2)],
      ['IMAGE', Buffer.concat([Buffer.from('GIF89a'), randomBytes(5_000)])],
      ['VIDEO', (await makeVideo('mp4')).subarray(0, 500)],
      ['AUDIO', randomBytes(50_000)],
    ];
    const p99 = async (during: () => Promise<unknown>) => {
      const sender = makeSender(alice, group, [a.url, b.url]);
      const stop = sender.steadily(form(20, 50));
      await during();
      await stop();
      expect(sender.codes.size).toBe(0);
      const waits = sender.answered.map(({ ms }) => ms).sort((one, other) => one - other);
      return waits[Math.floor(0.99 * (waits.length - 1))] ?? 0;
    };
    const storm = async (expected: 'READY' | 'REJECTED') => {
      const ids: string[] = [];
      for (const round of range(1, form(1, 12))) {
        for (const [index, [kind, bytes]] of hostile.entries()) {
          const input = { kind: expected === 'READY' ? 'FILE' : kind, clientUploadId: `${expected} ${round} ${index}` };
          ids.push((await upload(chosen([a, b]).url, mallory, bytes, input)).id);
        }
      }
      for (const id of ids) {
        await within(60_000, 'it is processed', async () => (await attachmentOf(mallory, id)).state === expected);
      }
    };
    const quietMs = await p99(() => pause(form(500, 10_000)));
    // The same bytes as documents, which are not decoded: what the uploads themselves cost.
    const harmlessMs = await p99(() => storm('READY'));
    const stormMs = await p99(() => storm('REJECTED'));
    figure('hostile files', { quietMs, harmlessMs, stormMs });
    // Compared with the same uploads, which share the cores and the disk with everything else. On a busy machine, the process
    // that checks files competes with it as well.
    expect(stormMs / harmlessMs).toBeLessThan(form(Number.POSITIVE_INFINITY, 1.2));
  });
});
