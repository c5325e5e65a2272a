import { type Message, Prisma, type User } from '../../generated/prisma/client.js';
import type { Db, Sql, Tx } from '../../infra/database/database.js';
import { defineLookup } from '../../platform/service.js';
import { messageColumns } from '../message/message.store.js';
import { userColumns } from '../user/user.store.js';

/** The message that another one answers, as it is told with that. */
export interface Quote {
  message: Message & { sender: User | null; replyCount: number };
  /** Members who do not see it, for it was said before they came; null when there are too many to tell. */
  hiddenFrom: readonly string[] | null;
}

/** Most members who are named as those who do not see a quoted message. */
const NAMED_MAX = 100;

/** How many answers there are to a row of `messages` as `message`: a short stretch of one index. */
const replyCount = Prisma.sql`
  (SELECT count(*)::int FROM messages reply
   WHERE reply.conversation_id = message.conversation_id AND reply.reply_to_seq = message.seq AND reply.deleted_at IS NULL)`;

/** What finds quotes, by the conversation and one more key of their messages; `quotesOf` reads its rows. */
function quotesStatement(key: 'id' | 'seq', pairs: readonly { conversationId: string; key: string }[]): Prisma.Sql {
  return Prisma.sql`
    SELECT pair.n::int AS n, ${messageColumns.select}, ${userColumns.select}, ${replyCount} AS "replyCount",
           ARRAY(
             SELECT user_id::text FROM memberships
             WHERE conversation_id = message.conversation_id AND hidden_to_seq > 0 AND hidden_to_seq >= message.seq
             LIMIT ${NAMED_MAX + 1}::int
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
      // Hashes serve only the row that they stand in.
      message: { ...message, inputHash: null, sender: userColumns.of(row) ?? null, replyCount },
      hiddenFrom: hiddenFrom.length > NAMED_MAX ? null : hiddenFrom,
    };
  }
  return quotes;
}

/** Messages that are to be answered, by their ids, in their order; null for what is not in that conversation. */
export async function findQuotesById(
  sql: Sql,
  ids: readonly { conversationId: string; messageId: string }[],
): Promise<(Quote | null)[]> {
  const pairs = ids.map(({ conversationId, messageId }) => ({ conversationId, key: messageId }));
  return quotesOf(await sql.query<Record<string, unknown>>(quotesStatement('id', pairs)), ids.length);
}

type Answering = Pick<Message, 'conversationId' | 'replyToSeq'>;

/** What each of these messages answers, in their order; null of those that answer none. */
export async function findQuotes(db: Db | Tx, messages: readonly Answering[]): Promise<(Quote | null)[]> {
  if (messages.every(({ replyToSeq }) => replyToSeq === null)) return messages.map(() => null);
  const pairs = messages.map(({ conversationId, replyToSeq }) => ({ conversationId, key: String(replyToSeq ?? 0) }));
  return quotesOf(await db.$queryRaw<Record<string, unknown>[]>(quotesStatement('seq', pairs)), messages.length);
}

/** So many answers to a message beyond a number. */
export interface RepliesPage {
  beyond: number;
  limit: number;
}

/** The same page of answers to each of these messages (`conversation seq`), in their order; none to who does not see it. */
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

/** How many messages answer each of these, in their order, without deleted ones. */
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

/** A message by its number, for a person. */
interface VisibleKey {
  conversationId: string;
  seq: number;
  userId: string;
}

/** These messages, in their order; null where the person does not see it: SQL's side of `canSee`. */
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

/** A message by its number, as a person sees it; null where they do not see it. */
export const visibleMessageLookup = defineLookup('visible messages', ({ database }, keys: readonly VisibleKey[]) =>
  findVisible(database.sql, keys),
);
