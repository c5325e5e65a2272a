import { newId } from '../../core/ids.js';
import { type Conversation, type Message, Prisma, type Summary } from '../../generated/prisma/client.js';
import type { Db, Sql, Tx } from '../../infra/database/database.js';
import { lock } from '../conversation/conversation.store.js';
import {
  type Point,
  type TranscriptAttachment,
  type TranscriptMessage,
  withAttachments,
} from './summary.transcript.js';

/** A range of messages of a conversation, including both ends. */
export interface Range {
  conversationId: string;
  fromSeq: number;
  toSeq: number;
}

/** A range and the recipe by which it is summarized. There is at most one summary of each. */
export interface SummaryKey extends Range {
  recipe: string;
}

/** The properties that determine which messages a user can have summarized. */
export interface SummaryAccess {
  hiddenToSeq: number;
  readSeq: number;
  latestSeq: number;
  encryption: Conversation['encryption'];
}

/** Undefined if the user is not a member of the conversation. */
export async function findAccess(sql: Sql, conversationId: string, userId: string): Promise<SummaryAccess | undefined> {
  const [row] = await sql.query<SummaryAccess>(Prisma.sql`
    SELECT p.hidden_to_seq AS "hiddenToSeq", coalesce(marks.read_seq, 0) AS "readSeq", c.latest_seq AS "latestSeq",
           c.encryption::text AS encryption
    FROM memberships p
    JOIN conversations c ON c.id = p.conversation_id
    LEFT JOIN marks ON marks.conversation_id = p.conversation_id AND marks.user_id = p.user_id
    WHERE p.conversation_id = ${conversationId}::uuid AND p.user_id = ${userId}::uuid`);
  return row;
}

/** The condition for messages of a range that can be summarized: written by users and not deleted. */
const isSummarizable = ({ conversationId, fromSeq, toSeq }: Range) => Prisma.sql`
  conversation_id = ${conversationId}::uuid AND seq BETWEEN ${fromSeq}::int AND ${toSeq}::int
  AND kind = 'USER' AND deleted_at IS NULL AND (text IS NOT NULL OR attachment_count > 0)`;

export async function countMessages(sql: Sql, range: Range): Promise<number> {
  const [row] = await sql.query<{ count: number }>(
    Prisma.sql`SELECT count(*)::int AS count FROM messages WHERE ${isSummarizable(range)}`,
  );
  return row?.count ?? 0;
}

/** The number of messages read per statement, because parsing them blocks the event loop. */
const BATCH = 1_000;

interface TalkRow {
  seq: number;
  senderId: string | null;
  text: string | null;
  at: Date;
  replyTo: number | null;
  reactions: number | null;
  attachments: TranscriptAttachment[] | null;
}

/** The messages of a range in order; with `only`, those with these numbers. */
export async function readTranscript(sql: Sql, range: Range, only?: readonly number[]): Promise<TranscriptMessage[]> {
  const messages: TranscriptMessage[] = [];
  for (let fromSeq = range.fromSeq; fromSeq <= range.toSeq; ) {
    const rows = await sql.query<TalkRow>(Prisma.sql`
      SELECT seq, sender_id::text AS "senderId", text, created_at AS at,
             CASE WHEN reply_to_seq >= ${range.fromSeq}::int THEN reply_to_seq END AS "replyTo",
             (SELECT sum(count)::int FROM reaction_groups WHERE message_id = messages.id) AS reactions,
             CASE WHEN attachment_count > 0 THEN (
               SELECT json_agg(json_build_object('kind', kind, 'filename', filename, 'altText', alt_text) ORDER BY position)
               FROM attachments WHERE message_id = messages.id) END AS attachments
      FROM messages
      WHERE ${isSummarizable({ ...range, fromSeq })}
        AND (${only ?? null}::int[] IS NULL OR seq = ANY (${only ?? null}::int[]))
      ORDER BY seq LIMIT ${BATCH}::int`);
    for (const { seq, senderId, text, at, replyTo, reactions, attachments } of rows) {
      messages.push({
        seq,
        text: withAttachments(text ?? '', attachments ?? []),
        senderId: senderId ?? '',
        at: at.getTime(),
        replyTo: replyTo ?? undefined,
        reactions: reactions ?? undefined,
      });
    }
    if (rows.length < BATCH) break;
    fromSeq = (rows.at(-1)?.seq ?? range.toSeq) + 1;
  }
  return messages;
}

/** A hash of a range, which changes when any of its messages is edited or deleted. */
export async function fingerprintOf(sql: Pick<Sql, 'query'>, range: Range): Promise<string> {
  const [row] = await sql.query<{ imprint: string }>(imprint(range));
  return row?.imprint ?? '';
}

const imprint = (range: Range) => Prisma.sql`
  SELECT md5(coalesce(string_agg(concat_ws(':', seq, edited_at, md5(text)), ',' ORDER BY seq), '')) AS imprint
  FROM messages WHERE ${isSummarizable(range)}`;

/**
 * Whether a range is unchanged. Until the end of the transaction, no message in it can be edited or deleted, because
 * that requires the lock of the conversation, and then also updates the summaries stored by then.
 */
async function isUnchanged(tx: Tx, range: Range, before: string): Promise<boolean> {
  if (!(await lock(tx, range.conversationId))) return false;
  const [row] = await tx.$queryRaw<{ imprint: string }[]>(imprint(range));
  return row?.imprint === before;
}

/** A stored summary that is not stale; undefined if there is none. */
export async function findSummary(
  sql: Sql,
  { conversationId, fromSeq, toSeq, recipe }: SummaryKey,
): Promise<string | undefined> {
  const [row] = await sql.query<{ id: string }>(Prisma.sql`
    SELECT id::text FROM summaries
    WHERE conversation_id = ${conversationId}::uuid AND from_seq = ${fromSeq}::int AND to_seq = ${toSeq}::int
      AND recipe = ${recipe} AND NOT stale`);
  return row?.id;
}

/**
 * The maximum number of summaries that build on each other, because each of them loses some details of the beginning.
 */
const DEPTH_MAX = 3;

/** The longest stored summary of a beginning of the range, to build on. */
export async function findBeginning(
  sql: Sql,
  { conversationId, fromSeq, toSeq, recipe }: SummaryKey,
): Promise<(Pick<Summary, 'toSeq' | 'depth'> & { points: Point[] }) | undefined> {
  const [row] = await sql.query<Pick<Summary, 'toSeq' | 'depth'> & { points: Point[] }>(Prisma.sql`
    SELECT to_seq AS "toSeq", depth, highlights AS points FROM summaries
    WHERE conversation_id = ${conversationId}::uuid AND from_seq = ${fromSeq}::int AND to_seq < ${toSeq}::int
      AND recipe = ${recipe} AND NOT stale AND depth < ${DEPTH_MAX}::int
    ORDER BY to_seq DESC LIMIT 1`);
  return row;
}

export type NewSummary = SummaryKey &
  Pick<Summary, 'model' | 'written' | 'depth' | 'messageCount' | 'text'> & { points: Point[] };

/** The number of days after which results of parts are deleted. */
const PART_DAYS = 90;

/**
 * Stores a summary, as one of at most `keptMax` of its conversation. If there is one of the same range and recipe, the
 * first one is kept.
 * @returns the id; undefined if the hash of the range is no longer `before`.
 */
export async function storeSummary(
  tx: Tx,
  summary: NewSummary,
  before: string,
  keptMax: number,
): Promise<string | undefined> {
  if (!(await isUnchanged(tx, summary, before))) return undefined;
  const { conversationId, fromSeq, toSeq, recipe, model, written, depth, messageCount, text, points } = summary;
  const id = newId();
  const [row] = await tx.$queryRaw<{ id: string }[]>`
    WITH kept AS (
      INSERT INTO summaries (id, conversation_id, from_seq, to_seq, recipe, model, written, depth, message_count, text,
                             highlights)
      VALUES (${id}::uuid, ${conversationId}::uuid, ${fromSeq}::int, ${toSeq}::int, ${recipe}, ${model},
              ${written}::boolean, ${depth}::int, ${messageCount}::int, ${text}, ${JSON.stringify(points)}::jsonb)
      ON CONFLICT (conversation_id, from_seq, to_seq, recipe) WHERE NOT stale DO NOTHING RETURNING id
    )
    SELECT id::text FROM kept
    UNION ALL
    SELECT id::text FROM summaries
    WHERE conversation_id = ${conversationId}::uuid AND from_seq = ${fromSeq}::int AND to_seq = ${toSeq}::int
      AND recipe = ${recipe} AND NOT stale
    LIMIT 1`;
  await tx.$executeRaw`
    DELETE FROM summaries WHERE id IN (
      SELECT id FROM summaries WHERE conversation_id = ${conversationId}::uuid
      ORDER BY created_at DESC, id DESC OFFSET ${keptMax}::int
    )`;
  await tx.$executeRaw`
    DELETE FROM summary_parts WHERE conversation_id = ${conversationId}::uuid
      AND created_at < clock_timestamp() - ${PART_DAYS}::int * interval '1 day'`;
  return row?.id;
}

/** The stored results of parts within a range, by their first message. */
export async function findParts(
  sql: Sql,
  { conversationId, fromSeq, toSeq, recipe }: SummaryKey,
): Promise<Map<number, { toSeq: number; notes: unknown }>> {
  const rows = await sql.query<{ fromSeq: number; toSeq: number; notes: unknown }>(Prisma.sql`
    SELECT from_seq AS "fromSeq", to_seq AS "toSeq", notes FROM summary_parts
    WHERE conversation_id = ${conversationId}::uuid AND recipe = ${recipe}
      AND from_seq >= ${fromSeq}::int AND to_seq <= ${toSeq}::int`);
  return new Map(rows.map(({ fromSeq: from, ...part }) => [from, part]));
}

/** Stores the result of a part, unless the hash of its range is no longer `before`. */
export async function storePart(tx: Tx, part: SummaryKey, notes: unknown, before: string): Promise<void> {
  if (!(await isUnchanged(tx, part, before))) return;
  const { conversationId, fromSeq, toSeq, recipe } = part;
  await tx.$executeRaw`
    INSERT INTO summary_parts (conversation_id, recipe, from_seq, to_seq, notes)
    VALUES (${conversationId}::uuid, ${recipe}, ${fromSeq}::int, ${toSeq}::int, ${JSON.stringify(notes)}::jsonb)
    ON CONFLICT DO NOTHING`;
}

// ── runs in progress ──

/** The time in milliseconds after which a run without renewal can be taken over by another node. */
export const CLAIM_MS = 15_000;

const isRun = ({ conversationId, fromSeq, toSeq, recipe }: SummaryKey) => Prisma.sql`
  conversation_id = ${conversationId}::uuid AND recipe = ${recipe} AND from_seq = ${fromSeq}::int AND to_seq = ${toSeq}::int`;

/** Claims a run, unless an active node has claimed it. */
export async function claimRun(sql: Sql, key: SummaryKey, id: string): Promise<boolean> {
  const { conversationId, fromSeq, toSeq, recipe } = key;
  const rows = await sql.query(Prisma.sql`
    INSERT INTO summary_runs AS run (conversation_id, recipe, from_seq, to_seq, id, claimed_until)
    VALUES (${conversationId}::uuid, ${recipe}, ${fromSeq}::int, ${toSeq}::int, ${id}::uuid,
            clock_timestamp() + ${CLAIM_MS}::int * interval '1 millisecond')
    ON CONFLICT (conversation_id, recipe, from_seq, to_seq) DO UPDATE
    SET id = excluded.id, claimed_until = excluded.claimed_until, done = 0, total = 1
    WHERE run.claimed_until < clock_timestamp()
    RETURNING id`);
  return rows.length > 0;
}

/** Stores the progress of a run and renews its claim. */
export const renewRun = (sql: Sql, key: SummaryKey, id: string, { done, total }: Steps): Promise<unknown> =>
  sql.query(Prisma.sql`
    UPDATE summary_runs
    SET done = ${done}::int, total = ${total}::int,
        claimed_until = clock_timestamp() + ${CLAIM_MS}::int * interval '1 millisecond'
    WHERE ${isRun(key)} AND id = ${id}::uuid`);

export const endRun = (sql: Sql, key: SummaryKey, id: string): Promise<unknown> =>
  sql.query(Prisma.sql`DELETE FROM summary_runs WHERE ${isRun(key)} AND id = ${id}::uuid`);

/** The progress of a run. */
export interface Steps {
  done: number;
  total: number;
}

/** The progress of a run of an active node; undefined if there is none. */
export async function findRun(sql: Sql, key: SummaryKey): Promise<Steps | undefined> {
  const [row] = await sql.query<Steps>(
    Prisma.sql`SELECT done, total FROM summary_runs WHERE ${isRun(key)} AND claimed_until >= clock_timestamp()`,
  );
  return row;
}

// ── costs ──

/** Milliseconds until the user may request further summaries from the model; 0 if they may now. */
export async function findWait(
  sql: Sql,
  userId: string,
  { tokensMax, windowMs }: { tokensMax: number; windowMs: number },
): Promise<number> {
  const [row] = await sql.query<{ wait: number }>(Prisma.sql`
    SELECT ceil(extract(epoch FROM started_at + ${windowMs}::float8 * interval '1 millisecond' - clock_timestamp()) * 1000)::float8
             AS wait
    FROM summary_costs WHERE user_id = ${userId}::uuid AND tokens >= ${tokensMax}::int`);
  return Math.max(0, row?.wait ?? 0);
}

/**
 * Adds tokens to the usage of a user, for all nodes; negative numbers refund tokens. Returns false, and adds nothing,
 * if the limit is already used up. The last request may exceed the limit.
 */
export async function countTokens(
  sql: Sql,
  userId: string,
  tokens: number,
  { tokensMax, windowMs }: { tokensMax: number; windowMs: number },
): Promise<boolean> {
  const rows = await sql.query(Prisma.sql`
    INSERT INTO summary_costs AS cost (user_id, started_at, tokens)
    VALUES (${userId}::uuid, clock_timestamp(), greatest(0, ${tokens}::int))
    ON CONFLICT (user_id) DO UPDATE
    SET started_at = CASE WHEN ${isOver(windowMs)} THEN excluded.started_at ELSE cost.started_at END,
        tokens = greatest(0, CASE WHEN ${isOver(windowMs)} THEN 0 ELSE cost.tokens END + ${tokens}::int)
    WHERE ${isOver(windowMs)} OR cost.tokens < ${tokensMax}::int OR ${tokens}::int < 0
    RETURNING user_id`);
  return rows.length > 0;
}

const isOver = (windowMs: number) =>
  Prisma.sql`cost.started_at <= clock_timestamp() - ${windowMs}::float8 * interval '1 millisecond'`;

// ── reading ──

/**
 * The summaries that a user may see, by id: in their conversations, and without messages from before they joined that
 * they must not read.
 */
export async function findVisible(db: Db, userId: string, ids: readonly string[]): Promise<(Summary | null)[]> {
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT s.id::text FROM summaries s
    JOIN memberships p ON p.conversation_id = s.conversation_id AND p.user_id = ${userId}::uuid
                      AND p.hidden_to_seq < s.from_seq
    WHERE s.id = ANY (${ids}::uuid[])`;
  const summaries = await db.summary.findMany({ where: { id: { in: rows.map(({ id }) => id) } } });
  const byId = new Map(summaries.map((summary) => [summary.id, summary]));
  return ids.map((id) => byId.get(id) ?? null);
}

/** A page of the summaries of a conversation. */
export interface SummariesPage {
  /** The time of creation in ISO 8601 and the id; null for the first page. */
  after: readonly [createdAt: string, id: string] | null;
  limit: number;
}

/**
 * The same page of summaries of each of these conversations, in the same order: those that the user may see and that
 * are not empty, latest first. Null for conversations of which the user is not a member.
 */
export async function findSummaries(
  db: Db,
  userId: string,
  conversationIds: readonly string[],
  { after, limit }: SummariesPage,
): Promise<(Summary[] | null)[]> {
  const beyond = after
    ? Prisma.sql`AND (created_at, id) < (${after[0]}::text::timestamptz, ${after[1]}::uuid)`
    : Prisma.empty;
  const rows = await db.$queryRaw<{ ofId: string; id: string | null }[]>`
    SELECT own.conversation_id::text AS "ofId", summary.id::text AS id
    FROM memberships own
    LEFT JOIN LATERAL (
      SELECT id, created_at FROM summaries
      WHERE conversation_id = own.conversation_id AND from_seq > own.hidden_to_seq AND highlights <> '[]'::jsonb ${beyond}
      ORDER BY created_at DESC, id DESC LIMIT ${limit}::int
    ) summary ON true
    WHERE own.user_id = ${userId}::uuid AND own.conversation_id = ANY (${conversationIds}::uuid[])
    ORDER BY summary.created_at DESC, summary.id DESC`;
  const ids = rows.flatMap(({ id }) => (id === null ? [] : [id]));
  const summaries = ids.length === 0 ? [] : await db.summary.findMany({ where: { id: { in: ids } } });
  const byId = new Map(summaries.map((summary) => [summary.id, summary]));
  const byConversation = new Map<string, Summary[]>();
  for (const { ofId, id } of rows) {
    const found = byConversation.get(ofId) ?? [];
    byConversation.set(ofId, found);
    const summary = id === null ? undefined : byId.get(id);
    if (summary) found.push(summary);
  }
  return conversationIds.map((id) => byConversation.get(id) ?? null);
}

/** Messages that a user may see, by `conversation seq`; null for the others. */
export async function findCited(db: Db, userId: string, keys: readonly string[]): Promise<(Message | null)[]> {
  const wanted = keys.map((key) => key.split(' ') as [string, string]);
  const rows = await db.$queryRaw<{ id: string; key: string }[]>`
    SELECT m.id::text, wanted.conversation_id::text || ' ' || wanted.seq AS key
    FROM unnest(${wanted.map(([id]) => id)}::uuid[], ${wanted.map(([, seq]) => Number(seq))}::int[])
         AS wanted (conversation_id, seq)
    JOIN memberships p ON p.conversation_id = wanted.conversation_id AND p.user_id = ${userId}::uuid
                      AND p.hidden_to_seq < wanted.seq
    JOIN messages m ON m.conversation_id = wanted.conversation_id AND m.seq = wanted.seq`;
  const messages = await db.message.findMany({ where: { id: { in: rows.map(({ id }) => id) } } });
  const byId = new Map(messages.map((message) => [message.id, message]));
  const byKey = new Map(rows.map(({ id, key }) => [key, byId.get(id)]));
  return keys.map((key) => byKey.get(key) ?? null);
}
