import { type Conversation, type Membership, type Message, Prisma, type User } from '../../generated/prisma/client.js';
import { columnsOf } from '../../infra/database/columns.js';
import type { Db, Sql, SqlTransaction, Tx } from '../../infra/database/database.js';
import type { Change } from '../../realtime/change.js';
import { type Counterpart, counterpartOf } from '../conversation/conversation.policy.js';
import {
  conversationColumns,
  conversationColumnsOf,
  findAll,
  type Moderated,
  membershipColumns,
  moderatorIds,
  moderatorIdsOf,
} from '../conversation/conversation.store.js';
import { searchVectorFrom } from '../search/search.terms.js';
import { isReachable } from '../user/reach.store.js';
import { userColumns } from '../user/user.store.js';
import { countedMentions } from './message.mentions.js';

/** What a message is sent with, so that it is stored once: unique for its sender. */
export interface SentKey {
  senderId: string;
  clientMessageId: string;
}

/** Which of these messages a person may see, in their order: SQL's side of `canSee`. */
export async function findSeen(db: Db, userId: string, ids: readonly string[]): Promise<boolean[]> {
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT m.id::text
    FROM messages m
    JOIN memberships p ON p.conversation_id = m.conversation_id AND p.user_id = ${userId}::uuid AND m.seq > p.hidden_to_seq
    WHERE m.id = ANY (${ids}::uuid[])`;
  const seen = new Set(rows.map(({ id }) => id));
  return ids.map((id) => seen.has(id));
}

/** The newest message of each conversation that the person is in and may see it; null for the others and the empty ones. */
export async function findNewest(
  db: Db,
  userId: string,
  conversationIds: readonly string[],
): Promise<(Message | null)[]> {
  const ids = await db.$queryRaw<{ id: string }[]>`
    SELECT m.id::text
    FROM conversations c
    JOIN memberships p ON p.conversation_id = c.id AND p.user_id = ${userId}::uuid
    JOIN messages m ON m.conversation_id = c.id AND m.seq = c.latest_seq AND m.seq > p.hidden_to_seq
    WHERE c.id = ANY (${conversationIds}::uuid[])`;
  const messages = await db.message.findMany({ where: { id: { in: ids.map((row) => row.id) } } });
  const byConversation = new Map(messages.map((message) => [message.conversationId, message]));
  return conversationIds.map((id) => byConversation.get(id) ?? null);
}

/** So many messages beyond a number (null: from the end that is read first), in the order of reading. */
export interface Stretch {
  beyond: number | null;
  backward: boolean;
  limit: number;
}

/** The same stretch of each of these conversations, in their order; null of those that the person is not in. */
export async function findStretches(
  sql: Sql,
  userId: string,
  conversationIds: readonly string[],
  { beyond, backward, limit }: Stretch,
): Promise<(Message[] | null)[]> {
  const from = beyond === null ? Prisma.empty : Prisma.sql`AND seq ${Prisma.raw(backward ? '<' : '>')} ${beyond}::int`;
  const rows = await sql.query<Record<string, unknown>>(Prisma.sql`
    SELECT own.conversation_id::text AS "ofId", ${messageColumns.select}
    FROM memberships own
    LEFT JOIN LATERAL (
      SELECT * FROM messages
      WHERE conversation_id = own.conversation_id AND seq > own.hidden_to_seq ${from}
      ORDER BY seq ${Prisma.raw(backward ? 'DESC' : 'ASC')} LIMIT ${limit}::int
    ) message ON true
    WHERE own.user_id = ${userId}::uuid AND own.conversation_id = ANY (${conversationIds}::uuid[])`);
  const byConversation = new Map<string, Message[]>();
  for (const row of rows) {
    const ofId = row['ofId'] as string;
    const messages = byConversation.get(ofId) ?? [];
    byConversation.set(ofId, messages);
    const message = messageColumns.of(row);
    if (message) messages.push(message);
  }
  return conversationIds.map((id) => {
    const messages = byConversation.get(id);
    return messages ? messages.sort((one, other) => (backward ? other.seq - one.seq : one.seq - other.seq)) : null;
  });
}

/** Of `messages` as `message`, in statements that join. */
export const messageColumns = columnsOf<Message>('message', {
  id: 'message.id::text',
  conversationId: 'message.conversation_id::text',
  seq: 'message.seq',
  kind: 'message.kind::text',
  senderId: 'message.sender_id::text',
  text: 'message.text',
  createdAt: 'message.created_at',
  editedAt: 'message.edited_at',
  deletedAt: 'message.deleted_at',
  clientMessageId: 'message.client_message_id',
  inputHash: 'message.input_hash',
  mentionedIds: 'message.mentioned_ids::text[]',
  mentionsEveryone: 'message.mentions_everyone',
  systemEvent: 'message.system_event',
  replyToSeq: 'message.reply_to_seq',
  pinnedAt: 'message.pinned_at',
});

/** What a person is to a conversation. */
export interface Side {
  conversationExists: boolean;
  own: (Membership & { user: User }) | undefined;
  /** Somebody else has the person's row locked: nothing is known of them but that they are a member. */
  isLocked: boolean;
  /** Of a direct conversation the person on the other side. */
  counterpart: Counterpart | undefined;
}

/** A conversation under its lock. */
export interface Locked {
  conversation: Conversation & Moderated;
  /** The database's clock under the lock, but never before the latest activity. */
  now: Date;
}

const lockedColumns = conversationColumnsOf('locked');

/**
 * From here on a statement of this transaction waits no longer than that for a lock.
 * @throws (that statement) an error of which `isLockTimeout` says so.
 */
export const setLockPatience = (sql: Sql, patienceMs: number) =>
  sql.query(Prisma.sql`SELECT set_config('lock_timeout', ${`${patienceMs}`}, true)`);

/**
 * Resolves when nobody else has the sender's row locked.
 * @throws an error of which `isLockTimeout` says so: not within that time.
 */
export async function waitForSender(sql: SqlTransaction, senderId: string, patienceMs: number): Promise<void> {
  await setLockPatience(sql, patienceMs);
  await sql.query(Prisma.sql`SELECT FROM users WHERE id = ${senderId}::uuid FOR SHARE`);
}

/**
 * Locks the conversations of these pairs until the transaction ends, and reads for each pair, in order, what the person
 * is to it; and the ids of the messages that were stored with these keys, in no order. All in one statement, which
 * waits for who has a conversation locked only with `wait`; else it leaves that one alone.
 *
 * What a statement reads is older than the locks that it takes: `fresh` says that no conversation got a new number
 * between both. Where it is false, the same call again tells the truth. So whoever changes what is read here numbers
 * the conversation (`lockAndNumber`). The senders themselves are held, so they are as they are now; a sender whom
 * somebody else has locked is never waited for, lest everyone else in the batch waits as well (`Side.isLocked`).
 */
export async function lockForSenders(
  sql: SqlTransaction,
  pairs: readonly { conversationId: string; userId: string }[],
  keys: readonly SentKey[],
  { wait }: { wait: boolean },
): Promise<{ sides: Side[]; locked: Map<string, Locked>; sentIds: string[]; fresh: boolean }> {
  const conversationIds = [...new Set(pairs.map(({ conversationId }) => conversationId))];
  // Each join looks up one row by its unique index.
  const rows = await sql.query<Record<string, unknown>>(
    Prisma.sql`
    WITH locked AS MATERIALIZED (
      SELECT ${conversationColumns}, greatest(last_activity_at, clock_timestamp())::timestamptz(3) AS now,
             ${moderatorIds} AS "moderatorIds"
      FROM conversations WHERE id = ANY (${conversationIds}::uuid[])
      ORDER BY id FOR NO KEY UPDATE ${wait ? Prisma.empty : Prisma.sql`SKIP LOCKED`}
    ),
    person AS MATERIALIZED (
      -- After the conversations, as everyone does it who locks both.
      SELECT * FROM users WHERE id = ANY (${[...new Set(pairs.map(({ userId }) => userId))]}::uuid[])
        AND (SELECT count(*) FROM locked) >= 0
      ORDER BY id FOR SHARE SKIP LOCKED
    )
    SELECT ${lockedColumns.select}, locked.now, locked."moderatorIds", seen.change_seq AS "seenSeq",
           seen.id IS NOT NULL AS "exists", ${membershipColumns.select}, ${userColumns.select},
           counterpart.reachable,
           ARRAY(
             SELECT message.id::text
             FROM unnest(${keys.map(({ senderId }) => senderId)}::uuid[], ${keys.map((key) => key.clientMessageId)}::text[])
                  AS key (sender_id, client_message_id)
             CROSS JOIN LATERAL (
               SELECT id FROM messages
               WHERE sender_id = key.sender_id AND client_message_id = key.client_message_id LIMIT 1
             ) message
           ) AS "sentIds"
    FROM unnest(${pairs.map(({ conversationId }) => conversationId)}::uuid[], ${pairs.map(({ userId }) => userId)}::uuid[])
         WITH ORDINALITY AS pair (conversation_id, user_id, n)
    LEFT JOIN locked ON locked.id = pair.conversation_id::text
    LEFT JOIN LATERAL (
      SELECT id, kind, change_seq FROM conversations WHERE id = pair.conversation_id LIMIT 1
    ) seen ON true
    LEFT JOIN LATERAL (
      SELECT * FROM memberships WHERE conversation_id = seen.id AND user_id = pair.user_id LIMIT 1
    ) own ON true
    LEFT JOIN person ON person.id = own.user_id
    LEFT JOIN LATERAL (
      SELECT ${isReachable(Prisma.raw('pair.user_id'))} AS reachable FROM users
      WHERE seen.kind = 'DIRECT' AND id = (
        SELECT user_id FROM memberships WHERE conversation_id = seen.id AND user_id <> pair.user_id LIMIT 1
      )
      LIMIT 1
    ) counterpart ON true
    ORDER BY pair.n`,
    `lockForSenders${wait ? 'Waiting' : ''}`,
  );
  const locked = new Map<string, Locked>();
  let fresh = true;
  const sides = rows.map((row) => {
    const conversation = lockedColumns.of(row);
    if (conversation) {
      fresh &&= row['seenSeq'] === conversation.changeSeq;
      locked.set(conversation.id, {
        conversation: { ...conversation, moderatorIds: moderatorIdsOf(row['moderatorIds'] as string[]) },
        now: row['now'] as Date,
      });
    }
    const own = membershipColumns.of(row);
    const user = userColumns.of(row);
    return {
      conversationExists: row['exists'] === true,
      own: own && user && { ...own, user },
      isLocked: own !== undefined && user === undefined,
      counterpart: counterpartOf(row['reachable']),
    };
  });
  return { sides, locked, sentIds: (rows[0]?.['sentIds'] ?? []) as string[], fresh };
}

/** Messages with all that a change says of them, in no order. */
export async function findFull(
  sql: Sql,
  ids: readonly string[],
): Promise<(Message & { sender: User | null; conversation: Conversation })[]> {
  const rows = await sql.query<Record<string, unknown>>(Prisma.sql`
    SELECT ${messageColumns.select}, ${userColumns.select}
    FROM messages message LEFT JOIN users person ON person.id = message.sender_id
    WHERE message.id = ANY (${ids}::uuid[])`);
  const messages = rows.flatMap((row) => {
    const message = messageColumns.of(row);
    return message ? [{ ...message, sender: userColumns.of(row) ?? null }] : [];
  });
  const conversations = await findAll(sql, [...new Set(messages.map(({ conversationId }) => conversationId))]);
  const byId = new Map(conversations.map((conversation) => [conversation.id, conversation]));
  return messages.flatMap((message) => {
    const conversation = byId.get(message.conversationId);
    return conversation ? [{ ...message, conversation }] : [];
  });
}

/** What a message is without its content. Its key still gives it to who repeats it, whatever with: no hash tells of the text. */
const tombstone = (deletedAt: Date) =>
  ({
    text: null,
    deletedAt,
    inputHash: null,
    mentionedIds: [],
    mentionsEveryone: false,
    pinnedAt: null,
  }) satisfies Partial<Message>;

/**
 * Takes all content of messages of one locked conversation away, wherever it is: text and earlier texts, whom it names,
 * reactions, pins. Only answers to them stay.
 * @returns what each of them is now.
 */
export async function emptyMessages<Row extends Pick<Message, 'id' | 'conversationId' | 'seq'>>(
  tx: Tx,
  messages: readonly [Row, ...Row[]],
): Promise<(Row & ReturnType<typeof tombstone>)[]> {
  const data = tombstone(new Date());
  const id = { in: messages.map((message) => message.id) };
  await tx.message.updateMany({ where: { id }, data });
  await tx.mention.deleteMany({
    where: { conversationId: messages[0].conversationId, seq: { in: messages.map(({ seq }) => seq) } },
  });
  await tx.reactionGroup.deleteMany({ where: { messageId: id } });
  await tx.messageVersion.deleteMany({ where: { messageId: id } });
  return messages.map((message) => ({ ...message, ...data }));
}

/**
 * Stores messages with their changes, and their conversations' new numbers and latest activity: one statement for any
 * number of them. Their conversations must be locked, and their numbers next in line. `textEntries`: as
 * `readTextEntries` gave them of the message's text.
 */
export function storingSent(sent: readonly { message: Message; change: Change; textEntries: string }[]): Prisma.Sql {
  // In the order of the unique keys: two transactions that store the same ones then wait for each other in one way only.
  const rows = [...sent].sort((a, b) => compare(keyOf(a.message), keyOf(b.message)));
  const column = (value: (row: (typeof rows)[number]) => string) => rows.map(value);
  return Prisma.sql`
    WITH sent AS (
      SELECT * FROM unnest(
        ${column(({ message }) => message.id)}::uuid[],
        ${column(({ message }) => message.conversationId)}::uuid[],
        ${rows.map(({ message }) => message.seq)}::int[],
        ${rows.map(({ change }) => change.changeSeq)}::int[],
        ${column(({ change }) => change.type)}::text[],
        ${column(({ message }) => message.senderId ?? '')}::text[],
        ${column(({ message }) => message.text ?? '')}::text[],
        ${column(({ message }) => message.createdAt.toISOString())}::text[],
        ${column(({ message }) => message.clientMessageId ?? '')}::text[],
        ${column(({ message }) => Buffer.from(message.inputHash ?? []).toString('hex'))}::text[],
        ${column(({ message }) => arrayOf(message.mentionedIds))}::text[],
        ${rows.map(({ message }) => message.mentionsEveryone)}::boolean[],
        ${column(({ message }) => arrayOf(countedMentions(message)))}::text[],
        ${column(({ message, textEntries }) => searchVectorFrom(message, textEntries))}::text[],
        ${rows.map(({ message }) => message.replyToSeq ?? 0)}::int[]
      ) AS sent (id, conversation_id, seq, change_seq, type, sender_id, text, created_at, client_message_id, input_hash,
                 mentioned_ids, mentions_everyone, counted_ids, search, reply_to_seq)
    ),
    numbered AS (
      UPDATE conversations
      SET latest_seq = latest.seq, change_seq = latest.change_seq, last_activity_at = latest.created_at::timestamptz
      FROM (
        SELECT conversation_id, max(seq) AS seq, max(change_seq) AS change_seq, max(created_at) AS created_at
        FROM sent GROUP BY conversation_id
      ) latest
      WHERE conversations.id = latest.conversation_id
    ),
    stored AS (
      INSERT INTO messages (id, conversation_id, seq, sender_id, text, created_at, client_message_id, input_hash,
                            mentioned_ids, mentions_everyone, search, reply_to_seq)
      SELECT id, conversation_id, seq, sender_id::uuid, text, created_at::timestamptz,
             nullif(client_message_id, ''), decode(nullif(input_hash, ''), 'hex'), mentioned_ids::uuid[], mentions_everyone,
             search::tsvector, nullif(reply_to_seq, 0)
      FROM sent
    ),
    mentioned AS (
      INSERT INTO mentions (conversation_id, seq, user_id)
      SELECT conversation_id, seq, unnest(counted_ids::uuid[]) FROM sent
    )
    INSERT INTO changes (conversation_id, change_seq, type, message_id, actor_id)
    SELECT conversation_id, change_seq, type, id, sender_id::uuid FROM sent`;
}

/** Ids as PostgreSQL writes an array of them. */
const arrayOf = (ids: readonly string[]) => `{${ids.join(',')}}`;
const keyOf = ({ senderId, clientMessageId }: Message) => `${senderId} ${clientMessageId}`;
const compare = (one: string, other: string) => (one < other ? -1 : Number(one > other));
