import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { mediaStore } from '../../src/domain/media/media.files.js';
import { deleteOrphans, verifyMedia } from '../../src/domain/media/media.verify.js';
import { mediaWorker } from '../../src/domain/media/media.worker.js';
import type { MediaStore, NodeUploads } from '../../src/infra/media/store.js';
import type { RunningNode } from '../../src/server/start.js';
import { connectInTest, eventually, type Json, listen, type Person, registerAll } from '../support/client.js';
import { rowId } from '../support/durable-streams.js';
import {
  attachmentOf,
  complete,
  createUpload,
  makePicture,
  makeRecording,
  makeVideo,
  mediaDirOf,
  open,
  partUrl,
  putPart,
  sendWith,
  tryCreate,
  upload,
  uploaded,
} from '../support/media.js';
import { makePlace, modes, startTwo } from '../support/place.js';
import { statementsOf } from '../support/statements.js';
import { attempt, createGroup, edit, openDirect, send } from '../support/talk.js';

const MiB = 1024 * 1024;
const errorOf = ({ errors }: Json) => [errors?.[0].extensions.code, errors?.[0].extensions.field];

describe.each(modes)('attachments in %s mode', (mode) => {
  let node: RunningNode;
  let other: RunningNode;
  let dir: string;
  let ada: Person;
  let bob: Person;
  let eve: Person;
  let direct: string;
  beforeAll(async () => {
    const place = await makePlace(mode);
    dir = mediaDirOf(place);
    [node, other] = await startTwo(place, { UPLOADS_OPEN_MAX: '5', MEDIA_QUOTA_BYTES: '104857600' });
    [ada, bob, eve] = await registerAll(node.url, 'ada', 'bob', 'eve');
    direct = await openDirect(ada, bob);
  });

  /** The folders of the store: one for each attachment. */
  async function storedKeys(): Promise<string[]> {
    const shards = await readdir(dir).catch(() => []);
    return (await Promise.all(shards.map((shard) => readdir(join(dir, shard))))).flat();
  }
  const keyOf = async (id: string): Promise<string> => {
    const { db } = node.deps.database;
    return (await db.attachment.findUniqueOrThrow({ where: { id: rowId(id) } })).storeKey;
  };

  describe('uploads', () => {
    it('continue after an interruption with the parts that are missing', async () => {
      const bytes = randomBytes(2.5 * MiB);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const input = { clientUploadId: 'interrupted', filename: 'C:\\secret\\plan.bin', sha256 };
      const first = await createUpload(ada, bytes, input);
      expect(first.missingParts.map(({ offset, byteSize }: Json) => [offset, byteSize])).toEqual([
        [0, MiB],
        [MiB, MiB],
        [2 * MiB, MiB / 2],
      ]);
      expect(first.attachment).toMatchObject({ state: 'UPLOADING', filename: 'plan.bin' });
      // The connection is cut in the middle of the first part.
      const cut = new AbortController();
      const half = new ReadableStream({
        start(controller) {
          controller.enqueue(new Uint8Array(bytes.subarray(0, MiB / 2)));
        },
        pull: () => cut.abort(),
      });
      await expect(
        fetch(partUrl(node.url, first.missingParts[0]), {
          method: 'PUT',
          body: half,
          duplex: 'half',
          signal: cut.signal,
        } as RequestInit),
      ).rejects.toThrow();
      expect((await putPart(node.url, bytes, first.missingParts[2])).status).toBe(204);
      expect(errorOf(await complete(ada, first.attachment.id))).toEqual(['CONFLICT', 'input.attachmentId']);
      const second = await createUpload(ada.at(other.url), bytes, input);
      expect(second.attachment.id).toBe(first.attachment.id);
      expect(second.missingParts.map(({ number }: Json) => number)).toEqual([1, 2]);
      for (const part of second.missingParts) await putPart(other.url, bytes, part);
      const { data } = await complete(ada, first.attachment.id);
      expect(data.completeUpload.attachment.state).not.toBe('UPLOADING');
      await eventually('it is ready', async () => (await attachmentOf(ada, first.attachment.id)).state === 'READY');
      const answer = await open(other.url, ada, first.attachment.path);
      expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), bytes)).toBe(0);
      expect(answer.headers.get('content-disposition')).toBe('attachment; filename=plan.bin');
      expect(answer.headers.get('content-type')).toBe('application/octet-stream');
      // Repeated calls change nothing.
      expect((await complete(ada, first.attachment.id)).data.completeUpload.attachment.state).toBe('READY');
      expect((await createUpload(ada, bytes, input)).missingParts).toEqual([]);
      expect((await putPart(node.url, randomBytes(bytes.length), first.missingParts[0])).status).toBe(204);
      const again = await open(node.url, ada, first.attachment.path);
      expect(Buffer.compare(Buffer.from(await again.arrayBuffer()), bytes)).toBe(0);
    });

    it('reject input that is not valid, and name the field', async () => {
      const bytes = Buffer.from('hello');
      await createUpload(ada, bytes, { clientUploadId: 'used' });
      const cases: [Json, string, string][] = [
        [{ byteSize: 0 }, 'BAD_USER_INPUT', 'input.byteSize'],
        [{ byteSize: 104857601 }, 'PAYLOAD_TOO_LARGE', 'input.byteSize'],
        [{ filename: ' ' }, 'BAD_USER_INPUT', 'input.filename'],
        [{ filename: 'a\u0000b' }, 'BAD_USER_INPUT', 'input.filename'],
        [{ sha256: 'abc' }, 'BAD_USER_INPUT', 'input.sha256'],
        [{ altText: 'x'.repeat(1_001) }, 'BAD_USER_INPUT', 'input.altText'],
        [{ clientUploadId: 'used', filename: 'other' }, 'CONFLICT', 'input.clientUploadId'],
      ];
      for (const [more, code, field] of cases) {
        expect(errorOf(await tryCreate(ada, bytes, more)), JSON.stringify(more)).toEqual([code, field]);
      }
    });

    it('are limited in number and by the space of the user', async () => {
      const [person] = await registerAll(node.url, 'person');
      const bytes = Buffer.from('x');
      const open = await Promise.all(Array.from({ length: 8 }, () => tryCreate(person, bytes)));
      const refused = open.flatMap(({ errors }) => errors ?? []);
      expect(refused).toHaveLength(3);
      expect(refused[0]?.extensions).toMatchObject({ code: 'FORBIDDEN', limit: 'uploadsOpenMax' });
      const [rich] = await registerAll(node.url, 'rich');
      await createUpload(rich, bytes, { byteSize: 60 * MiB });
      expect(errorOf(await tryCreate(rich, bytes, { byteSize: 60 * MiB }))).toEqual(['FORBIDDEN', 'input.byteSize']);
      const { viewer } = await rich.ask('{ viewer { mediaUsage { bytes maxBytes } } }');
      expect(viewer.mediaUsage).toEqual({ bytes: 60 * MiB, maxBytes: 104857600 });
    });

    it('accept parts only from their uploader, with the right length', async () => {
      const bytes = Buffer.from('hello');
      const { attachment, missingParts } = await createUpload(bob, bytes);
      const [part] = missingParts;
      const put = (url: string, body: string) => fetch(new URL(url, node.url), { method: 'PUT', body });
      expect((await put(part.url, 'hell')).status).toBe(400);
      expect((await put(part.url, 'hello!')).status).toBe(400);
      expect((await put(part.url.replace(/\?t=.*/, ''), 'hello')).status).toBe(401);
      expect(
        (
          await put(
            part.url.replace(/\.(.)/, (_: string, first: string) => (first === 'A' ? '.B' : '.A')),
            'hello',
          )
        ).status,
      ).toBe(401);
      expect((await put(part.url.replace('/1?', '/2?'), 'hello')).status).toBe(404);
      const foreign = await createUpload(eve, bytes);
      const token = foreign.missingParts[0].url.split('?t=')[1];
      expect((await put(part.url.replace(/t=.*/, `t=${token}`), 'hello')).status).toBe(401);
      expect((await fetch(new URL(part.url, node.url))).status).toBe(405);
      expect(errorOf(await complete(eve, attachment.id))).toEqual(['NOT_FOUND', 'input.attachmentId']);
      expect((await put(part.url, 'hello')).status).toBe(204);
      expect((await complete(bob, attachment.id)).errors).toBeUndefined();
    });

    it('are deleted with their bytes when they are cancelled, have expired, or the account is deleted', async () => {
      const bytes = Buffer.from('hello');
      const cancelled = await uploaded(node.url, eve, bytes);
      const expired = await uploaded(node.url, eve, bytes);
      const keys = [await keyOf(cancelled.id), await keyOf(expired.id)];
      expect(await storedKeys()).toEqual(expect.arrayContaining(keys));
      await eve.ask('mutation ($input: CancelUploadInput!) { cancelUpload(input: $input) { attachmentId } }', {
        input: { attachmentId: cancelled.id },
      });
      const { db } = node.deps.database;
      await db.attachment.update({ where: { id: rowId(expired.id) }, data: { expiresAt: new Date(0) } });
      expect(errorOf(await sendWith(eve, direct, [expired.id]))[0]).toBe('NOT_FOUND');
      const retention = node.deps.features.flatMap((feature) => feature.retention ?? []);
      await retention.find(({ table }) => table === 'attachments')?.trim(node.deps);
      expect(await attachmentOf(eve, expired.id)).toBeNull();
      await eventually('the bytes are deleted', async () => !(await storedKeys()).some((key) => keys.includes(key)));
      const [person] = await registerAll(node.url, 'person');
      const own = await uploaded(node.url, person, bytes);
      const key = await keyOf(own.id);
      await person.ask('mutation ($input: DeleteAccountInput!) { deleteAccount(input: $input) { userId } }', {
        input: { password: person.password },
      });
      await eventually('the bytes are deleted', async () => !(await storedKeys()).includes(key));
    });
  });

  describe('in messages', () => {
    it('arrive with the message, also while they are processed, and are ready on every node', async () => {
      const picture = await makePicture('jpeg');
      const stream = listen(
        connectInTest(other.url, bob.token),
        'subscription { messages { type message { id text attachments { id state width thumbHash } } } }',
      );
      await stream.until(({ type }) => type === 'CAUGHT_UP');
      const sent = await upload(node.url, ada, picture, { kind: 'IMAGE', filename: 'a.jpg', altText: 'a flag' });
      const answer = await sendWith(ada, direct, [sent.id], { clientMessageId: 'picture' });
      const { id, text, attachments } = answer.data.sendMessage.message;
      expect(text).toBeNull();
      expect(attachments).toHaveLength(1);
      await stream.until(({ type, message }) => type === 'SENT' && message.id === id);
      await stream.until(
        ({ type, message }) => type !== 'CAUGHT_UP' && message?.id === id && message.attachments[0].state === 'READY',
      );
      const last = stream.events.filter(({ message }) => message?.id === id).at(-1);
      expect(last.message.attachments[0]).toMatchObject({ id: sent.id, width: 600, thumbHash: expect.any(String) });
      expect(await attachmentOf(bob, sent.id)).toMatchObject({ state: 'READY', altText: 'a flag', filename: 'a.jpg' });
      expect(await attachmentOf(eve, sent.id)).toBeNull();
      // A retry returns the same message, and the same key with other attachments is a conflict.
      const again = await sendWith(ada, direct, [sent.id], { clientMessageId: 'picture' });
      expect(again.data.sendMessage.message.id).toBe(id);
      const next = await uploaded(node.url, ada, Buffer.from('x'));
      const conflict = await sendWith(ada, direct, [next.id], { clientMessageId: 'picture' });
      expect(errorOf(conflict)).toEqual(['CONFLICT', 'input.clientMessageId']);
    });

    it('must be complete uploads of the sender that no other message contains', async () => {
      const bytes = Buffer.from('x');
      const mine = await uploaded(node.url, ada, bytes);
      const foreign = await uploaded(node.url, bob, bytes);
      const incomplete = await createUpload(ada, bytes);
      const rejected = await uploaded(node.url, ada, bytes, { kind: 'IMAGE' });
      expect(rejected.state).toBe('REJECTED');
      const field = 'input.attachmentIds.1';
      const first = await uploaded(node.url, ada, bytes);
      for (const [second, code] of [
        [foreign.id, 'NOT_FOUND'],
        [incomplete.attachment.id, 'BAD_USER_INPUT'],
        [rejected.id, 'BAD_USER_INPUT'],
        [first.id, 'BAD_USER_INPUT'],
        ['nonsense', 'BAD_USER_INPUT'],
      ]) {
        expect(errorOf(await sendWith(ada, direct, [first.id, second]))).toEqual([code, field]);
      }
      const many = await sendWith(ada, direct, Array(11).fill(mine.id));
      expect(many.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', limit: 'attachmentsMax' });
      // Of two messages with the same upload at the same time, one is sent.
      const both = await Promise.all([
        sendWith(ada, direct, [mine.id]),
        sendWith(ada.at(other.url), direct, [mine.id]),
      ]);
      expect(both.map((answer) => errorOf(answer)[0] ?? 'sent').toSorted()).toEqual(['CONFLICT', 'sent']);
      const cancel = await ada.request(
        'mutation ($input: CancelUploadInput!) { cancelUpload(input: $input) { attachmentId } }',
        { input: { attachmentId: mine.id } },
      );
      expect(errorOf(cancel)).toEqual(['CONFLICT', 'input.attachmentId']);
    });

    it('are listed newest first, by kind, and only to members', async () => {
      const group = await createGroup(ada, [bob]);
      const picture = await makePicture('png');
      const [one, two, three] = await Promise.all([
        uploaded(node.url, ada, Buffer.from('one')),
        uploaded(node.url, ada, picture, { kind: 'IMAGE' }),
        uploaded(node.url, ada, Buffer.from('three')),
      ]);
      await sendWith(ada, group, [one.id, two.id], { text: 'both' });
      await sendWith(ada, group, [three.id]);
      const LIST = `query ($id: ID!, $kind: AttachmentKind, $first: Int, $after: String) {
        conversation(id: $id) {
          attachments(kind: $kind, first: $first, after: $after) {
            nodes { id } edges { message { seq text } } pageInfo { hasNextPage endCursor }
          }
        }
      }`;
      const list = async (person: Person, variables: Json = {}) =>
        (await person.ask(LIST, { id: group, ...variables })).conversation?.attachments;
      const all = await list(bob);
      expect(all.nodes.map(({ id }: Json) => id)).toEqual([three.id, one.id, two.id]);
      expect(all.edges[1].message).toEqual({ seq: 1, text: 'both' });
      const page = await list(bob, { first: 2 });
      expect(page.pageInfo.hasNextPage).toBe(true);
      const rest = await list(bob, { first: 2, after: page.pageInfo.endCursor });
      expect(rest.nodes.map(({ id }: Json) => id)).toEqual([two.id]);
      expect((await list(bob, { kind: 'IMAGE' })).nodes.map(({ id }: Json) => id)).toEqual([two.id]);
      expect((await list(eve))?.nodes ?? []).toEqual([]);
    });

    it('need no statement for messages that have none', async () => {
      const group = await createGroup(ada, [bob]);
      const { id } = await send(ada, group, 'plain');
      const statements = await statementsOf(async () => {
        await attempt(ada, 'addReaction', { messageId: id, emoji: '👍' }, 'message { attachments { id } }');
        await edit(ada, id, 'changed');
        await bob
          .at(other.url)
          .ask('query ($id: ID!) { conversation(id: $id) { messages { nodes { attachments { id } } } } }', {
            id: group,
          });
      });
      expect(statements.length).toBeGreaterThan(3);
      expect(statements.filter((text) => /\battachments\b/.test(text))).toEqual([]);
    });

    it('disappear with their bytes when the message is deleted', async () => {
      const file = await uploaded(node.url, ada, await makePicture('webp'), { kind: 'IMAGE' });
      const key = await keyOf(file.id);
      const { message } = (await sendWith(ada, direct, [file.id])).data.sendMessage;
      const { deleteMessage } = await ada.ask(
        `mutation ($input: DeleteMessageInput!) { deleteMessage(input: $input) { message { attachments { id } } } }`,
        { input: { messageId: message.id } },
      );
      expect(deleteMessage.message.attachments).toEqual([]);
      for (const [url, person] of [
        [node.url, ada],
        [other.url, bob],
      ] as const) {
        expect((await open(url, person, file.path)).status).toBe(404);
      }
      await eventually('the bytes are deleted', async () => !(await storedKeys()).includes(key));
      expect(await attachmentOf(ada, file.id)).toBeNull();
    });
  });

  it('are rejected after three attempts that failed because of the machine, and their bytes are deleted', async () => {
    const bytes = Buffer.from('hello');
    const workers = [...new Set([node, other])].map(({ deps }) => mediaWorker.of(deps));
    const failures = () => workers.reduce((sum, { counts }) => sum + counts.failed, 0);
    const { attachment, missingParts } = await createUpload(ada, bytes);
    await putPart(node.url, bytes, missingParts[0]);
    const key = await keyOf(attachment.id);
    const folder = join(dir, key.slice(0, 2), key);
    await rm(join(folder, 'upload'));
    await mkdir(join(folder, 'unrelated'));
    const before = failures();
    await complete(ada, attachment.id);
    const { db } = node.deps.database;
    for (const attempt of [1, 2, 3]) {
      await eventually(`attempt ${attempt} has failed`, async () => failures() === before + attempt);
      expect((await attachmentOf(ada, attachment.id)).state).toBe(attempt < 3 ? 'PROCESSING' : 'REJECTED');
      // The pause before the next attempt ends.
      await db.attachment.update({ where: { id: rowId(attachment.id) }, data: { claimedUntil: new Date(0) } });
      mediaWorker.of(node.deps).wake();
    }
    await eventually('the bytes are deleted', async () => !(await storedKeys()).includes(key));
  });

  it('are compared with the database by npm run media -- verify', async () => {
    const [file, picture] = [
      await uploaded(node.url, ada, Buffer.from('hello')),
      await uploaded(node.url, ada, await makePicture('png'), { kind: 'IMAGE' }),
    ];
    const store = mediaStore.of(node.deps) as MediaStore;
    const [fileKey, pictureKey] = [await keyOf(file.id), await keyOf(picture.id)];
    const before = await verifyMedia(node.deps, store);
    expect(before.attachments).toBeGreaterThanOrEqual(2);
    const orphan = randomBytes(16).toString('hex');
    await (store.uploads as NodeUploads).writePart(
      orphan,
      { number: 1, offset: 0, byteSize: 1 },
      Readable.from([Buffer.from('x')]),
    );
    await store.remove(fileKey, 'upload');
    await eventually('the upload is deleted', async () => (await store.size(pictureKey, 'upload')) === undefined);
    for (const name of ['upload', 'preview']) await writeFile(join(dir, pictureKey.slice(0, 2), pictureKey, name), 'x');
    const after = await verifyMedia(node.deps, store);
    expect(after.orphans).toEqual(expect.arrayContaining([orphan, `${pictureKey}/upload`]));
    expect(after.damaged).toEqual(
      expect.arrayContaining([
        { id: rowId(file.id), object: 'upload', expected: 5, found: undefined },
        { id: rowId(picture.id), object: 'preview', expected: picture.variants[0].byteSize, found: 1 },
      ]),
    );
    await deleteOrphans(node.deps, [orphan, `${pictureKey}/upload`]);
    await eventually('the orphan is deleted', async () => !(await storedKeys()).includes(orphan));
    await eventually('the upload is deleted', async () => (await store.size(pictureKey, 'upload')) === undefined);
  });

  describe('files', () => {
    it('are opened by those who can see the message, while their session lasts', async () => {
      const [bob] = await registerAll(node.url, 'bob');
      const file = await uploaded(node.url, ada, Buffer.from('secret'));
      expect((await open(node.url, bob, file.path)).status).toBe(404);
      expect(await (await open(node.url, ada, file.path)).text()).toBe('secret');
      const group = await createGroup(ada, [bob]);
      await sendWith(ada, group, [file.id]);
      await eventually('bob can open it', async () => (await open(other.url, bob, file.path)).status === 200);
      expect((await open(node.url, eve, file.path)).status).toBe(404);
      const url = new URL(file.path, node.url).href;
      expect((await fetch(url, { headers: { authorization: `Bearer ${bob.token}` } })).status).toBe(200);
      expect((await fetch(url)).status).toBe(401);
      const { viewer } = await bob.ask('{ viewer { mediaToken } }');
      const at = (token: string, node = other.url) => fetch(`${new URL(file.path, node).href}?t=${token}`);
      expect((await at(`${viewer.mediaToken}x`)).status).toBe(401);
      const [session, day, mac] = viewer.mediaToken.split('.');
      expect((await at(`${session}.${Number(day) - 2}.${mac}`)).status).toBe(401);
      // A media token opens nothing else.
      const answer = await fetch(node.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${viewer.mediaToken}` },
        body: JSON.stringify({ query: '{ viewer { user { id } } }' }),
      });
      expect(JSON.stringify(await answer.json())).toContain('UNAUTHENTICATED');
      await ada.ask('mutation ($input: RemoveMemberInput!) { removeMember(input: $input) { conversation { id } } }', {
        input: { conversationId: group, userId: bob.id },
      });
      const began = Date.now();
      await eventually('bob cannot open it', async () => (await at(viewer.mediaToken)).status === 404);
      expect(Date.now() - began).toBeLessThan(6_000);
      await bob.ask('mutation { logout { sessionId } }');
      expect((await at(viewer.mediaToken)).status).toBe(401);
    });

    it('are served in ranges, with caching, and safely', async () => {
      const picture = await makePicture('png');
      const file = await uploaded(node.url, ada, picture, { kind: 'IMAGE', filename: 'Zürich “1”.png' });
      const full = await open(node.url, ada, file.path);
      const bytes = Buffer.from(await full.arrayBuffer());
      expect(bytes).toHaveLength(file.byteSize);
      expect(Object.fromEntries(full.headers)).toMatchObject({
        'content-type': 'image/png',
        'content-length': String(file.byteSize),
        'content-disposition': expect.stringContaining("filename*=UTF-8''Z%C3%BCrich%20%E2%80%9C1%E2%80%9D.png"),
        'cache-control': 'private, max-age=31536000, immutable',
        'content-security-policy': "sandbox; default-src 'none'; frame-ancestors 'none'",
        'cross-origin-resource-policy': 'cross-origin',
        'x-content-type-options': 'nosniff',
        'accept-ranges': 'bytes',
      });
      const range = async (value: string, more: Record<string, string> = {}) =>
        open(node.url, ada, file.path, { headers: { range: value, ...more } });
      const middle = await range('bytes=10-19');
      expect([middle.status, middle.headers.get('content-range')]).toEqual([206, `bytes 10-19/${file.byteSize}`]);
      expect(Buffer.compare(Buffer.from(await middle.arrayBuffer()), bytes.subarray(10, 20))).toBe(0);
      expect((await (await range('bytes=-5')).arrayBuffer()).byteLength).toBe(5);
      expect((await range(`bytes=${file.byteSize}-`)).status).toBe(416);
      expect((await range('bytes=0-1', { 'if-range': '"other"' })).status).toBe(200);
      const etag = full.headers.get('etag') ?? '';
      expect((await open(node.url, ada, file.path, { headers: { 'if-none-match': etag } })).status).toBe(304);
      const head = await open(node.url, ada, file.path, { method: 'HEAD' });
      expect([head.status, head.headers.get('content-length')]).toEqual([200, String(file.byteSize)]);
      const elsewhere = await open(node.url, ada, file.path, { headers: { origin: 'http://localhost:5173' } });
      expect(elsewhere.headers.get('access-control-allow-origin')).toBe('http://localhost:5173');
      const strange = await open(node.url, ada, file.path, { headers: { origin: 'https://evil.example' } });
      expect(strange.headers.get('access-control-allow-origin')).toBeNull();
      for (const path of [
        `${file.path}/..`,
        file.path.replace('original', 'upload'),
        `${file.path}/x`,
        '/media/',
        '/media/x/y',
      ]) {
        expect((await open(node.url, ada, path)).status, path).toBe(404);
      }
      // A page that claims to be a file to download.
      const page = await uploaded(node.url, ada, Buffer.from('<html><script>alert(1)</script>'), {
        filename: 'a.html',
      });
      const answer = await open(node.url, ada, page.path);
      expect(answer.headers.get('content-type')).toBe('application/octet-stream');
      expect(answer.headers.get('content-disposition')).toMatch(/^attachment/);
    });
  });

  describe('images', () => {
    it.each(['jpeg', 'png', 'webp', 'gif', 'avif'] as const)(
      'of type %s lose their metadata and get variants',
      async (format) => {
        const picture = await makePicture(format);
        const file = await uploaded(node.url, ada, picture, { kind: 'IMAGE' });
        expect(file).toMatchObject({ state: 'READY', contentType: `image/${format}`, width: 600, height: 400 });
        const original = Buffer.from(await (await open(node.url, ada, file.path)).arrayBuffer());
        expect(original.includes('Secret Camera')).toBe(false);
        expect((await sharp(original).metadata()).exif).toBeUndefined();
        if (format !== 'avif') {
          const pixels = (bytes: Buffer) => sharp(bytes).raw().toBuffer();
          expect(Buffer.compare(await pixels(original), await pixels(picture))).toBe(0);
        }
        const [preview, thumbnail] = file.variants;
        expect(preview).toMatchObject({ name: 'preview', contentType: 'image/webp', width: 600, height: 400 });
        expect(thumbnail).toMatchObject({ name: 'thumbnail', width: 320, height: 213 });
        const bytes = Buffer.from(await (await open(node.url, ada, thumbnail.path)).arrayBuffer());
        expect(await sharp(bytes).metadata()).toMatchObject({ format: 'webp', width: 320, height: 213 });
        expect(Buffer.from(file.thumbHash, 'base64').length).toBeLessThan(30);
      },
    );

    it.each(['jpeg', 'png', 'webp'] as const)('of type %s keep their orientation', async (format) => {
      const file = await uploaded(node.url, ada, await makePicture(format, 6), { kind: 'IMAGE' });
      expect(file).toMatchObject({ width: 400, height: 600 });
      const original = Buffer.from(await (await open(node.url, ada, file.path)).arrayBuffer());
      expect((await sharp(original).metadata()).orientation).toBe(6);
      expect(original.includes('Secret Camera')).toBe(false);
      const thumbnail = await (await open(node.url, ada, file.variants[1].path)).arrayBuffer();
      const { data, info } = await sharp(thumbnail).raw().toBuffer({ resolveWithObject: true });
      expect([info.width, info.height]).toEqual([213, 320]);
      // Turned to the right, the red half is at the top.
      expect(data.readUInt8(0)).toBeGreaterThan(200);
      expect(data.readUInt8(data.length - 3)).toBeLessThan(50);
    });

    it('that are hostile are rejected, and the node keeps working', async () => {
      const png = await makePicture('png');
      const jpeg = await makePicture('jpeg');
      const wide = await sharp({ create: { width: 20_000, height: 1, channels: 3, background: 'red' } })
        .png()
        .toBuffer();
      const bomb = await sharp({ create: { width: 9_000, height: 9_000, channels: 3, background: 'red' } })
        .png({ compressionLevel: 9 })
        .toBuffer();
      const svg = Buffer.from(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="/etc/passwd"/></svg>',
      );
      for (const bytes of [
        Buffer.from('no image'),
        svg,
        wide,
        bomb,
        png.subarray(0, png.length / 2),
        jpeg.subarray(0, jpeg.length / 2),
        Buffer.concat([jpeg.subarray(0, 20), randomBytes(2_000)]),
        Buffer.concat([Buffer.from('GIF89a'), randomBytes(500)]),
        Buffer.concat([png.subarray(0, 40), randomBytes(500)]),
      ]) {
        const file = await uploaded(node.url, ada, bytes, { kind: 'IMAGE' });
        expect([file.state, file.variants]).toEqual(['REJECTED', []]);
        expect((await open(node.url, ada, file.path)).status).toBe(404);
      }
      // What is appended to an image, such as an archive, is cut off.
      const polyglot = await uploaded(node.url, ada, Buffer.concat([jpeg, Buffer.from('PK secret archive')]), {
        kind: 'IMAGE',
      });
      expect(await (await open(node.url, ada, polyglot.path)).text()).not.toContain('secret archive');
      const sha256 = createHash('sha256').update('other').digest('hex');
      expect((await uploaded(node.url, ada, png, { kind: 'IMAGE', sha256 })).state).toBe('REJECTED');
    });
  });

  describe('recordings', () => {
    it.each(['mp4', 'webm'] as const)(
      'in %s lose their metadata, and can be played before they are loaded',
      async (format) => {
        const bytes = await makeVideo(format);
        expect(bytes.includes('Secret Place')).toBe(true);
        const file = await uploaded(node.url, ada, bytes, { kind: 'VIDEO' });
        expect(file).toMatchObject({ state: 'READY', contentType: `video/${format}` });
        // WebM does not say how long its last frame lasts.
        expect(file.durationMs).toBe(format === 'mp4' ? 1_000 : 900);
        // A telephone that was held upright.
        expect([file.width, file.height]).toEqual(format === 'mp4' ? [48, 64] : [64, 48]);
        const answer = await open(node.url, ada, file.path);
        expect(answer.headers.get('content-type')).toBe(`video/${format}`);
        const original = Buffer.from(await answer.arrayBuffer());
        expect(original.includes('Secret')).toBe(false);
        expect(original.includes('+52.52')).toBe(false);
        if (format === 'mp4') expect(original.indexOf('moov')).toBeLessThan(original.indexOf('mdat'));
      },
    );

    it('of a voice have a length and a waveform', async () => {
      const file = await uploaded(node.url, ada, makeRecording(), { kind: 'VOICE' });
      expect(file).toMatchObject({ state: 'READY', contentType: 'audio/wav', durationMs: 1_000 });
      expect(file.waveform).toHaveLength(64);
      expect(file.waveform[0]).toBeLessThan(10);
      expect(file.waveform[63]).toBeGreaterThan(90);
    });

    it('that are something else are rejected', async () => {
      for (const [kind, bytes] of [
        ['VIDEO', makeRecording()],
        ['VOICE', await makeVideo('mp4')],
        ['AUDIO', randomBytes(1_000)],
        ['VIDEO', (await makeVideo('mp4')).subarray(0, 300)],
      ] as const) {
        expect((await uploaded(node.url, ada, bytes, { kind })).state).toBe('REJECTED');
      }
    });
  });
});
