import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { badInput, ChatError } from '../../src/core/errors.js';
import { newId } from '../../src/core/ids.js';
import { createAccountErasureJob, erasureSteps } from '../../src/domain/account/erasures.js';
import { editMessage } from '../../src/domain/edit/edit.service.js';
import { createGroup } from '../../src/domain/group/group.service.js';
import { changeMessage } from '../../src/domain/message/message.change.js';
import { contributionErasure } from '../../src/domain/message/message.erasure.js';
import type { FullMessage } from '../../src/domain/message/message.events.js';
import { defineMessageChangeType, defineMessagePart, messageParts } from '../../src/domain/message/message.part.js';
import {
  deleteMessage,
  type MessageEvent,
  sendMessage,
  streamMessages,
} from '../../src/domain/message/message.service.js';
import { Prisma } from '../../src/generated/prisma/client.js';
import type { Deps } from '../../src/platform/deps.js';
import { defineFeature } from '../../src/platform/feature.js';
import { createServices } from '../../src/platform/service.js';
import type { Viewer } from '../../src/platform/viewer.js';
import { eventually } from '../support/client.js';
import { inOneMode, makePlace, modes } from '../support/place.js';

// A message part that only this file defines: a message can have a label, which others can endorse. The feature
// `message` is not changed for it.

interface Labelled {
  label: string | null;
  endorsements: number;
}
declare module '../../src/domain/message/message.part.js' {
  interface MessageParts {
    label: Labelled;
  }
  interface SendMessageInput {
    label?: string | null | undefined;
  }
}

const endorsed = defineMessageChangeType('ENDORSED', 'The label was endorsed.');
/** How often `begin` was called, and for how many messages. */
const begun: number[] = [];

const labelPart = defineMessagePart('label', {
  changes: [endorsed],
  loaded: {
    version: 1,
    empty: { label: null, endorsements: 0 },
    async load(db, messages) {
      const rows = await db.$queryRaw<(Labelled & { id: string })[]>`
        SELECT message_id::text AS id, label,
               (SELECT count(*)::int FROM test_endorsements e WHERE e.message_id = l.message_id) AS endorsements
        FROM test_labels l WHERE message_id = ANY (${messages.map(({ id }) => id)}::uuid[])`;
      const byId = new Map(rows.map(({ id, ...value }) => [id, value]));
      return messages.map(({ id }) => byId.get(id) ?? { label: null, endorsements: 0 });
    },
  },
  sent: {
    read(_deps, { label }): string | undefined {
      if (label == null) return undefined;
      if (label === '') throw badInput('input.label', 'A label must not be empty.');
      return label;
    },
    replacesText: true,
    identify: (label) => ['label', label],
    begin(_sql, sent) {
      begun.push(sent.length);
      return {
        check({ given }, { sender }) {
          if (given === 'official' && sender.role !== 'OWNER') {
            throw new ChatError('FORBIDDEN', 'Only owners can do this.', { field: 'input.label' });
          }
        },
        attach({ given }) {
          if (given === 'broken') throw new Error('attach failed');
          return { value: { label: given, endorsements: 0 } };
        },
      };
    },
    async store(sql, sent) {
      await sql.query(Prisma.sql`
        INSERT INTO test_labels (message_id, label)
        SELECT * FROM unnest(${sent.map(({ message }) => message.id)}::uuid[], ${sent.map(({ given }) => given)}::text[])`);
    },
  },
  contributions: {
    change: endorsed,
    messageIdsOf: (userId) => Prisma.sql`SELECT message_id FROM test_endorsements WHERE user_id = ${userId}::uuid`,
    async remove(tx, userId, messageIds) {
      await tx.$executeRaw`
        DELETE FROM test_endorsements WHERE user_id = ${userId}::uuid AND message_id = ANY (${messageIds}::uuid[])`;
    },
  },
  async clear(tx, messageIds) {
    await tx.$executeRaw`DELETE FROM test_labels WHERE message_id = ANY (${messageIds}::uuid[])`;
  },
});

/** Derives the value of a column that only this file defines; long texts take longer. */
const lengthPart = defineMessagePart('length', {
  column: {
    name: 'test_length',
    type: 'int',
    derive: (_deps, text): number | Promise<number> =>
      text.length < 10 ? text.length : Promise.resolve().then(() => text.length),
    valueOf({ text }, length) {
      if (text === 'broken') throw new Error('valueOf failed');
      return length === 1 ? '' : `${length}`;
    },
  },
});

const endorse = (deps: Deps, viewer: Viewer, messageId: string) =>
  changeMessage(deps, viewer, messageId, endorsed, async ({ tx, message }) => {
    await tx.$executeRaw`
      INSERT INTO test_endorsements (message_id, user_id) VALUES (${messageId}::uuid, ${viewer.userId}::uuid)`;
    return message;
  });

/** A user with a session: streams end without one. */
async function register({ database: { db } }: Deps): Promise<Viewer> {
  const [userId, sessionId, expiresAt] = [newId(), newId(), new Date(Date.now() + 3_600_000)];
  await db.user.create({ data: { id: userId, username: userId, usernameKey: userId, displayName: 'x' } });
  const none = new Uint8Array();
  await db.session.create({
    data: { id: sessionId, userId, expiresAt, refreshFamilyHash: none, refreshHash: none },
  });
  return { userId, sessionId, expiresAt };
}

describe.each(modes)('a message part in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let deps: Deps;
  let owner: Viewer;
  let member: Viewer;
  let conversationId: string;
  beforeAll(async () => {
    const node = await (await makePlace(mode)).start({ DELETED_ACCOUNT_MESSAGES: 'delete' });
    const feature = defineFeature('label', {
      contributes: [messageParts.with(labelPart), messageParts.with(lengthPart)],
    });
    const services = createServices(() => deps);
    deps = { ...node.deps, features: [...node.deps.features, feature], services };
    const { db } = deps.database;
    await db.$executeRaw`
      CREATE TABLE test_labels (message_id uuid PRIMARY KEY REFERENCES messages ON DELETE CASCADE, label varchar(8))`;
    await db.$executeRaw`
      CREATE TABLE test_endorsements (message_id uuid REFERENCES test_labels ON DELETE CASCADE, user_id uuid)`;
    await db.$executeRaw`ALTER TABLE messages ADD COLUMN test_length int`;
    [owner, member] = [await register(deps), await register(deps)];
  });
  beforeEach(async () => {
    ({
      conversation: { id: conversationId },
    } = await createGroup(deps, owner, { title: 'x', memberIds: [member.userId] }));
    begun.length = 0;
  });

  const send = (viewer: Viewer, text: string | null, more: { label?: string; clientMessageId?: string } = {}) =>
    sendMessage(deps, viewer, { conversationId, text, ...more }) as Promise<FullMessage>;
  const labels = async () => {
    const { db } = deps.database;
    const messages = await db.message.findMany({ where: { conversationId, kind: 'USER' }, orderBy: { seq: 'asc' } });
    const parts = await messageParts.of(deps).load(db, messages);
    return messages.map(({ text }, index) => [text, parts[index]?.label.label]);
  };
  /** Requests the erasure of an account, and resolves when it is done. */
  async function eraseAccount({ userId }: Viewer): Promise<void> {
    const { db } = deps.database;
    await db.erasure.create({ data: { userId } });
    const erasures = createAccountErasureJob(deps);
    onTestFinished(() => erasures.close());
    await eventually('the erasure is done', async () => (await db.erasure.count({ where: { userId } })) === 0);
  }
  const failure = (sent: Promise<unknown>) =>
    sent.then(
      () => 'sent',
      ({ code, field }: ChatError) => `${code} ${field}`,
    );

  it('is stored with the message and returned, without statements for messages that lack it', async () => {
    const [first, plain, second] = await Promise.all([
      send(owner, 'one', { label: 'red' }),
      send(member, 'two'),
      send(owner, 'three', { label: 'blue' }),
    ]);
    expect(first?.parts).toMatchObject({ label: { label: 'red', endorsements: 0 }, replyCount: 0 });
    expect(plain?.parts).toMatchObject({ label: { label: null, endorsements: 0 }, quote: null });
    expect(second?.parts?.label.label).toBe('blue');
    expect(await labels()).toEqual([
      ['one', 'red'],
      ['two', null],
      ['three', 'blue'],
    ]);
    const before = begun.length;
    await send(owner, 'plain');
    expect(begun.length).toBe(before);
    expect(begun.reduce((sum, count) => sum + count, 0)).toBe(2);
  });

  itOnce('can reject a message with its field, which then gets no number', async () => {
    expect(await failure(send(member, 'x', { label: '' }))).toBe('BAD_USER_INPUT input.label');
    const [refused, before] = await Promise.all([
      failure(send(member, 'refused', { label: 'official' })),
      send(owner, 'allowed', { label: 'official' }),
    ]);
    expect(refused).toBe('FORBIDDEN input.label');
    expect((await send(owner, 'next')).seq).toBe(before.seq + 1);
    expect(await labels()).toEqual([
      ['allowed', 'official'],
      ['next', null],
    ]);
  });

  itOnce.each([
    ['attached', 'text', 'broken', 'attach failed'],
    ['derived', 'broken', 'red', 'valueOf failed'],
  ])('fails only its own message, which gets no number, if it cannot be %s', async (_step, text, label, message) => {
    const { db } = deps.database;
    const before = await db.conversation.findUniqueOrThrow({ where: { id: conversationId } });
    const [failed, sent] = await Promise.allSettled([
      send(owner, text, { label }),
      send(owner, 'sent', { label: 'blue' }),
    ]);
    // One call of `begin`: both messages were in one batch.
    expect(begun).toEqual([2]);
    expect(failed).toMatchObject({ status: 'rejected', reason: { message } });
    expect(sent).toMatchObject({ status: 'fulfilled', value: { seq: before.latestSeq + 1 } });
    await send(owner, 'next');
    const messages = await db.message.findMany({ where: { conversationId }, orderBy: { seq: 'asc' } });
    const changes = await db.change.findMany({ where: { conversationId }, orderBy: { changeSeq: 'asc' } });
    const after = await db.conversation.findUniqueOrThrow({ where: { id: conversationId } });
    expect([after.latestSeq, after.changeSeq]).toEqual([before.latestSeq + 2, before.changeSeq + 2]);
    expect(messages.map(({ seq }) => seq)).toEqual(messages.map((_, index) => index + 1));
    expect(changes.map(({ changeSeq }) => changeSeq)).toEqual(changes.map((_, index) => index + 1));
    expect([messages.at(-1)?.seq, changes.at(-1)?.changeSeq]).toEqual([after.latestSeq, after.changeSeq]);
  });

  itOnce('fails only its own message if it cannot be stored', async () => {
    const [long, other] = await Promise.all([
      failure(send(owner, 'too long', { label: 'longer than eight' })),
      failure(send(owner, 'other', { label: 'short' })),
    ]);
    expect([long, other]).toEqual(['22001 undefined', 'sent']);
    expect(await labels()).toEqual([['other', 'short']]);
  });

  itOnce('can replace the text of its message', async () => {
    expect(await failure(send(owner, null))).toBe('BAD_USER_INPUT input.text');
    expect(await failure(send(owner, ' ', { label: 'red' }))).toBe('BAD_USER_INPUT input.text');
    const { id, text } = await send(owner, null, { label: 'red' });
    expect(text).toBeNull();
    expect(await labels()).toEqual([[null, 'red']]);
    const [row] = await deps.database.db.$queryRaw<[{ indexed: boolean }]>`
      SELECT search IS NOT NULL AS indexed FROM messages WHERE id = ${id}::uuid`;
    // Searches find it by its sender.
    expect(row.indexed).toBe(true);
    await editMessage(deps, owner, { messageId: id, text: 'a text' });
    expect(await labels()).toEqual([['a text', 'red']]);
  });

  itOnce('is part of the input that a clientMessageId identifies', async () => {
    const clientMessageId = newId();
    const first = await send(owner, 'one', { label: 'red', clientMessageId });
    expect((await send(owner, 'one', { label: 'red', clientMessageId })).id).toBe(first.id);
    for (const more of [{ label: 'blue' }, {}]) {
      expect(await failure(send(owner, 'one', { ...more, clientMessageId }))).toBe('CONFLICT input.clientMessageId');
    }
    expect(await labels()).toEqual([['one', 'red']]);
  });

  it('records its own changes, which are delivered with its value', async () => {
    const { id } = await send(owner, 'one', { label: 'red' });
    const stream = await streamMessages(deps, owner, {}, { conversationId, after: null });
    onTestFinished(async () => void (await stream.return?.()));
    const events: MessageEvent[] = [];
    void (async () => {
      for await (const event of stream) events.push(event);
    })();
    expect((await endorse(deps, member, id)).parts?.label).toEqual({ label: 'red', endorsements: 1 });
    const isEndorsed = ({ type }: MessageEvent) => type === 'ENDORSED';
    await eventually('the event', () => events.some(isEndorsed));
    const event = events.find(isEndorsed);
    expect(event).toMatchObject({ change: { data: { message: { id, parts: { label: { endorsements: 1 } } } } } });
  });

  itOnce('is cleared when its message is deleted', async () => {
    const { id } = await send(owner, 'one', { label: 'red' });
    const deleted = (await deleteMessage(deps, owner, id)) as FullMessage;
    expect(deleted.parts?.label).toEqual({ label: null, endorsements: 0 });
    expect(await labels()).toEqual([[null, null]]);
  });

  it('loses the contributions of a deleted account, with one change per message', async () => {
    const gone = await register(deps);
    ({
      conversation: { id: conversationId },
    } = await createGroup(deps, owner, { title: 'x', memberIds: [gone.userId] }));
    const ids = [await send(owner, 'one', { label: 'red' }), await send(owner, 'two', { label: 'blue' })].map(
      ({ id }) => id,
    );
    for (const id of ids) await endorse(deps, gone, id);
    await endorse(deps, owner, ids[0] as string);
    expect(erasureSteps.of(deps)).toContain(contributionErasure);
    await eraseAccount(gone);
    const { db } = deps.database;
    const messages = await db.message.findMany({ where: { id: { in: ids } }, orderBy: { seq: 'asc' } });
    const parts = await messageParts.of(deps).load(db, messages);
    expect(parts.map(({ label }) => label.endorsements)).toEqual([1, 0]);
    const changes = await db.change.findMany({ where: { conversationId }, orderBy: { changeSeq: 'asc' } });
    const own = changes.filter(({ type, actorId }) => type === endorsed.type && actorId === gone.userId);
    expect(own.map(({ messageId }) => messageId)).toEqual([...ids, ...ids]);
  });

  describe('can store a column that is derived from the text', () => {
    const lengthOf = async ({ id }: { id: string }) => {
      const [row] = await deps.database.db.$queryRaw<[{ length: number | null; indexed: boolean }]>`
        SELECT test_length AS length, search IS NOT NULL AS indexed FROM messages WHERE id = ${id}::uuid`;
      return [row.length, row.indexed];
    };

    it('which changes when the message is edited', async () => {
      const sent = await Promise.all([send(owner, 'short'), send(owner, 'a longer text'), send(owner, 'x')]);
      expect(await Promise.all(sent.map(lengthOf))).toEqual([
        [5, true],
        [13, true],
        [null, true],
      ]);
      await editMessage(deps, owner, { messageId: sent[0].id, text: 'longer than before' });
      expect(await lengthOf(sent[0])).toEqual([18, true]);
    });

    itOnce('which is null after the message is deleted', async () => {
      const [deleted, other] = [await send(owner, 'short'), await send(owner, 'other')];
      await deleteMessage(deps, owner, deleted.id);
      expect(await lengthOf(deleted)).toEqual([null, false]);
      expect(await lengthOf(other)).toEqual([5, true]);
    });

    itOnce('which is null after the account is erased', async () => {
      const gone = await register(deps);
      ({
        conversation: { id: conversationId },
      } = await createGroup(deps, owner, { title: 'x', memberIds: [gone.userId] }));
      const erased = [await send(gone, 'short'), await send(gone, 'a longer text')];
      const other = await send(owner, 'other');
      await eraseAccount(gone);
      expect(await Promise.all(erased.map(lengthOf))).toEqual([
        [null, false],
        [null, false],
      ]);
      expect(await lengthOf(other)).toEqual([5, true]);
    });
  });
});

describe('message parts', () => {
  const combined = (...parts: ReturnType<typeof defineMessagePart>[]) =>
    messageParts.of({
      features: [defineFeature('test', { contributes: parts.map((part) => messageParts.with(part)) })],
    });

  it('derive columns synchronously unless one of them returns a promise', async () => {
    const parts = combined(lengthPart);
    expect(parts.derive({} as Deps, 'short')).toEqual([5]);
    const slow = parts.derive({} as Deps, 'a longer text');
    expect(slow).toBeInstanceOf(Promise);
    expect(await slow).toEqual([13]);
  });

  it('must have unique names and change types', () => {
    expect(() => combined(labelPart, labelPart)).toThrow('Two message parts define label');
    const other = defineMessagePart('other', { changes: [endorsed] });
    expect(() => combined(labelPart, other)).toThrow('Two message parts define MESSAGE_ENDORSED');
  });

  it('must load the values that they declare', () => {
    // @ts-expect-error: MessageParts declares a value.
    defineMessagePart('label', {});
    // @ts-expect-error: a value of another type.
    defineMessagePart('label', { loaded: { version: 1, empty: 'red', load: async () => [] } });
    // @ts-expect-error: MessageParts declares no value.
    defineMessagePart('undeclared', { loaded: { version: 1, empty: null, load: async () => [] } });
  });
});
