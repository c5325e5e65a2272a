import { createCipheriv, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import { decodeGlobalId } from '../../src/core/ids.js';
import type { RunningNode } from '../../src/server/start.js';
import { connectInTest, eventually, type Json, listen, type Person, registerAll } from '../support/client.js';
import {
  bytes,
  call,
  commit,
  enable,
  findContradictions,
  groupOf,
  must,
  registerDevice,
  sendSealed,
  startGroup,
  type TestDevice,
} from '../support/encryption.js';
import { createUpload, putPart } from '../support/media.js';
import { untilNotified } from '../support/notifier.js';
import { inOneMode, makePlace, modes, startTwo } from '../support/place.js';
import { createGroup, openDirect, send } from '../support/talk.js';

const rowOf = (id: string) => decodeGlobalId(id, 'id').id;
const SHOWN = 'id text encrypted { content epoch }';

/** Encrypts a text with a new key, as devices do. */
function seal(text: string): string {
  const cipher = createCipheriv('aes-128-gcm', randomBytes(16), randomBytes(12));
  return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]).toString('base64url');
}

/**
 * Calls `onText` with everything that clients send to Redis, until the connection is destroyed. The MONITOR of ioredis throws
 * an exception if other clients are so busy that lines arrive together with the response.
 */
async function watchRedis(url: string, onText: (text: string) => void): Promise<Socket> {
  const { hostname, port, username, password } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port || 6379) });
  socket.setEncoding('latin1');
  await once(socket, 'connect');
  if (password) socket.write(`AUTH ${[username, password].filter(Boolean).map(decodeURIComponent).join(' ')}\r\n`);
  socket.write('MONITOR\r\n');
  const started = once(socket, 'data');
  socket.on('data', onText);
  expect((await started)[0]).toMatch(/^\+OK/);
  return socket;
}

/** A text as MONITOR shows it. */
const escaped = (text: string) => [...Buffer.from(text)].map((byte) => `\\x${byte.toString(16)}`).join('');

/** Everything that the database contains, as one text. */
async function dump({ deps }: RunningNode): Promise<string> {
  const { db } = deps.database;
  const tables = await db.$queryRaw<{ name: string }[]>`
    SELECT quote_ident(relname) AS name FROM pg_class
    WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace`;
  let all = '';
  for (const { name } of tables) {
    const rows = await db.$queryRawUnsafe<{ row: string }[]>(`SELECT to_json(t.*)::text AS row FROM ${name} t`);
    all += rows.map(({ row }) => row).join('\n');
  }
  return all;
}

describe.each(modes)('what the server does with encrypted conversations in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  let ana: Person;
  let bob: Person;
  let carol: Person;
  let eve: Person;
  let anas: TestDevice;
  let bobs: TestDevice;
  beforeAll(async () => {
    const place = await makePlace(mode);
    [node, other] = await startTwo(place, { SYSTEM_MESSAGES: 'on' });
    [ana, bob, carol, eve] = await registerAll(node.url, 'ana', 'bob', 'carol', 'eve');
    [anas, bobs] = [await registerDevice(ana), await registerDevice(bob)];
  });

  async function encrypted(people = [bob], devices: [TestDevice, ...TestDevice[]] = [anas, bobs]): Promise<string> {
    const id = await createGroup(ana, people);
    await enable(ana, id);
    await startGroup(id, devices);
    return id;
  }

  it('keeps texts out of the database and out of Redis', async () => {
    const canary = `canary${randomUUID().replaceAll('-', '')}`;
    // A text can be divided into several parts.
    const parts: string[] = [];
    const traffic = () => parts.join('');
    if (mode === 'postgresql') {
      const watching = await watchRedis(inject('services')?.redisUrl ?? '', (text) => parts.push(text));
      onTestFinished(() => void watching.destroy());
    }
    const group = await encrypted();
    const content = seal(`${canary}, and more`);
    const stream = listen(
      connectInTest(other.url, bob.token),
      `subscription ($id: ID!) { messages(conversationId: $id) { type message { ${SHOWN} } } }`,
      { id: group },
    );
    await stream.until(({ type }) => type === 'CAUGHT_UP');
    const { id } = await sendSealed(anas, group, 1, { content });
    await stream.until(({ message }) => message?.encrypted?.content === content);
    const { id: earlier } = await send(ana, await createGroup(ana, [bob]), 'plain');
    // Each way in which a client could give a text to the server by mistake.
    for (const [mutation, input] of [
      ['sendMessage', { conversationId: group, text: canary }],
      ['sendMessage', { conversationId: group, text: canary, replyToId: id }],
      [
        'sendMessage',
        { conversationId: group, text: canary, encrypted: { generation: 1, epoch: 1, deviceId: anas.id, content } },
      ],
      ['editMessage', { messageId: id, text: canary }],
      ['saveDraft', { conversationId: group, text: canary }],
    ] as const) {
      expect(await call(ana, mutation, input), mutation).toMatch(/^(?:CONFLICT ENCRYPTED|BAD_USER_INPUT) input\.text$/);
    }
    // An emoji that no other test uses, and one in plain text.
    const emoji = '🪿';
    expect(await call(bob, 'addReaction', { messageId: id, emoji })).toBe('CONFLICT ENCRYPTED input.emoji');
    await must(bob, 'removeReaction', { messageId: id, emoji });
    const sealedEmoji = bytes(63);
    await must(bob, 'addReaction', { messageId: id, emoji: sealedEmoji });
    await must(bob, 'addReaction', { messageId: earlier, emoji: '🦫' });
    await stream.until(({ type }) => type === 'REACTED');
    await untilNotified(node);
    const stored = await dump(node);
    const hex = Buffer.from(content, 'base64url').toString('hex');
    // The search finds what is there.
    expect(stored).toContain(hex);
    expect(stored).toContain(rowOf(earlier));
    for (const reaction of [sealedEmoji, '🦫']) expect(stored).toContain(reaction);
    if (mode === 'postgresql') {
      await eventually('Redis has passed on the message', () => traffic().includes(content));
      await eventually('Redis has passed on the reactions', () =>
        [sealedEmoji, escaped('🦫')].every((reaction) => traffic().includes(reaction)),
      );
    }
    for (const form of [
      ...[emoji, escaped(emoji)],
      canary,
      Buffer.from(canary).toString('base64url').slice(0, -2),
      Buffer.from(canary).toString('hex'),
    ]) {
      expect(stored.includes(form)).toBe(false);
      expect(traffic()).not.toContain(form);
    }
  });

  itOnce('refuses to summarize, finds nothing in a search, and lists no earlier texts', async () => {
    const group = await createGroup(ana, [bob]);
    await send(ana, group, 'the aardvark from before');
    await enable(ana, group);
    await startGroup(group, [anas, bobs]);
    const { id } = await sendSealed(anas, group, 1, { content: seal('an aardvark') });
    const encryptedContent = { generation: 1, epoch: 1, deviceId: anas.id, content: seal('another aardvark') };
    await must(ana, 'editMessage', { messageId: id, encrypted: encryptedContent });
    expect(await call(bob, 'summarizeConversation', { conversationId: group, fromSeq: 1 })).toBe(
      'FORBIDDEN ENCRYPTED input.conversationId',
    );
    const found = await bob.ask(
      'query ($id: ID!) { searchMessages(query: "aardvark", conversationId: $id) { nodes { text } } }',
      { id: group },
    );
    expect(found.searchMessages.nodes.map(({ text }: Json) => text)).toEqual(['the aardvark from before']);
    const { node: message } = await bob.ask(
      'query ($id: ID!) { node(id: $id) { ... on Message { edits { nodes { text } } } } }',
      {
        id,
      },
    );
    expect(message.edits.nodes).toEqual([]);
  });

  it('encrypts an edit of an earlier message, whose text remains among the earlier ones', async () => {
    const group = await createGroup(ana, [bob]);
    const { id } = await send(ana, group, 'readable');
    await enable(ana, group);
    await startGroup(group, [anas, bobs]);
    const content = bytes();
    const input = { messageId: id, encrypted: { generation: 1, epoch: 1, deviceId: anas.id, content } };
    const { message } = await must(ana, 'editMessage', input, `message { ${SHOWN} edits { nodes { text } } }`);
    expect(message).toEqual({
      id,
      text: null,
      encrypted: { content, epoch: 1 },
      edits: { nodes: [{ text: 'readable' }] },
    });
  });

  it('shows encrypted messages that are answered, pinned and mentioned in', async () => {
    const group = await encrypted();
    const content = bytes();
    const { id } = await sendSealed(anas, group, 1, { content, encrypted: { mentionedIds: [bob.id] } });
    await sendSealed(bobs, group, 1, { replyToId: id });
    await must(ana, 'pinMessage', { messageId: id });
    await untilNotified(node);
    const seen = await bob.ask(
      `query ($id: ID!) {
        conversation(id: $id) { pinnedMessages { ${SHOWN} } lastMessage { replyTo { ${SHOWN} } } }
        viewer { notifications(first: 1) { nodes { kind message { ${SHOWN} } } } }
      }`,
      { id: group },
    );
    const shown = { id, text: null, encrypted: { content, epoch: 1 } };
    expect(seen.conversation).toEqual({ pinnedMessages: [shown], lastMessage: { replyTo: shown } });
    expect(seen.viewer.notifications.nodes).toEqual([{ kind: 'MENTION', message: shown }]);
  });

  itOnce('accepts attachments only as files', async () => {
    const group = await encrypted();
    const upload = async (kind: string) => {
      const file = Buffer.from(`opaque bytes of a ${kind}`);
      const { attachment, missingParts } = await createUpload(ana, file, {
        clientUploadId: randomUUID(),
        kind,
        filename: 'a.bin',
        byteSize: file.length,
      });
      await putPart(node.url, file, missingParts[0]);
      await must(ana, 'completeUpload', { attachmentId: attachment.id });
      return attachment.id as string;
    };
    const [file, image] = [await upload('FILE'), await upload('IMAGE')];
    expect(await call(ana, 'sendMessage', { conversationId: group, attachmentIds: [file] })).toBe(
      'CONFLICT ENCRYPTED input.text',
    );
    expect(await sendSealed(anas, group, 1, { attachmentIds: [image] })).toBe('BAD_USER_INPUT input.attachmentIds.0');
    expect(await sendSealed(anas, group, 1, { attachmentIds: [file] })).toMatchObject({ text: null });
  });

  itOnce('answers to statuses with encrypted messages', async () => {
    const [one, two] = await registerAll(node.url, 'one', 'two');
    await must(one, 'addContact', { userId: two.id });
    await must(two, 'addContact', { userId: one.id });
    const device = await registerDevice(one);
    const direct = await openDirect(one, two);
    await enable(one, direct);
    await startGroup(direct, [device]);
    const { status } = await must(two, 'postStatus', { clientStatusId: 'a', text: 'my day' }, 'status { id }');
    const sent = await sendSealed(device, direct, 1, { replyToStatusId: status.id });
    expect(sent).toMatchObject({ text: null, encrypted: { epoch: 1 } });
  });

  it('shows the group to members only, and sealed keys and welcomes to their user only', async () => {
    const group = await createGroup(ana, [bob, carol]);
    await enable(ana, group);
    await must(ana, 'commitGroup', {
      conversationId: group,
      deviceId: anas.id,
      generation: 1,
      epoch: 0,
      commit: bytes(),
      groupInfo: bytes(),
      addedDeviceIds: [bobs.id],
      welcomes: [{ deviceId: bobs.id, welcome: bytes() }],
      sealedKeys: [{ userId: bob.id, epoch: 1, sealed: bytes() }],
    });
    const seenBy = async (person: Person) => {
      const { conversation } = await person.ask(
        `query ($id: ID!, $device: ID!) { conversation(id: $id) { encryptionGroup {
          epoch welcome(deviceId: $device) sealedKeys { nodes { epoch } } commits { nodes { epoch } }
        } } }`,
        { id: group, device: bobs.id },
      );
      const own = conversation?.encryptionGroup;
      return own && [own.epoch, own.welcome !== null, own.sealedKeys.nodes.length, own.commits.nodes.length];
    };
    expect(await seenBy(bob)).toEqual([1, true, 1, 1]);
    expect(await seenBy(ana)).toEqual([1, false, 0, 1]);
    expect(await seenBy(carol)).toEqual([1, false, 0, 1]);
    expect(await seenBy(eve)).toBeUndefined();
    await must(ana, 'removeMember', { conversationId: group, userId: bob.id });
    expect(await seenBy(bob)).toBeUndefined();
    const stream = listen(
      connectInTest(other.url, bob.token),
      'subscription { messages { type commit { epoch } message { conversation { id } } } }',
    );
    await stream.until(({ type }) => type === 'CAUGHT_UP');
    await commit(anas, group, 1, { removedDeviceIds: [bobs.id] });
    await sendSealed(anas, group, 2);
    const own = await encrypted();
    await stream.until(({ message, commit: c }) => c?.epoch === 0 && message === null);
    await sendSealed(anas, own, 1);
    await stream.until(({ message }) => message?.conversation.id === own);
    expect(stream.events.filter(({ message }) => message?.conversation.id === group)).toEqual([]);
    expect(stream.events.filter(({ commit: c }) => c?.epoch === 1)).toEqual([]);
  });

  itOnce('limits the key packages that a user claims, and the commits that a user makes', async () => {
    const limited = await (await makePlace(mode)).start({
      RATE_LIMITS: 'on',
      RATE_CLAIM_PER_PERSON: '3/1h',
      RATE_COMMIT_PER_PERSON: '2/1h',
    });
    const [one, two] = await registerAll(limited.url, 'one', 'two');
    const devices = [await registerDevice(two), await registerDevice(two)];
    const input = { conversationId: await openDirect(one, two), deviceIds: devices.map(({ id }) => id) };
    await enable(one, input.conversationId);
    expect(await call(one, 'claimKeyPackages', input)).toEqual({ __typename: 'ClaimKeyPackagesPayload' });
    expect(await call(one, 'claimKeyPackages', input)).toBe('RATE_LIMITED');
    expect(await call(two, 'claimKeyPackages', input)).toEqual({ __typename: 'ClaimKeyPackagesPayload' });
    const { conversationId } = input;
    await enable(one, conversationId);
    const device = await registerDevice(one);
    const outcomes = [];
    for (let epoch = 0; epoch < 3; epoch += 1) outcomes.push(await commit(device, conversationId, epoch));
    expect(outcomes.map((outcome) => (typeof outcome === 'string' ? outcome : outcome.commit.epoch))).toEqual([
      0,
      1,
      'RATE_LIMITED',
    ]);
  });

  it('clears encrypted content that a node of an older release deletes, and forgets the keys of deleted accounts', async () => {
    const [gone] = await registerAll(node.url, 'gone');
    const device = await registerDevice(gone, { name: 'A phone' });
    await must(gone, 'setAccountKeys', {
      identityKey: bytes(),
      historyKey: bytes(),
      signature: bytes(),
      vault: bytes(),
    });
    const group = await encrypted([bob, gone], [anas, device]);
    const { id } = await sendSealed(device, group, 1);
    await must(gone, 'publishKeyPackages', { deviceId: device.id, keyPackages: [bytes()], lastResort: bytes() });
    const { db } = node.deps.database;
    const counts = async () => {
      const [row] = await db.$queryRaw<[Json]>`
        SELECT (SELECT count(*)::int FROM devices WHERE user_id = ${rowOf(gone.id)}::uuid AND ended_at IS NULL) AS active,
               (SELECT count(*)::int FROM devices WHERE user_id = ${rowOf(gone.id)}::uuid AND name IS NOT NULL) AS named,
               (SELECT count(*)::int FROM key_packages WHERE device_id = ${rowOf(device.id)}::uuid) AS packages,
               (SELECT count(*)::int FROM account_keys WHERE user_id = ${rowOf(gone.id)}::uuid) AS keys`;
      return row;
    };
    expect(await counts()).toEqual({ active: 1, named: 1, packages: 2, keys: 1 });
    await must(gone, 'deleteAccount', { password: gone.password });
    expect(await counts()).toEqual({ active: 0, named: 0, packages: 0, keys: 0 });
    expect((await groupOf(ana, group)).devicesToRemove).toEqual([{ id: device.id }]);
    const read = async () =>
      (await ana.ask('query ($id: ID!) { node(id: $id) { ... on Message { encrypted { device { id } } } } }', { id }))
        .node.encrypted;
    expect(await read()).toEqual({ device: { id: device.id } });
    await db.$executeRaw`UPDATE messages SET deleted_at = clock_timestamp() WHERE id = ${rowOf(id)}::uuid`;
    expect(await read()).toBeNull();
    expect(await findContradictions(db)).toEqual([]);
  });
});
