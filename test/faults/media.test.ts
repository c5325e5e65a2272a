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
function put(url: string, body: Buffer, cutAt?: number): Promise<boolean> {
  return new Promise((resolve) => {
    const sending = httpRequest(url, { method: 'PUT', headers: { 'content-length': body.length } });
    sending.on('response', (response) => {
      response.resume();
      resolve(response.statusCode === 204);
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

describe.skipIf(serversLacking !== undefined)('files, while nodes, connections or Redis fail', () => {
  let servers: OwnServers;
  let fleet: Fleet;
  let dir: string;
  let a: NodeProcess;
  let b: NodeProcess;
  beforeAll(async () => {
    servers = await ownServers();
    dir = await mkdtemp(join(tmpdir(), 'parley_media_'));
    atEnd(() => rm(dir, { recursive: true, force: true }));
    fleet = await makeFleet(servers, {
      MEDIA_DIR: dir,
      UPLOAD_PART_BYTES: String(PART_BYTES),
      // Short claims, so that another node takes over soon.
      MEDIA_PROCESS_TIMEOUT: '5s',
    });
    [a, b] = await Promise.all([fleet.add(), fleet.add()]);
  });

  const ask = <Row extends object>(statement: string) => query<Row>(fleet.env['DATABASE_URL'] ?? '', statement);
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
    const cuts = form(15, 200);
    let sentAgain = 0;
    for (const cut of range(1, cuts)) {
      const bytes = randomBytes(Math.ceil(Math.random() * 6 * PART_BYTES));
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
        for (const { number, offset, byteSize, url } of made.missingParts) {
          begun.push(number);
          const body = bytes.subarray(offset, offset + byteSize);
          const cutAt = !isCut && left <= body.length ? left : undefined;
          left -= body.length;
          if (await put(new URL(url, node.url).href, body, cutAt)) acknowledged.add(number);
          if (cutAt !== undefined) {
            isCut = true;
            break;
          }
        }
      }
      const parts = Math.ceil(bytes.length / PART_BYTES);
      expect(begun.length).toBeLessThanOrEqual(parts + 1);
      sentAgain += begun.length - parts;
      expect((await complete(alice, attachment.id)).errors).toBeUndefined();
      await within(10_000, 'it is ready', async () => (await attachmentOf(alice, attachment.id)).state === 'READY');
      const answer = await open(chosen([a, b]).url, alice, attachment.path);
      expect(sha256Of(Buffer.from(await answer.arrayBuffer()))).toBe(input.sha256);
    }
    expect(sentAgain).toBeGreaterThan(0);
    figure('uploads are cut at random bytes', { cuts, partsSentAgain: sentAgain });
  });

  it('are neither lost nor left over when nodes are killed', { timeout: 900_000 }, async () => {
    const alice = await register(b.url, 'alice');
    const group = await retried((url) => createGroup(alice.at(url), []));
    const files: [string, Buffer][] = [
      ['IMAGE', await makePicture('jpeg')],
      ['VIDEO', await makeVideo('mp4')],
      ['FILE', randomBytes(5 * PART_BYTES)],
    ];
    const messages: string[] = [];
    const rounds = form(2, 20);
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
      figure('a node is killed while files are uploaded, processed and deleted', { wasBusy, afterMs });
    }
    expect(messages).toHaveLength(6 * rounds);
    const rows = await ask<{ key: string; kind: string; state: string; variants: { name: string }[] }>(
      `SELECT store_key AS key, kind::text, state::text, variants FROM attachments
       WHERE uploader_id = '${rowId(alice.id)}'`,
    );
    expect(rows).toHaveLength(3 * rounds);
    for (const { key, kind, state, variants } of rows) {
      expect(state).toBe('READY');
      const stored = [kind === 'FILE' ? 'upload' : 'original', ...variants.map(({ name }) => name)];
      expect((await readdir(join(dir, key.slice(0, 2), key))).sort()).toEqual(stored.sort());
    }
    const { stdout } = await promisify(execFile)(process.execPath, ['dist/media.js', 'verify'], {
      env: { PATH: process.env['PATH'], ...fleet.env },
    });
    expect(stdout).toMatch(/, 0 damaged or missing objects, 0 orphans\n$/);
  });

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
    // Over the other node, with the token as a page has it.
    const statusOf = async (person: Person, path: string) =>
      (await fetch(`${new URL(path, b.url).href}?t=${tokens.get(person)}`)).status;
    for (const { path } of [kept, deleted]) {
      await within(10_000, 'all can open it', async () => (await statusOf(alice, path)) === 200);
      for (const person of [bob, carol]) expect(await statusOf(person, path)).toBe(200);
    }
    await servers.redis.kill();
    try {
      await alice.ask(REMOVE_MEMBER, { input: { conversationId: group, userId: bob.id } });
      await carol.ask('mutation { logout { sessionId } }');
      await remove(alice, deleted.messageId);
      const [removedMs, signedOutMs, deletedMs] = await Promise.all([
        within(5_000, 'the removed member cannot open it', async () => (await statusOf(bob, kept.path)) === 404),
        within(5_000, 'the signed-out user cannot open it', async () => (await statusOf(carol, kept.path)) === 401),
        within(5_000, 'the deleted file cannot be opened', async () => (await statusOf(alice, deleted.path)) === 404),
      ]);
      expect(await statusOf(alice, kept.path)).toBe(200);
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
    const storm = async () => {
      const ids: string[] = [];
      for (const round of range(1, form(1, 12))) {
        for (const [index, [kind, bytes]] of hostile.entries()) {
          const input = { kind, clientUploadId: `hostile ${round} ${index}` };
          ids.push((await upload(chosen([a, b]).url, mallory, bytes, input)).id);
        }
      }
      for (const id of ids) {
        await within(60_000, 'it is rejected', async () => (await attachmentOf(mallory, id)).state === 'REJECTED');
      }
    };
    const quietMs = await p99(() => pause(form(500, 10_000)));
    const stormMs = await p99(storm);
    figure('hostile files', { quietMs, stormMs, ratio: stormMs / quietMs });
    // On a busy machine, the process that checks files competes with everything else.
    expect(stormMs / quietMs).toBeLessThan(form(Number.POSITIVE_INFINITY, 1.2));
  });
});
