import pg from 'pg';
import { afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { ChatError } from '../../src/core/errors.js';
import { newId } from '../../src/core/ids.js';
import { openDirectConversation } from '../../src/domain/conversation/conversation.service.js';
import { createGroup } from '../../src/domain/group/group.service.js';
import type { MessageChanged } from '../../src/domain/message/message.events.js';
import { sendMessage } from '../../src/domain/message/message.service.js';
import { Prisma } from '../../src/generated/prisma/client.js';
import type { Deps } from '../../src/platform/deps.js';
import type { Viewer } from '../../src/platform/viewer.js';
import type { Change } from '../../src/realtime/change.js';
import { eventually } from '../support/client.js';
import { inOneMode, makePlace, modes, type Place } from '../support/place.js';

const range = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

describe.each(modes)('concurrent sends in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let place: Place;
  let deps: Deps;
  let alice: Viewer;
  let bob: Viewer;
  let carol: Viewer;
  beforeAll(async () => {
    place = await makePlace(mode);
    ({ deps } = await place.start({ SWEEP_INTERVAL: '1h' }));
    [alice, bob, carol] = (await makePeople(deps, 3)) as [Viewer, Viewer, Viewer];
  });
  afterEach(() => void vi.restoreAllMocks());

  const group = async (...members: Viewer[]) =>
    (await createGroup(deps, alice, { title: 'x', memberIds: members.map(({ userId }) => userId) })).conversation.id;
  const send = (viewer: Viewer, conversationId: string, text: string, clientMessageId?: string) =>
    sendMessage(deps, viewer, { conversationId, text, clientMessageId });
  const codeOf = (error: unknown) => {
    const { code, field } = error as ChatError;
    return `${code} ${field}`;
  };

  /** The stored rows of conversations, after checking that neither seqs nor changes have gaps. */
  async function stored(...ids: string[]) {
    const { db } = deps.database;
    for (const id of ids) {
      const conversation = await db.conversation.findUniqueOrThrow({ where: { id } });
      const messages = await db.message.findMany({ where: { conversationId: id }, orderBy: { seq: 'asc' } });
      const changes = await db.change.findMany({ where: { conversationId: id }, orderBy: { changeSeq: 'asc' } });
      expect(messages.map(({ seq }) => seq)).toEqual(range(conversation.latestSeq));
      expect(changes.map(({ changeSeq }) => changeSeq)).toEqual(range(conversation.changeSeq));
      const sent = changes.filter(({ type }) => type === 'MESSAGE_SENT');
      expect(sent.map(({ messageId, actorId }) => [messageId, actorId])).toEqual(
        messages.map((message) => [message.id, message.senderId]),
      );
      expect(conversation.lastActivityAt.getTime()).toBe(messages.at(-1)?.createdAt.getTime());
    }
    return db.message.findMany({
      where: { conversationId: { in: ids } },
      orderBy: [{ conversationId: 'asc' }, { seq: 'asc' }],
    });
  }

  /** How many transactions stored the messages of these conversations. */
  async function transactions(...ids: string[]): Promise<number> {
    const [row] = await deps.database.db.$queryRaw<{ count: number }[]>`
      SELECT count(DISTINCT xid)::int AS count FROM changes
      WHERE conversation_id = ANY (${ids}::uuid[]) AND type = 'MESSAGE_SENT'`;
    return row?.count ?? 0;
  }

  it('share transactions within and across conversations', async () => {
    const [hot, ...others] = await Promise.all(range(20).map(() => group(bob)));
    await Promise.all(range(50).map((index) => send(alice, hot as string, `${index}`)));
    expect(await transactions(hot as string)).toBeLessThanOrEqual(2);
    await Promise.all(others.flatMap((id) => [alice, bob].map((viewer) => send(viewer, id, 'spread', `key ${id}`))));
    expect(await transactions(...others)).toBeLessThanOrEqual(3);
    await stored(hot as string, ...others);
  });

  it('are numbered in the order of calls, also across batches', async () => {
    const ids = await Promise.all([group(), group(), group()]);
    const sending: Promise<{ seq: number; conversationId: string; createdAt: Date }>[] = [];
    for (const index of range(450)) {
      sending.push(send(alice, ids[index % 3] as string, `${index}`));
      // Some arrive while batches are in progress.
      if (index % 100 === 0) await sending[index - 50];
    }
    const answers = await Promise.all(sending);
    for (const id of ids) {
      const own = answers.filter(({ conversationId }) => conversationId === id);
      expect(own.map(({ seq }) => seq)).toEqual(range(150));
      const times = own.map(({ createdAt }) => createdAt.getTime());
      expect(times).toEqual([...times].sort((a, b) => a - b));
    }
    await stored(...ids);
  });

  itOnce('return and publish each message with the rows as of its commit', async () => {
    const id = await group(bob);
    const announced: Change<MessageChanged>[] = [];
    const stopListening = await deps.feed.listen({
      userId: bob.userId,
      conversationId: id,
      types: ['MESSAGE_SENT'],
      onChange: ({ change }) => void announced.push(change as Change<MessageChanged>),
      onProgress() {},
      onRemoved() {},
      onLost() {},
      onEnd() {},
    });
    onTestFinished(stopListening);
    const answers = await Promise.all(range(5).map((index) => send(bob, id, `${index}`, `rows ${index}`)));
    for (const [index, message] of answers.entries()) {
      const row = await deps.database.db.message.findUniqueOrThrow({
        where: { id: message.id },
        include: { sender: true },
      });
      expect(row.inputHash).toHaveLength(32);
      const conversation = { id, latestSeq: index + 1, changeSeq: index + 2, lastActivityAt: row.createdAt };
      expect(message).toMatchObject({ ...row, inputHash: null, text: `${index + 1}`, conversation });
      expect(announced[index]).toMatchObject({ conversationId: id, changeSeq: index + 2, messageId: row.id });
      expect(announced[index]?.data.message).toEqual(message);
    }
    const conversation = await deps.database.db.conversation.findUniqueOrThrow({ where: { id } });
    // Words serve only the search.
    expect(answers.at(-1)).toMatchObject({ conversation: { ...conversation, searchWords: [] } });
  });

  it('fail individually when rejected, and get no number', async () => {
    const [dave] = (await makePeople(deps, 1)) as [Viewer];
    const toDave = (await openDirectConversation(deps, alice, dave.userId)).conversation.id;
    const id = await group(bob);
    const open = (await createGroup(deps, alice, { title: 'x', visibility: 'PUBLIC' })).conversation.id;
    const before = await send(alice, id, 'before', 'used');
    await deps.database.db.user.update({ where: { id: dave.userId }, data: { deletedAt: new Date() } });
    const answers = await Promise.allSettled([
      send(alice, id, 'one'),
      send(carol, id, 'not a member'),
      send(bob, id, 'two'),
      send(alice, newId(), 'nowhere'),
      send(carol, open, 'not joined'),
      send(alice, toDave, 'to a deleted user'),
      send(alice, id, 'another text', 'used'),
      send(alice, newId(), 'before', 'used'),
      send(alice, id, 'before', 'used'),
      send(alice, id, 'three'),
    ]);
    const said = answers.map((answer) => (answer.status === 'fulfilled' ? answer.value.seq : codeOf(answer.reason)));
    expect(said).toEqual([
      2,
      'NOT_FOUND input.conversationId',
      3,
      'NOT_FOUND input.conversationId',
      'FORBIDDEN input.conversationId',
      'FORBIDDEN input.conversationId',
      'CONFLICT input.clientMessageId',
      'NOT_FOUND input.conversationId',
      before.seq,
      4,
    ]);
    expect((await stored(id)).map(({ text }) => text)).toEqual(['before', 'one', 'two', 'three']);
    expect(await transactions(id)).toBe(2);
  });

  it('recognize a key that occurs twice in one batch', async () => {
    const [one, other] = await Promise.all([group(bob), group(bob)]);
    const answers = await Promise.allSettled([
      send(carol, one, 'refused', 'double'),
      send(alice, one, 'first', 'double'),
      send(bob, one, 'first', 'double'),
      send(alice, one, 'first', 'double'),
      send(alice, one, 'another', 'double'),
      send(alice, other, 'first', 'double'),
      send(alice, one, 'last'),
    ]);
    const [, first, ofBob, again, another, elsewhere, last] = answers.map((answer) =>
      answer.status === 'fulfilled' ? answer.value : codeOf(answer.reason),
    );
    expect(again).toEqual(first);
    expect(ofBob).toMatchObject({ seq: 2, senderId: bob.userId });
    expect([another, elsewhere]).toEqual(['CONFLICT input.clientMessageId', 'CONFLICT input.clientMessageId']);
    expect(last).toMatchObject({ seq: 3 });
    expect((await stored(one)).map(({ text }) => text)).toEqual(['first', 'first', 'last']);
    expect(await transactions(one)).toBe(1);
  });

  it('are retried one by one after their batch was rolled back', async () => {
    const ids = await Promise.all([group(bob), group(bob)]);
    // An error that only the database detects: the rows of a batch are in one statement.
    await deps.database.db.$executeRaw`ALTER TABLE messages ADD CONSTRAINT no_poison CHECK (text <> 'poison')`;
    const answers = await Promise.allSettled(
      ids.flatMap((id) => ['one', 'poison', 'two'].map((text) => send(alice, id, text))),
    );
    await deps.database.db.$executeRaw`ALTER TABLE messages DROP CONSTRAINT no_poison`;
    expect(answers.map((answer) => (answer.status === 'fulfilled' ? answer.value.seq : 'failed'))).toEqual([
      1,
      'failed',
      2,
      1,
      'failed',
      2,
    ]);
    await stored(...ids);
  });

  itOnce('are authorized by data that was read under the lock', async () => {
    const id = await group(bob);
    await send(bob, id, 'in time');
    const { transaction } = deps.database.sql;
    const asked: number[] = [];
    vi.spyOn(deps.database.sql, 'transaction').mockImplementation((work) =>
      transaction((sql) => {
        let reads = 0;
        const index = asked.push(0) - 1;
        const { query } = sql;
        return work(
          Object.assign(sql, {
            async query<Row>(statement: Prisma.Sql) {
              const rows = await query<Row>(statement);
              reads += 1;
              asked[index] = reads;
              if (reads > 1) return rows;
              // As if Carol had been removed while this statement was waiting for the lock.
              return (rows as Record<string, unknown>[]).map((row) => ({
                ...row,
                'own.id': newId(),
                'user.id': carol.userId,
                readSeq: Number(row['readSeq']) - 1,
              })) as Row[];
            },
          }),
        );
      }),
    );
    const late = await send(carol, id, 'late').catch(codeOf);
    expect(late).toBe('NOT_FOUND input.conversationId');
    expect(asked).toEqual([2]);
    await stored(id);
  });

  itOnce('are not repeated if the result of their commit is unknown', async () => {
    const id = await group(bob);
    const { transaction } = deps.database.sql;
    let tries = 0;
    vi.spyOn(deps.database.sql, 'transaction').mockImplementation((work) =>
      transaction((sql) => {
        const { finish } = sql;
        return work(
          Object.assign(sql, {
            async finish(...statement: Parameters<typeof finish>) {
              tries += 1;
              await finish(...statement);
              // As when the connection broke before the commit was answered.
              throw new Error('no answer');
            },
          }),
        );
      }),
    );
    await expect(send(bob, id, 'once', 'of unknown fate')).rejects.toThrow('no answer');
    expect(tries).toBe(1);
    vi.restoreAllMocks();
    // With its key it can be sent again, whether it was stored or not.
    expect((await send(bob, id, 'once', 'of unknown fate')).seq).toBe(1);
    await stored(id);
  });

  describe.skipIf(mode === 'embedded')('while another transaction holds locks', () => {
    /** Runs `work` with an open transaction on another connection, which is closed afterwards. */
    async function whileForeign(work: (foreign: pg.Client) => Promise<void>): Promise<void> {
      const foreign = new pg.Client({ connectionString: place.env['DATABASE_URL'] });
      await foreign.connect();
      try {
        await foreign.query('BEGIN');
        await work(foreign);
      } finally {
        await foreign.end();
      }
    }
    it('scan no table, even with plans that were made for empty tables', async () => {
      const id = await group(bob);
      const scans: number[] = [];
      const { transaction } = deps.database.sql;
      vi.spyOn(deps.database.sql, 'transaction').mockImplementation((work, options) => {
        // The notifier, which may scan small tables, can run at the same time.
        if (options?.plans === 'any') return transaction(work, options);
        return transaction(async (sql) => {
          const count = async () => {
            const [row] = await sql.query<{ scans: number }>(
              Prisma.sql`SELECT sum(seq_scan)::int AS scans FROM pg_stat_xact_user_tables`,
            );
            return row?.scans ?? 0;
          };
          const before = await count();
          const finish: typeof sql.finish = async (...statement) => void (await sql.query(...statement));
          const done = await work(Object.assign(sql, { finish }));
          scans.push((await count()) - before);
          return done;
        }, options);
      });
      await send(bob, id, 'one', 'with a key');
      await Promise.all([send(alice, id, 'two'), send(bob, await group(bob), 'three', 'another')]);
      await send(bob, id, 'one', 'with a key');
      expect(scans.length).toBeGreaterThanOrEqual(3);
      expect(scans.filter((count) => count > 0)).toEqual([]);
    });

    const waitingForLocks = async () => {
      const rows = await deps.database.db.$queryRaw<unknown[]>`
        SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
      return rows.length;
    };

    it('wait for a locked conversation without delaying others, and are stored in order', async () => {
      const [locked, ...free] = await Promise.all(range(10).map(() => group()));
      await whileForeign(async (foreign) => {
        await foreign.query('SELECT FROM conversations WHERE id = $1 FOR UPDATE', [locked]);
        let through = 0;
        const late = range(30).map((index) =>
          send(alice, locked as string, `${index}`).finally(() => {
            through += 1;
          }),
        );
        for (const _round of range(3)) await Promise.all(free.map((id) => send(alice, id, 'at once')));
        await eventually('one waits', async () => (await waitingForLocks()) === 1);
        const later = range(30).map((index) => send(alice, locked as string, `${30 + index}`));
        await Promise.all(free.map((id) => send(alice, id, 'at once')));
        expect(through).toBe(0);
        await foreign.query('COMMIT');
        expect((await Promise.all([...late, ...later])).map(({ seq }) => seq)).toEqual(range(60));
      });
      await stored(locked as string, ...free);
    });

    it('wait for the locked row of a sender without delaying others, and are stored in order', async () => {
      const [shared, ...others] = await Promise.all(range(5).map(() => group(bob)));
      await whileForeign(async (foreign) => {
        await foreign.query('SELECT FROM users WHERE id = $1 FOR UPDATE', [bob.userId]);
        let through = 0;
        const sendLate = (index: number) =>
          send(bob, shared as string, `late ${index}`).finally(() => {
            through += 1;
          });
        const late = range(5).map(sendLate);
        for (const round of range(3)) {
          await Promise.all([shared as string, ...others].map((id) => send(alice, id, `at once ${round}`)));
        }
        late.push(sendLate(6));
        await eventually('one waits', async () => (await waitingForLocks()) === 1);
        expect(await send(alice, shared as string, 'at once')).toMatchObject({ seq: 4 });
        expect(through).toBe(0);
        await foreign.query('COMMIT');
        const texts = (await Promise.all(late)).map(({ seq, text }) => `${seq} ${text}`);
        expect(texts).toEqual(range(6).map((index) => `${4 + index} late ${index}`));
      });
      await stored(shared as string, ...others);
    });

    it('leave database connections to others when many conversations are locked', async () => {
      const locked = await Promise.all(range(12).map(() => group()));
      const free = await group();
      await whileForeign(async (foreign) => {
        await foreign.query('SELECT FROM conversations WHERE id = ANY ($1) FOR UPDATE', [locked]);
        const late = locked.map((id) => send(alice, id, 'late'));
        const half = Math.floor(deps.config.databasePoolMax / 2);
        await eventually('half the pool waits', async () => (await waitingForLocks()) === half);
        expect(await send(alice, free, 'at once')).toMatchObject({ seq: 1 });
        expect(await waitingForLocks()).toBe(half);
        await foreign.query('COMMIT');
        await Promise.all(late);
      });
      await stored(...locked);
    });

    it('are rejected if their sender was removed while they waited', async () => {
      const id = await group(bob);
      await whileForeign(async (foreign) => {
        await foreign.query('SELECT FROM conversations WHERE id = $1 FOR UPDATE', [id]);
        const late = Promise.allSettled([send(bob, id, 'late'), send(alice, id, 'still in')]);
        await eventually('they wait', async () => (await waitingForLocks()) === 1);
        await foreign.query('DELETE FROM memberships WHERE conversation_id = $1 AND user_id = $2', [id, bob.userId]);
        await foreign.query('COMMIT');
        const [ofBob, ofAlice] = await late;
        expect(ofBob?.status === 'rejected' && codeOf(ofBob.reason)).toBe('NOT_FOUND input.conversationId');
        expect(ofAlice).toMatchObject({ status: 'fulfilled', value: { seq: 1 } });
      });
      await stored(id);
    });

    it('do not fail because of a key that is used in another transaction at the same time', async () => {
      const [one, other, elsewhere] = (await Promise.all(range(3).map(() => group(bob)))) as [string, string, string];
      await whileForeign(async (foreign) => {
        await foreign.query(
          `INSERT INTO messages (id, conversation_id, seq, sender_id, text, client_message_id, input_hash)
           VALUES ($1, $2, 1, $3, 'elsewhere', 'a moment', '\\x00')`,
          [newId(), elsewhere, alice.userId],
        );
        const answers = Promise.allSettled([
          send(alice, one, 'one'),
          send(alice, one, 'the same key', 'a moment'),
          send(alice, one, 'two', 'my own'),
          send(bob, other, 'another conversation', 'a moment'),
        ]);
        await eventually('they wait for it', async () => (await waitingForLocks()) === 1);
        await foreign.query('COMMIT');
        expect(
          (await answers).map((answer) => (answer.status === 'fulfilled' ? answer.value.seq : codeOf(answer.reason))),
        ).toEqual([1, 'CONFLICT input.clientMessageId', 2, 1]);
      });
      await stored(one, other);
    });
  });
});

async function makePeople({ database }: Deps, count: number): Promise<Viewer[]> {
  const people = range(count).map(() => ({ userId: newId(), sessionId: newId(), expiresAt: new Date() }));
  await database.db.user.createMany({
    data: people.map(({ userId: id }) => ({ id, username: id, usernameKey: id, displayName: 'x', searchWords: ['x'] })),
  });
  return people;
}
