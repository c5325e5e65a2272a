import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { mediaWorker } from '../../src/domain/media/media.worker.js';
import type { RunningNode } from '../../src/server/start.js';
import { connectInTest, eventually, type Json, listen, type Person, registerAll } from '../support/client.js';
import { rowId } from '../support/durable-streams.js';
import {
  attachmentOf,
  complete,
  createUpload,
  makePicture,
  mediaDirOf,
  open,
  putPart,
  sendWith,
  upload,
  uploaded,
} from '../support/media.js';
import { inOneMode, makePlace, modes, startTwo } from '../support/place.js';
import { attempt, createGroup, openDirect } from '../support/talk.js';

const PICTURE = 'id state kind path variants { name }';
const PROFILE = `viewer { user { id avatarUrl avatar { ${PICTURE} } } }`;
const GROUP = `conversation { id imageUrl image { ${PICTURE} } }`;
const PERSON = `query ($id: ID!) { user(id: $id) { avatarUrl avatar { ${PICTURE} } } }`;

describe.each(modes)('uploaded pictures in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  let dir: string;
  let ada: Person;
  let bob: Person;
  let eve: Person;
  let picture: Buffer;
  beforeAll(async () => {
    const place = await makePlace(mode);
    dir = mediaDirOf(place);
    [node, other] = await startTwo(place);
    [ada, bob, eve] = await registerAll(node.url, 'ada', 'bob', 'eve');
    picture = await makePicture('jpeg');
  });

  const image = (person: Person, bytes = picture) => uploaded(node.url, person, bytes, { kind: 'IMAGE' });
  const setAvatar = (person: Person, input: Json) => attempt(person, 'updateProfile', input, PROFILE);
  const setImage = (person: Person, conversationId: string, input: Json) =>
    attempt(person, 'updateGroup', { conversationId, ...input }, GROUP);
  const userOf = async (viewer: Person, { id }: Person): Promise<Json> => (await viewer.ask(PERSON, { id })).user;
  const fetchPicture = (url: string, at = node) => fetch(new URL(url, at.url));
  const keyOf = async (id: string): Promise<string> =>
    (await node.deps.database.db.attachment.findUniqueOrThrow({ where: { id: rowId(id) } })).storeKey;
  const untilDeleted = (key: string) =>
    eventually('the bytes are deleted', async () => {
      const shards = await readdir(dir);
      return !(await Promise.all(shards.map((shard) => readdir(join(dir, shard))))).flat().includes(key);
    });

  /** Uploads a file that no node processes before `release` is called. */
  async function uploadHeld(person: Person, bytes: Buffer): Promise<{ id: string; release: () => Promise<void> }> {
    const { attachment, missingParts } = await createUpload(person, bytes, { kind: 'IMAGE' });
    for (const part of missingParts) await putPart(node.url, bytes, part);
    const { db } = node.deps.database;
    const claimUntil = (claimedUntil: Date) =>
      db.attachment.update({ where: { id: rowId(attachment.id) }, data: { claimedUntil } });
    await claimUntil(new Date(Date.now() + 600_000));
    await complete(person, attachment.id);
    return {
      id: attachment.id,
      async release() {
        await claimUntil(new Date(0));
        mediaWorker.of(node.deps).wake();
      },
    };
  }

  describe('of users', () => {
    it('are announced like all of the profile, and can be opened by everybody', async () => {
      await openDirect(ada, bob);
      const stream = listen(
        connectInTest(other.url, bob.token),
        `subscription { conversations { type membership { user { id avatarUrl avatar { ${PICTURE} } } } } }`,
        {},
        'conversations',
      );
      await stream.until(({ type }) => type === 'CAUGHT_UP');
      const { id } = await image(ada);
      const { user } = (await setAvatar(ada, { avatarAttachmentId: id })).viewer;
      expect(user.avatar).toMatchObject({ id, state: 'READY', kind: 'IMAGE' });
      const { membership } = await stream.until(({ type }) => type === 'MEMBER_UPDATED');
      expect(membership.user).toEqual({ ...user, id: ada.id });
      for (const at of [node, other]) {
        const answer = await fetchPicture(user.avatarUrl, at);
        expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/webp']);
        expect(answer.headers.get('cache-control')).toBe('public, max-age=86400, immutable');
        expect((await open(at.url, eve, user.avatar.path)).status).toBe(200);
      }
      expect(await attachmentOf(eve, id)).toMatchObject({ id });
      const [, pictureId, signature] = /([^/]+)\/([^/]+)$/.exec(user.avatarUrl) ?? [];
      const foreign = await image(eve);
      for (const wrong of [`${pictureId}/${signature}x`, `${rowId(foreign.id)}/${signature}`, `${pictureId}/`]) {
        expect((await fetchPicture(`/media/pictures/${wrong}`)).status, wrong).toBe(404);
      }
      expect((await open(node.url, ada, foreign.path)).status).toBe(404);
      // A form can send back the URL that it has loaded.
      expect((await setAvatar(ada, { avatarUrl: user.avatarUrl, bio: 'Paints.' })).viewer.user).toEqual(user);
      expect((await setAvatar(ada, { avatarAttachmentId: id })).viewer.user).toEqual(user);
    });

    itOnce('are deleted with their bytes when they are replaced or removed, or the account is deleted', async () => {
      const [person] = await registerAll(node.url, 'person');
      const first = await image(person);
      const { avatarUrl } = (await setAvatar(person, { avatarAttachmentId: first.id })).viewer.user;
      expect((await fetchPicture(avatarUrl, other)).status).toBe(200);
      const second = await image(person);
      const [firstKey, secondKey] = [await keyOf(first.id), await keyOf(second.id)];
      const { viewer } = await person.ask('{ viewer { mediaUsage { bytes } } }');
      expect(viewer.mediaUsage.bytes).toBe(first.byteSize + second.byteSize);
      await setAvatar(person, { avatarAttachmentId: second.id });
      await untilDeleted(firstKey);
      await eventually('the URL has ended', async () => (await fetchPicture(avatarUrl, other)).status === 404);
      expect(await setAvatar(person, { avatarUrl })).toBe('BAD_USER_INPUT input.avatarUrl');
      expect((await setAvatar(person, { avatarAttachmentId: null })).viewer.user).toMatchObject({
        avatarUrl: null,
        avatar: null,
      });
      await untilDeleted(secondKey);
      const third = await image(person);
      await setAvatar(person, { avatarAttachmentId: third.id });
      const thirdKey = await keyOf(third.id);
      const elsewhere = 'https://example.com/a.png';
      expect((await setAvatar(person, { avatarUrl: elsewhere })).viewer.user).toMatchObject({
        avatarUrl: elsewhere,
        avatar: null,
      });
      await untilDeleted(thirdKey);
      const last = await image(person);
      await setAvatar(person, { avatarAttachmentId: last.id });
      const lastKey = await keyOf(last.id);
      await attempt(person, 'deleteAccount', { password: person.password });
      await untilDeleted(lastKey);
      expect(await userOf(ada, person)).toEqual({ avatarUrl: null, avatar: null });
    });

    itOnce('that are PROCESSING replace the previous one when they are READY', async () => {
      const [person] = await registerAll(node.url, 'person');
      const before = 'https://example.com/before.png';
      await setAvatar(person, { avatarUrl: before });
      const held = await uploadHeld(person, picture);
      expect((await setAvatar(person, { avatarAttachmentId: held.id })).viewer.user.avatarUrl).toBe(before);
      expect(await attachmentOf(eve, held.id)).toBeNull();
      await held.release();
      await eventually('it is the picture', async () => (await userOf(eve, person)).avatar?.id === held.id);
      // One that is rejected changes nothing, and a later choice replaces one that is not ready.
      const broken = await uploadHeld(person, Buffer.from('no image'));
      await setAvatar(person, { avatarAttachmentId: broken.id });
      await broken.release();
      await eventually('it is rejected', async () => (await attachmentOf(person, broken.id))?.state === 'REJECTED');
      const { expiresAt } = await node.deps.database.db.attachment.findUniqueOrThrow({
        where: { id: rowId(broken.id) },
      });
      expect(expiresAt).not.toBeNull();
      expect((await userOf(eve, person)).avatar.id).toBe(held.id);
      const late = await uploadHeld(person, picture);
      await setAvatar(person, { avatarAttachmentId: late.id });
      await setAvatar(person, { avatarUrl: before });
      expect(await attachmentOf(person, late.id)).toBeNull();
      expect(await userOf(eve, person)).toEqual({ avatarUrl: before, avatar: null });
    });

    itOnce('must be complete images of the user that are not used elsewhere', async () => {
      const [person] = await registerAll(node.url, 'person');
      const direct = await openDirect(person, bob);
      const foreign = await image(bob);
      const file = await uploaded(node.url, person, Buffer.from('x'));
      const incomplete = await createUpload(person, picture, { kind: 'IMAGE' });
      const rejected = await image(person, Buffer.from('no image'));
      const sent = await image(person);
      await sendWith(person, direct, [sent.id]);
      const field = 'input.avatarAttachmentId';
      for (const [id, code] of [
        [foreign.id, 'NOT_FOUND'],
        [file.id, 'BAD_USER_INPUT'],
        [incomplete.attachment.id, 'BAD_USER_INPUT'],
        [rejected.id, 'BAD_USER_INPUT'],
        [sent.id, 'CONFLICT'],
        [person.id, 'BAD_USER_INPUT'],
      ]) {
        expect(await setAvatar(person, { avatarAttachmentId: id })).toBe(`${code} ${field}`);
      }
      const avatar = await image(person);
      const both = { avatarUrl: 'https://example.com/a.png', avatarAttachmentId: avatar.id };
      expect(await setAvatar(person, both)).toBe(`BAD_USER_INPUT ${field}`);
      await setAvatar(person, { avatarAttachmentId: avatar.id });
      const { errors } = await sendWith(person, direct, [avatar.id]);
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'CONFLICT', field: 'input.attachmentIds.0' });
      expect(await attempt(person, 'cancelUpload', { attachmentId: avatar.id })).toBe('CONFLICT input.attachmentId');
      const group = await createGroup(person, []);
      expect(await setImage(person, group, { imageAttachmentId: avatar.id })).toBe('CONFLICT input.imageAttachmentId');
      expect((await userOf(person, person)).avatar.id).toBe(avatar.id);
    });
  });

  describe('of groups', () => {
    it('can be opened by members, and by everybody if the group is public', async () => {
      const group = await createGroup(ada, [bob]);
      const stream = listen(
        connectInTest(other.url, bob.token),
        `subscription { conversations { type ${GROUP} } }`,
        {},
        'conversations',
      );
      await stream.until(({ type }) => type === 'CAUGHT_UP');
      const held = await uploadHeld(ada, picture);
      expect((await setImage(ada, group, { imageAttachmentId: held.id })).conversation.image).toBeNull();
      await held.release();
      const { conversation } = await stream.until(({ type }) => type === 'UPDATED');
      expect(conversation).toMatchObject({ id: group, image: { id: held.id, state: 'READY' } });
      expect((await fetchPicture(conversation.imageUrl)).status).toBe(200);
      const { path } = conversation.image;
      expect((await open(node.url, bob, path)).status).toBe(200);
      expect((await open(node.url, eve, path)).status).toBe(404);
      expect(await attachmentOf(eve, held.id)).toBeNull();
      await setImage(ada, group, { visibility: 'PUBLIC' });
      await eventually('eve can open it', async () => (await open(node.url, eve, path)).status === 200);
      expect(await attachmentOf(eve, held.id)).toMatchObject({ id: held.id });
      await setImage(ada, group, { visibility: 'PRIVATE' });
      await attempt(ada, 'removeMember', { conversationId: group, userId: bob.id });
      await eventually('bob cannot open it', async () => (await open(other.url, bob, path)).status === 404);
    });

    itOnce('stay when the account of their uploader is deleted, until they are replaced', async () => {
      const [person] = await registerAll(node.url, 'person');
      const group = await createGroup(person, [bob]);
      await attempt(person, 'setMemberRole', { conversationId: group, userId: bob.id, role: 'OWNER' });
      const { id } = await image(person);
      const key = await keyOf(id);
      await setImage(person, group, { imageAttachmentId: id });
      const { id: unused } = await upload(node.url, person, picture, { kind: 'IMAGE' });
      const unusedKey = await keyOf(unused);
      await attempt(person, 'deleteAccount', { password: person.password });
      await untilDeleted(unusedKey);
      const { conversation } = await setImage(bob, group, { title: 'Still here' });
      expect(conversation.image.id).toBe(id);
      expect((await fetchPicture(conversation.imageUrl)).status).toBe(200);
      expect((await setImage(bob, group, { imageUrl: null })).conversation).toMatchObject({
        imageUrl: null,
        image: null,
      });
      await untilDeleted(key);
    });
  });
});
