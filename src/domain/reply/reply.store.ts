import { type Message, Prisma, type User } from '../../generated/prisma/client.js';
import type { Db, Sql, Tx } from '../../infra/database/database.js';
import { defineLookup } from '../../platform/service.js';
import { messageColumns } from '../message/message.store.js';
import { userColumns } from '../user/user.store.js';

/** A quoted message, as events contain it together with the reply. */
export interface Quote {
  message: Message & { sender: User | null; parts: { replyCount: number } };
  /**
   * The ids of the members who cannot see the quoted message because they joined later. It is null if there are more
   * than HIDDEN_FROM_MAX of them.
   */
  hiddenFrom: readonly string[] | null;
}

/** The maximum number of members that are listed as not seeing a quoted message. */
const HIDDEN_FROM_MAX = 100;

/** An SQL expression that counts the replies to the row `message` of `messages`, using a short range of one index. */
const replyCount = Prisma.sql`
  (SELECT count(*)::int FROM messages reply
   WHERE reply.conversation_id = message.conversation_id AND reply.reply_to_seq = message.seq AND reply.deleted_at IS NULL)`;

/** A statement that selects quoted messages by pairs of a conversation and one more key; `quotesOf` reads its rows. */
function quotesStatement(key: 'id' | 'seq', pairs: readonly { conversationId: string; key: string }[]): Prisma.Sql {
  return Prisma.sql`
    SELECT pair.n::int AS n, ${messageColumns.select}, ${userColumns.select}, ${replyCount} AS "replyCount",
           ARRAY(
             SELECT user_id::text FROM memberships
             WHERE conversation_id = message.conversation_id AND hidden_to_seq > 0 AND hidden_to_seq >= message.seq
             LIMIT ${HIDDEN_FROM_MAX + 1}::int
           ) AS "hiddenFrom"
    FROM unnest(${pairs.map(({ conversationId }) => conversationId)}::uuid[], ${pairs.map((pair) => pair.key)}::text[])
         WITH ORDINALITY AS pair (conversation_id, key, n)
    JOIN messages message ON message.conversation_id = pair.conversation_id
      AND ${key === 'id' ? Prisma.sql`message.id = pair.key::uuid` : Prisma.sql`message.seq = pair.key::int`}
    LEFT JOIN users person ON person.id = message.sender_id`;
}

function quotesOf(rows: readonly Record<string, unknown>[], length: number): (Quote | null)[] {
  const quotes = new Array<Quote | null>(length).fill(null);
  for (const row of rows) {
    const message = messageColumns.of(row);
    if (!message) continue;
    const { n, replyCount, hiddenFrom } = row as { n: number; replyCount: number; hiddenFrom: string[] };
    quotes[n - 1] = {
      // The hashes of inputs are compared in the database only, so they are not published.
      message: { ...message, inputHash: null, sender: userColumns.of(row) ?? null, parts: { replyCount } },
      hiddenFrom: hiddenFrom.length > HIDDEN_FROM_MAX ? null : hiddenFrom,
    };
  }
  return quotes;
}

/**
 * Quoted messages by their ids, in the same order. An entry is null if the conversation does not contain the message.
 */
export async function findQuotesById(
  sql: Sql,
  ids: readonly { conversationId: string; messageId: string }[],
): Promise<(Quote | null)[]> {
  const pairs = ids.map(({ conversationId, messageId }) => ({ conversationId, key: messageId }));
  return quotesOf(await sql.query<Record<string, unknown>>(quotesStatement('id', pairs)), ids.length);
}

type Reply = Pick<Message, 'conversationId' | 'replyToSeq'>;

/** The quoted message of each of these messages, in the same order. An entry is null if the message is not a reply. */
export async function findQuotes(db: Db | Tx, messages: readonly Reply[]): Promise<(Quote | null)[]> {
  if (messages.every(({ replyToSeq }) => replyToSeq === null)) return messages.map(() => null);
  const pairs = messages.map(({ conversationId, replyToSeq }) => ({ conversationId, key: String(replyToSeq ?? 0) }));
  return quotesOf(await db.$queryRaw<Record<string, unknown>[]>(quotesStatement('seq', pairs)), messages.length);
}

/** A page of up to `limit` replies with numbers higher than `beyond`. */
export interface RepliesPage {
  beyond: number;
  limit: number;
}

/**
 * The same page of replies to each of these messages, in the order of the keys, which have the form `conversationId
 * seq`. It is empty for messages that the user cannot see.
 */
export async function findReplies(
  sql: Sql,
  userId: string,
  keys: readonly string[],
  { beyond, limit }: RepliesPage,
): Promise<Message[][]> {
  const wanted = keys.map((key) => key.split(' ') as [string, string]);
  const rows = await sql.query<Record<string, unknown>>(Prisma.sql`
    SELECT wanted.n::int AS n, ${messageColumns.select}
    FROM unnest(${wanted.map(([id]) => id)}::uuid[], ${wanted.map(([, seq]) => Number(seq))}::int[])
         WITH ORDINALITY AS wanted (conversation_id, seq, n)
    JOIN memberships own ON own.conversation_id = wanted.conversation_id AND own.user_id = ${userId}::uuid
      AND wanted.seq > own.hidden_to_seq
    CROSS JOIN LATERAL (
      SELECT * FROM messages
      WHERE conversation_id = wanted.conversation_id AND reply_to_seq = wanted.seq AND seq > ${beyond}::int
      ORDER BY seq LIMIT ${limit}::int
    ) message
    ORDER BY message.seq`);
  const found = keys.map((): Message[] => []);
  for (const row of rows) {
    const message = messageColumns.of(row);
    if (message) found[(row['n'] as number) - 1]?.push(message);
  }
  return found;
}

/** The number of replies to each of these messages, in the same order, without deleted replies. */
export async function countReplies(
  db: Db | Tx,
  messages: readonly Pick<Message, 'conversationId' | 'seq'>[],
): Promise<number[]> {
  const rows = await db.$queryRaw<{ count: number }[]>`
    SELECT ${replyCount} AS count
    FROM unnest(${messages.map(({ conversationId }) => conversationId)}::uuid[], ${messages.map(({ seq }) => seq)}::int[])
         WITH ORDINALITY AS message (conversation_id, seq, n)
    ORDER BY message.n`;
  return rows.map(({ count }) => count);
}

/** A message by its number, and the user who wants to see it. */
interface VisibleKey {
  conversationId: string;
  seq: number;
  userId: string;
}

/**
 * These messages, in the same order. An entry is null if the user cannot see the message: the SQL equivalent of
 * `canSee`.
 */
async function findVisible(sql: Sql, keys: readonly VisibleKey[]): Promise<(Message | null)[]> {
  const rows = await sql.query<Record<string, unknown>>(Prisma.sql`
    SELECT key.n::int AS n, ${messageColumns.select}
    FROM unnest(${keys.map((key) => key.conversationId)}::uuid[], ${keys.map((key) => key.seq)}::int[],
                ${keys.map((key) => key.userId)}::uuid[])
         WITH ORDINALITY AS key (conversation_id, seq, user_id, n)
    JOIN memberships own ON own.conversation_id = key.conversation_id AND own.user_id = key.user_id
      AND key.seq > own.hidden_to_seq
    JOIN messages message ON message.conversation_id = key.conversation_id AND message.seq = key.seq`);
  const found = new Array<Message | null>(keys.length).fill(null);
  for (const row of rows) found[(row['n'] as number) - 1] = messageColumns.of(row) ?? null;
  return found;
}

/** Looks up a message by its number, or null if the user cannot see it. */
export const visibleMessageLookup = defineLookup('visible messages', ({ database }, keys: readonly VisibleKey[]) =>
  findVisible(database.sql, keys),
);
