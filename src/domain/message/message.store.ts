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
import { isReachable } from '../user/reach.store.js';
import { userColumns } from '../user/user.store.js';
import { countedMentions } from './message.mentions.js';

/** An idempotency key, which is unique among the messages of its sender. */
export interface SentKey {
  senderId: string;
  clientMessageId: string;
}

/** Whether a user can see each of these messages, in the same order: the SQL equivalent of `canSee`. */
export async function findVisible(db: Db, userId: string, ids: readonly string[]): Promise<boolean[]> {
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT m.id::text
    FROM messages m
    JOIN memberships p ON p.conversation_id = m.conversation_id AND p.user_id = ${userId}::uuid AND m.seq > p.hidden_to_seq
    WHERE m.id = ANY (${ids}::uuid[])`;
  const seen = new Set(rows.map(({ id }) => id));
  return ids.map((id) => seen.has(id));
}

/**
 * The newest message of each of these conversations, in the same order. It is null if the conversation is empty, if the
 * user is not a member, or if the message is hidden from them.
 */
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

/**
 * A range of up to `limit` messages after `beyond` in the direction of reading, or from the first one in that direction
 * if it is null. With `backward`, messages are read in descending order of `seq`.
 */
export interface MessageRange {
  beyond: number | null;
  backward: boolean;
  limit: number;
}

/**
 * The same range of each of these conversations, in the same order. It is null for conversations that the user is not a
 * member of.
 */
export async function findRanges(
  sql: Sql,
  userId: string,
  conversationIds: readonly string[],
  { beyond, backward, limit }: MessageRange,
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

/** The columns of `messages`, for statements that join the table with the alias `message`. */
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
  attachmentCount: 'message.attachment_count',
  statusReply: 'message.status_reply',
});

/** The relation of a user to a conversation, as far as sending depends on it. */
export interface Side {
  conversationExists: boolean;
  own: (Membership & { user: User }) | undefined;
  /**
   * Whether another transaction has locked the row of the user. Nothing is known about the user then, except that they
   * are a member.
   */
  isLocked: boolean;
  /** The other user of a direct conversation. */
  counterpart: Counterpart | undefined;
}

/** A locked conversation. */
export interface Locked {
  conversation: Conversation & Moderated;
  /** The time of the database when the conversation was locked, but at least the time of the latest activity. */
  now: Date;
}

const lockedColumns = conversationColumnsOf('locked');

/**
 * Sets the lock timeout of the following statements of this transaction, in milliseconds. When it expires, a statement
 * throws an error for which `isLockTimeout` is true.
 */
export const setLockTimeout = (sql: Sql, timeoutMs: number) =>
  sql.query(Prisma.sql`SELECT set_config('lock_timeout', ${`${timeoutMs}`}, true)`);

/**
 * Waits until no other transaction has locked the row of the sender, for at most `timeoutMs` milliseconds.
 * @throws an error for which `isLockTimeout` is true if the time expires.
 */
export async function waitForSender(sql: SqlTransaction, senderId: string, timeoutMs: number): Promise<void> {
  await setLockTimeout(sql, timeoutMs);
  await sql.query(Prisma.sql`SELECT FROM users WHERE id = ${senderId}::uuid FOR SHARE`);
}

/**
 * Locks the conversations of these pairs until the end of the transaction. It returns, for each pair and in the same
 * order, the relation of the user to the conversation, and the ids of the messages that were stored with these keys, in
 * no particular order. It is one statement. With `wait`, it waits for conversations that another transaction has
 * locked; otherwise, it skips them.
 *
 * A statement sees the data as of its start, before it acquires its locks. `fresh` is false if a conversation got a new
 * number in between; the caller must then repeat the call to get the current data. Therefore every transaction that
 * changes data that is read here must assign a number to the conversation (`lockAndNumber`). The senders are locked as
 * well, so that their data is current. The statement never waits for the row of a sender (`Side.isLocked`), because all
 * other sends of the batch would wait too.
 */
export async function lockForSenders(
  sql: SqlTransaction,
  pairs: readonly { conversationId: string; userId: string }[],
  keys: readonly SentKey[],
  { wait }: { wait: boolean },
): Promise<{ sides: Side[]; locked: Map<string, Locked>; sentIds: string[]; fresh: boolean }> {
  const conversationIds = [...new Set(pairs.map(({ conversationId }) => conversationId))];
  const rows = await sql.query<Record<string, unknown>>(
    Prisma.sql`
    WITH locked AS MATERIALIZED (
      SELECT ${conversationColumns}, greatest(last_activity_at, clock_timestamp())::timestamptz(3) AS now,
             ${moderatorIds} AS "moderatorIds"
      FROM conversations WHERE id = ANY (${conversationIds}::uuid[])
      ORDER BY id FOR NO KEY UPDATE ${wait ? Prisma.empty : Prisma.sql`SKIP LOCKED`}
    ),
    person AS MATERIALIZED (
      -- Conversations are locked before users everywhere, to prevent deadlocks.
      SELECT * FROM users WHERE id = ANY (${[...new Set(pairs.map(({ userId }) => userId))]}::uuid[])
        AND (SELECT count(*) FROM locked) >= 0
      ORDER BY id FOR SHARE SKIP LOCKED
    )
    SELECT ${lockedColumns.select}, locked.now, locked."moderatorIds", seen.change_seq AS "readSeq",
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
      fresh &&= row['readSeq'] === conversation.changeSeq;
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

/** Messages with the sender and conversation that their changes contain, in no particular order. */
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

/** A column of `messages` that is not part of the Prisma schema. */
interface ExtraColumn {
  name: string;
  /** The type in PostgreSQL. */
  type: string;
}

/**
 * A message to store, with its change and the values of the extra columns in PostgreSQL's text format. An empty string
 * stands for NULL.
 */
interface Stored {
  message: Message;
  change: Change;
  extraValues: readonly string[];
}

/**
 * A statement that stores messages with their changes and updates the numbers and the latest activity of their
 * conversations. It is one statement for any number of messages, and its text depends only on `extraColumns`. The
 * conversations must be locked, and the numbers of the messages and changes must be the next ones.
 */
export function storingSent(sent: readonly Stored[], extraColumns: readonly ExtraColumn[]): Prisma.Sql {
  // In the order of the unique keys, so that two transactions that store the same keys do not deadlock.
  const rows = [...sent].sort((a, b) => compare(keyOf(a.message), keyOf(b.message)));
  const column = (value: (row: Stored) => string) => rows.map(value);
  const extras = {
    given: extraColumns.map(
      (_, index) => Prisma.sql`, ${column(({ extraValues }) => extraValues[index] ?? '')}::text[]`,
    ),
    names: Prisma.raw(extraColumns.map(({ name }) => `, ${name}`).join('')),
    values: Prisma.raw(extraColumns.map(({ name, type }) => `, nullif(${name}, '')::${type}`).join('')),
  };
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
        ${rows.map(({ message }) => message.replyToSeq ?? 0)}::int[],
        ${rows.map(({ message }) => message.attachmentCount)}::int[],
        ${rows.map(({ message }) => message.statusReply)}::boolean[]
        ${extras.given.length > 0 ? Prisma.join(extras.given, '') : Prisma.empty}
      ) AS sent (id, conversation_id, seq, change_seq, type, sender_id, text, created_at, client_message_id, input_hash,
                 mentioned_ids, mentions_everyone, counted_ids, reply_to_seq, attachment_count,
                 status_reply${extras.names})
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
                            mentioned_ids, mentions_everyone, reply_to_seq, attachment_count, status_reply${extras.names})
      SELECT id, conversation_id, seq, sender_id::uuid, nullif(text, ''), created_at::timestamptz,
             nullif(client_message_id, ''), decode(nullif(input_hash, ''), 'hex'), mentioned_ids::uuid[], mentions_everyone,
             nullif(reply_to_seq, 0), attachment_count, status_reply${extras.values}
      FROM sent
    ),
    mentioned AS (
      INSERT INTO mentions (conversation_id, seq, user_id)
      SELECT conversation_id, seq, unnest(counted_ids::uuid[]) FROM sent
    )
    INSERT INTO changes (conversation_id, change_seq, type, message_id, actor_id)
    SELECT conversation_id, change_seq, type, id, sender_id::uuid FROM sent`;
}

/** Sets the extra columns of a message, from values in PostgreSQL's text format. An empty string stands for NULL. */
export async function storeExtraColumns(
  tx: Tx,
  { id }: Pick<Message, 'id'>,
  columns: readonly ExtraColumn[],
  values: readonly string[],
): Promise<void> {
  if (columns.length === 0) return;
  const assignments = columns.map(
    ({ name, type }, index) =>
      Prisma.sql`${Prisma.raw(name)} = nullif(${values[index] ?? ''}, '')::${Prisma.raw(type)}`,
  );
  await tx.$executeRaw`UPDATE messages SET ${Prisma.join(assignments)} WHERE id = ${id}::uuid`;
}

/** Sets the extra columns of messages to NULL. Rows in which a trigger has already done so are not written again. */
export async function clearExtraColumns(
  tx: Tx,
  ids: readonly string[],
  columns: readonly ExtraColumn[],
): Promise<void> {
  if (columns.length === 0) return;
  const names = columns.map(({ name }) => Prisma.raw(name));
  const assignments = names.map((name) => Prisma.sql`${name} = NULL`);
  await tx.$executeRaw`
    UPDATE messages SET ${Prisma.join(assignments)}
    WHERE id = ANY (${ids}::uuid[]) AND num_nonnulls(${Prisma.join(names)}) > 0`;
}

/** Ids as an array in PostgreSQL's text format. */
const arrayOf = (ids: readonly string[]) => `{${ids.join(',')}}`;
const keyOf = ({ senderId, clientMessageId }: Message) => `${senderId} ${clientMessageId}`;
const compare = (one: string, other: string) => (one < other ? -1 : Number(one > other));
