import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { deflateRawSync, deflateSync } from 'node:zlib';
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
  makeAac,
  makePicture,
  makeRecording,
  makeVideo,
  mediaDirOf,
  open,
  partUrl,
  pngChunk,
  putPart,
  sendWith,
  tryCreate,
  upload,
  uploaded,
} from '../support/media.js';
import { inOneMode, makePlace, modes, startTwo } from '../support/place.js';
import { statementsOf } from '../support/statements.js';
import { attempt, createGroup, edit, openDirect, send } from '../support/talk.js';

const MiB = 1024 * 1024;
const errorOf = ({ errors }: Json) => [errors?.[0].extensions.code, errors?.[0].extensions.field];

describe.each(modes)('attachments in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  const describeOnce = inOneMode(mode, describe);
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
    [node, other] = await startTwo(place, {
      UPLOADS_OPEN_MAX: '5',
      MEDIA_QUOTA_BYTES: '104857600',
      DELETED_ACCOUNT_MESSAGES: 'delete',
    });
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

    itOnce('keep what has arrived of a part whose connection was cut', async () => {
      const bytes = randomBytes(2 * MiB);
      const input = { clientUploadId: 'cut' };
      const { attachment, missingParts } = await createUpload(ada, bytes, input);
      const [first] = missingParts;
      const path = join(dir, (await keyOf(attachment.id)).replace(/^(..)/, '$1/$1'), 'upload');
      const received = 300_000;
      const sending = httpRequest(partUrl(node.url, first), { method: 'PUT', headers: { 'content-length': MiB } });
      sending.on('error', () => {});
      sending.write(bytes.subarray(0, received));
      await eventually('it has arrived', async () => (await stat(path).catch(() => undefined))?.size === received);
      sending.destroy();
      let missing: Json[] = [];
      await eventually('it is recorded', async () => {
        missing = (await createUpload(ada.at(other.url), bytes, input)).missingParts;
        return missing[0]?.offset > 0;
      });
      expect(missing).toMatchObject([
        { number: 1, offset: received, byteSize: MiB - received },
        { number: 2, offset: MiB, byteSize: MiB },
      ]);
      // A client cannot claim that more has arrived.
      const url = missing[0]?.url.replace(/from=\d+/, `from=${received + 1}`);
      const body = new Uint8Array(MiB - received - 1);
      expect((await fetch(partUrl(other.url, { url }), { method: 'PUT', body })).status).toBe(409);
      for (const part of missing) expect((await putPart(other.url, bytes, part)).status).toBe(204);
      expect((await createUpload(ada, bytes, input)).missingParts).toEqual([]);
      await complete(ada, attachment.id);
      await eventually('it is ready', async () => (await attachmentOf(ada, attachment.id)).state === 'READY');
      const answer = await open(node.url, ada, attachment.path);
      expect(Buffer.compare(Buffer.from(await answer.arrayBuffer()), bytes)).toBe(0);
    });

    itOnce('have larger parts if the file is large', async () => {
      const partsOf = async (byteSize: number) => {
        const { attachment, missingParts } = await createUpload(ada, Buffer.from('x'), { byteSize });
        await ada.ask('mutation ($input: CancelUploadInput!) { cancelUpload(input: $input) { attachmentId } }', {
          input: { attachmentId: attachment.id },
        });
        return missingParts.map((part: Json) => part.byteSize);
      };
      expect(await partsOf(16 * MiB)).toEqual(Array(16).fill(MiB));
      expect(await partsOf(64 * MiB)).toEqual(Array(16).fill(4 * MiB));
      const sizes = await partsOf(80_000_000);
      expect(sizes.length).toBeLessThanOrEqual(16);
      expect(sizes.reduce((sum: number, size: number) => sum + size)).toBe(80_000_000);
    });

    itOnce('change their alternative text until they are used, without another file', async () => {
      const bytes = await makePicture('png');
      const input = { clientUploadId: 'described', kind: 'IMAGE', filename: 'a.png' };
      const { id } = await uploaded(node.url, ada, bytes, { ...input, altText: 'A flag' });
      for (const altText of ['Red and blue', undefined, 'The flag of Haiti']) {
        const { attachment, missingParts } = await createUpload(ada.at(other.url), bytes, { ...input, altText });
        expect([attachment.id, attachment.altText, missingParts]).toEqual([id, altText ?? null, []]);
      }
      const { data } = await sendWith(ada, direct, [id]);
      expect(data.sendMessage.message.attachments).toMatchObject([{ state: 'READY', altText: 'The flag of Haiti' }]);
      const again = await tryCreate(ada, bytes, { ...input, altText: 'The flag of Haiti' });
      expect(again.data.createUpload.upload.attachment.id).toBe(id);
      const late = await tryCreate(ada, bytes, { ...input, altText: 'Something else' });
      expect(errorOf(late)).toEqual(['CONFLICT', 'input.altText']);
      expect((await attachmentOf(bob, id)).altText).toBe('The flag of Haiti');
    });

    itOnce('reject input that is not valid, and name the field', async () => {
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

    itOnce('accept parts only from their uploader, with the right length', async () => {
      const bytes = Buffer.from('hello');
      const { attachment, missingParts } = await createUpload(bob, bytes);
      const [part] = missingParts;
      const put = (url: string, body: string) => fetch(new URL(url, node.url), { method: 'PUT', body });
      expect((await put(part.url, 'hell')).status).toBe(400);
      expect((await put(part.url, 'hello!')).status).toBe(400);
      // Also without a Content-Length.
      for (const text of ['hell', 'hello!']) {
        const body = new Blob([text]).stream();
        const sent = await fetch(new URL(part.url, node.url), { method: 'PUT', body, duplex: 'half' } as RequestInit);
        expect([text, sent.status]).toEqual([text, 400]);
      }
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

    itOnce(
      'are deleted with their bytes when they are cancelled, have expired, or the account is deleted',
      async () => {
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
      },
    );
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

    itOnce('must be complete uploads of the sender that no other message contains', async () => {
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

    itOnce('need no statement for messages that have none', async () => {
      const group = await createGroup(ada, [bob]);
      const { id } = await send(ada, group, 'plain');
      const statements = await statementsOf(node, async () => {
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

    it('stay when the text of their message is removed by an edit', async () => {
      const file = await uploaded(node.url, ada, Buffer.from('a report'), { filename: 'report.txt' });
      const word = `zebra${Date.now()}`;
      const sent = await sendWith(ada, direct, [file.id], { text: `${word} @${bob.username}`, clientMessageId: word });
      const { id } = sent.data.sendMessage.message;
      const find = async (query: string) =>
        (await bob.ask('query ($query: String!) { searchMessages(query: $query) { nodes { id } } }', { query }))
          .searchMessages.nodes;
      expect(await find(word)).toEqual([{ id }]);
      const stream = listen(
        connectInTest(other.url, bob.token),
        'subscription { messages { type message { id text mentions { id } attachments { id } } } }',
      );
      await stream.until(({ type }) => type === 'CAUGHT_UP');
      const editTo = (input: Json) =>
        ada.request(
          `mutation ($input: EditMessageInput!) {
            editMessage(input: $input) { message { text editedAt attachments { id } edits { nodes { text } } } }
          }`,
          { input },
        );
      const { data } = await editTo({ messageId: id });
      expect(data.editMessage.message).toEqual({
        text: null,
        editedAt: expect.any(String),
        attachments: [{ id: file.id }],
        edits: { nodes: [{ text: `${word} @${bob.username}` }] },
      });
      const { message } = await stream.until(({ type }) => type === 'EDITED');
      expect(message).toEqual({ id, text: null, mentions: [], attachments: [{ id: file.id }] });
      expect(await find(word)).toEqual([]);
      // The file is still found by its name.
      expect(await find(`report.txt in:@${ada.username}`)).toContainEqual({ id });
      const again = await sendWith(ada, direct, [file.id], { text: `${word} @${bob.username}`, clientMessageId: word });
      expect(again.data.sendMessage.message).toMatchObject({ id, text: null });
      expect((await editTo({ messageId: id, text: null })).data.editMessage.message.edits.nodes).toHaveLength(1);
      // A text can be added again, and a message without attachments keeps its text.
      expect((await editTo({ messageId: id, text: 'final' })).data.editMessage.message.text).toBe('final');
      const plain = await send(ada, direct, 'plain');
      expect(errorOf(await editTo({ messageId: plain.id }))).toEqual(['BAD_USER_INPUT', 'input.text']);
      expect(errorOf(await editTo({ messageId: id, text: ' ' }))).toEqual(['BAD_USER_INPUT', 'input.text']);
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

    itOnce('disappear with their bytes when the account of the sender is deleted', async () => {
      const [person] = await registerAll(node.url, 'person');
      const conversation = await openDirect(person, bob);
      const picture = await makePicture('jpeg');
      const avatar = await uploaded(node.url, person, picture, { kind: 'IMAGE' });
      await person.ask(
        'mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { viewer { user { id } } } }',
        {
          input: { avatarAttachmentId: avatar.id },
        },
      );
      const image = await uploaded(node.url, person, picture, { kind: 'IMAGE' });
      const file = await uploaded(node.url, person, Buffer.from('a report'));
      await sendWith(person, conversation, [image.id, file.id]);
      const unused = await uploaded(node.url, person, picture, { kind: 'IMAGE' });
      const incomplete = await createUpload(person, Buffer.from('hello'));
      await putPart(node.url, Buffer.from('hello'), incomplete.missingParts[0]);
      const all = [avatar, image, file, unused, incomplete.attachment];
      const keys = await Promise.all(all.map(({ id }) => keyOf(id)));
      expect(await storedKeys()).toEqual(expect.arrayContaining(keys));
      expect((await open(other.url, bob, image.path)).status).toBe(200);
      await person.ask('mutation ($input: DeleteAccountInput!) { deleteAccount(input: $input) { userId } }', {
        input: { password: person.password },
      });
      await eventually('the bytes are deleted', async () => !(await storedKeys()).some((key) => keys.includes(key)));
      const { db } = node.deps.database;
      expect(await db.attachment.count({ where: { id: { in: all.map(({ id }) => rowId(id)) } } })).toBe(0);
      for (const { url } of [node, other]) {
        for (const { path } of [image, image.variants[0], file, avatar]) {
          await eventually('it cannot be opened', async () => (await open(url, bob, path)).status === 404);
        }
      }
    });
  });

  itOnce(
    'are rejected after three attempts that failed because of the machine, and their bytes are deleted',
    async () => {
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
    },
  );

  itOnce('are compared with the database by npm run media -- verify', async () => {
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

  describeOnce('files', () => {
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

  describeOnce('images', () => {
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
        // Higher than images in WebP can be.
        await sharp({ create: { width: 1, height: 60_000, channels: 3, background: 'red' } })
          .png()
          .toBuffer(),
        // A screen of 4 billion pixels, without a frame.
        Buffer.from('474946383961ffffffff0000003b', 'hex'),
        // Headers that announce more than follows.
        withSize(png, 16_000, 16_000),
        withSize(png, 0, 0),
        withSize(png, 0x7fffffff, 0x7fffffff),
        Buffer.from(`GIF89a/*<html><script>alert(1)</script>*/=1;${'x'.repeat(500)}`),
        Buffer.from('<!DOCTYPE html><html><body><script>alert(1)</script></body></html>'),
        Buffer.from(`<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "${'a'.repeat(100)}">]><svg>&a;&a;</svg>`),
        Buffer.from('%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(secret) (r) file'),
        zipBomb(),
      ]) {
        const file = await uploaded(node.url, ada, bytes, { kind: 'IMAGE' });
        expect([file.state, file.variants], bytes.toString('latin1', 0, 40)).toEqual(['REJECTED', []]);
        expect((await open(node.url, ada, file.path)).status).toBe(404);
      }
      // What is appended to an image, such as an archive, is cut off.
      const polyglot = await uploaded(node.url, ada, Buffer.concat([jpeg, Buffer.from('PK secret archive')]), {
        kind: 'IMAGE',
      });
      expect(await (await open(node.url, ada, polyglot.path)).text()).not.toContain('secret archive');
      const sha256 = createHash('sha256').update('other').digest('hex');
      expect((await uploaded(node.url, ada, png, { kind: 'IMAGE', sha256 })).state).toBe('REJECTED');
      // A profile that becomes 64 MiB when it is unpacked. The picture is fine, so it may be READY, but quickly.
      const profile = Buffer.concat([Buffer.from('icc\0\0', 'latin1'), deflateSync(Buffer.alloc(64 * MiB))]);
      const inflated = Buffer.concat([png.subarray(0, 33), pngChunk('iCCP', profile), png.subarray(33)]);
      expect(['READY', 'REJECTED']).toContain((await uploaded(node.url, ada, inflated, { kind: 'IMAGE' })).state);
      // An archive is not unpacked, and is returned as it is.
      const archive = await uploaded(node.url, ada, zipBomb(), { filename: 'archive.zip' });
      expect(archive.state).toBe('READY');
      const answer = await open(node.url, ada, archive.path);
      expect(answer.headers.get('content-type')).toBe('application/octet-stream');
      expect(Buffer.from(await answer.arrayBuffer()).equals(zipBomb())).toBe(true);
      expect((await uploaded(node.url, ada, await makePicture('jpeg'), { kind: 'IMAGE' })).state).toBe('READY');
    });
  });

  /** A PNG image that claims to have this size. */
  function withSize(png: Buffer, width: number, height: number): Buffer {
    const header = Buffer.from(png.subarray(16, 29));
    header.writeUInt32BE(width, 0);
    header.writeUInt32BE(height, 4);
    return Buffer.concat([png.subarray(0, 8), pngChunk('IHDR', header), png.subarray(33)]);
  }

  /** An archive with one file of 64 MiB, which is 65 KB long. */
  function zipBomb(): Buffer {
    const content = deflateRawSync(Buffer.alloc(64 * MiB));
    const head = Buffer.alloc(30);
    head.writeUInt32LE(0x04034b50, 0);
    head.writeUInt16LE(20, 4);
    head.writeUInt16LE(8, 8);
    head.writeUInt32LE(content.length, 18);
    head.writeUInt32LE(64 * MiB, 22);
    head.writeUInt16LE(1, 26);
    return Buffer.concat([head, Buffer.from('a'), content]);
  }

  describeOnce('recordings', () => {
    it.each(['mp4', 'webm'] as const)(
      'in %s lose their metadata, and can be played before they are loaded',
      async (format) => {
        const bytes = await makeVideo(format);
        expect(bytes.includes('Secret Place')).toBe(true);
        const file = await uploaded(node.url, ada, bytes, { kind: 'VIDEO' });
        expect(file).toMatchObject({ state: 'READY', contentType: `video/${format}` });
        // WebM does not contain the duration of its last frame.
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

    it('that cannot be decoded keep the waveform that the client has measured', async () => {
      const aac = await makeAac();
      const waveform = Array.from({ length: 64 }, (_, index) => index);
      const sent = await upload(node.url, ada, aac, { kind: 'VOICE', waveform });
      expect(sent.waveform).toEqual(waveform);
      await eventually('it is ready', async () => (await attachmentOf(ada, sent.id)).state === 'READY');
      const facts = { contentType: 'audio/mp4', durationMs: 1_000 };
      expect(await attachmentOf(ada, sent.id)).toMatchObject({ ...facts, waveform });
      expect(await uploaded(node.url, ada, aac, { kind: 'VOICE' })).toMatchObject({ ...facts, waveform: null });
      // The waveform of the server is more precise.
      const recording = await uploaded(node.url, ada, makeRecording(), { kind: 'VOICE', waveform });
      expect(recording.waveform[63]).toBeGreaterThan(90);
      for (const wrong of [[], waveform.slice(1), waveform.with(0, 101), waveform.with(0, -1)]) {
        const answer = await tryCreate(ada, aac, { kind: 'VOICE', waveform: wrong });
        expect(errorOf(answer)).toEqual(['BAD_USER_INPUT', 'input.waveform']);
      }
    });

    it('that are something else are rejected', async () => {
      for (const [kind, bytes] of [
        ['VIDEO', makeRecording()],
        ['VOICE', await makeVideo('mp4')],
        ['AUDIO', randomBytes(1_000)],
        ['VIDEO', (await makeVideo('mp4')).subarray(0, 300)],
        // A box that is larger than the file, boxes in boxes without an end, and an archive.
        ['VIDEO', Buffer.from('0000001866747970697336d300000000697336d36d7034327fffffff6d6f6f76', 'hex')],
        [
          'VIDEO',
          Buffer.concat([
            (await makeVideo('mp4')).subarray(0, 32),
            Buffer.from('000000086d6f6f76'.repeat(20_000), 'hex'),
          ]),
        ],
        ['AUDIO', zipBomb()],
        ['AUDIO', Buffer.concat([Buffer.from('ID3\x04\0\0\x7f\x7f\x7f\x7f', 'latin1'), Buffer.alloc(1_000)])],
        ['VOICE', Buffer.concat([makeRecording().subarray(0, 22), Buffer.alloc(200, 0xff)])],
      ] as const) {
        expect((await uploaded(node.url, ada, bytes, { kind })).state).toBe('REJECTED');
      }
    });
  });
});
