import { newId } from '../../core/ids.js';
import { type Message, Prisma, type Summary } from '../../generated/prisma/client.js';
import type { Db, Sql, Tx } from '../../infra/database/database.js';
import { lock } from '../conversation/conversation.store.js';
import type { Point, TalkMessage } from './summary.talk.js';

/** Messages of a conversation, both ends included. */
export interface Range {
  conversationId: string;
  fromSeq: number;
  toSeq: number;
}

/** What of a range is made how: of each there is one. */
export interface Made extends Range {
  recipe: string;
}

/** What decides which messages a person can have summarized. */
export interface Reach {
  hiddenToSeq: number;
  readSeq: number;
  latestSeq: number;
}

/** Undefined when they are not in the conversation. */
export async function findReach(sql: Sql, conversationId: string, userId: string): Promise<Reach | undefined> {
  const [row] = await sql.query<Reach>(Prisma.sql`
    SELECT p.hidden_to_seq AS "hiddenToSeq", coalesce(marks.read_seq, 0) AS "readSeq", c.latest_seq AS "latestSeq"
    FROM memberships p
    JOIN conversations c ON c.id = p.conversation_id
    LEFT JOIN marks ON marks.conversation_id = p.conversation_id AND marks.user_id = p.user_id
    WHERE p.conversation_id = ${conversationId}::uuid AND p.user_id = ${userId}::uuid`);
  return row;
}

/** What of a range can be summarized: written by somebody, and there. */
const isTalk = ({ conversationId, fromSeq, toSeq }: Range) => Prisma.sql`
  conversation_id = ${conversationId}::uuid AND seq BETWEEN ${fromSeq}::int AND ${toSeq}::int
  AND kind = 'USER' AND deleted_at IS NULL AND text IS NOT NULL`;

export async function countTalk(sql: Sql, range: Range): Promise<number> {
  const [row] = await sql.query<{ count: number }>(
    Prisma.sql`SELECT count(*)::int AS count FROM messages WHERE ${isTalk(range)}`,
  );
  return row?.count ?? 0;
}

/** Messages read in one statement: parsing them holds up the event loop. */
const BATCH = 1_000;

interface TalkRow {
  seq: number;
  senderId: string | null;
  text: string;
  at: Date;
  replyTo: number | null;
  reactions: number | null;
}

/** The messages of a range, in order; with `only`, those of these numbers. */
export async function readTalk(sql: Sql, range: Range, only?: readonly number[]): Promise<TalkMessage[]> {
  const talk: TalkMessage[] = [];
  for (let fromSeq = range.fromSeq; fromSeq <= range.toSeq; ) {
    const rows = await sql.query<TalkRow>(Prisma.sql`
      SELECT seq, sender_id::text AS "senderId", text, created_at AS at,
             CASE WHEN reply_to_seq >= ${range.fromSeq}::int THEN reply_to_seq END AS "replyTo",
             (SELECT sum(count)::int FROM reaction_groups WHERE message_id = messages.id) AS reactions
      FROM messages
      WHERE ${isTalk({ ...range, fromSeq })}
        AND (${only ?? null}::int[] IS NULL OR seq = ANY (${only ?? null}::int[]))
      ORDER BY seq LIMIT ${BATCH}::int`);
    for (const { senderId, at, replyTo, reactions, ...row } of rows) {
      talk.push({
        ...row,
        senderId: senderId ?? '',
        at: at.getTime(),
        replyTo: replyTo ?? undefined,
        reactions: reactions ?? undefined,
      });
    }
    if (rows.length < BATCH) break;
    fromSeq = (rows.at(-1)?.seq ?? range.toSeq) + 1;
  }
  return talk;
}

/** What a range says just now, as a short text: another one when any of its messages was edited or deleted since. */
export async function imprintOf(sql: Pick<Sql, 'query'>, range: Range): Promise<string> {
  const [row] = await sql.query<{ imprint: string }>(imprint(range));
  return row?.imprint ?? '';
}

const imprint = (range: Range) => Prisma.sql`
  SELECT md5(coalesce(string_agg(concat_ws(':', seq, edited_at, md5(text)), ',' ORDER BY seq), '')) AS imprint
  FROM messages WHERE ${isTalk(range)}`;

/**
 * Whether a range still says what it said. From here to the end of the transaction nobody edits or deletes there: that
 * takes the conversation's lock, and what it finds then of summaries it empties.
 */
async function isUnchanged(tx: Tx, range: Range, before: string): Promise<boolean> {
  if (!(await lock(tx, range.conversationId))) return false;
  const [row] = await tx.$queryRaw<{ imprint: string }[]>(imprint(range));
  return row?.imprint === before;
}

/** A summary that is not stale; undefined when there is none. */
export async function findMade(
  sql: Sql,
  { conversationId, fromSeq, toSeq, recipe }: Made,
): Promise<string | undefined> {
  const [row] = await sql.query<{ id: string }>(Prisma.sql`
    SELECT id::text FROM summaries
    WHERE conversation_id = ${conversationId}::uuid AND from_seq = ${fromSeq}::int AND to_seq = ${toSeq}::int
      AND recipe = ${recipe} AND NOT stale`);
  return row?.id;
}

/** How often a summary is built on one before it: each time something more of the beginning is lost. */
const DEPTH_MAX = 3;

/** The longest summary of a beginning of the range, to build on. */
export async function findBeginning(
  sql: Sql,
  { conversationId, fromSeq, toSeq, recipe }: Made,
): Promise<(Pick<Summary, 'toSeq' | 'depth'> & { points: Point[] }) | undefined> {
  const [row] = await sql.query<Pick<Summary, 'toSeq' | 'depth'> & { points: Point[] }>(Prisma.sql`
    SELECT to_seq AS "toSeq", depth, highlights AS points FROM summaries
    WHERE conversation_id = ${conversationId}::uuid AND from_seq = ${fromSeq}::int AND to_seq < ${toSeq}::int
      AND recipe = ${recipe} AND NOT stale AND depth < ${DEPTH_MAX}::int
    ORDER BY to_seq DESC LIMIT 1`);
  return row;
}

export type NewSummary = Made &
  Pick<Summary, 'model' | 'written' | 'depth' | 'messageCount' | 'text'> & { points: Point[] };

/** Days after which what was found of a part is forgotten. */
const PART_DAYS = 90;

/**
 * Keeps a summary, as one of at most `keptMax` of its conversation; of the same range and recipe the first one.
 * @returns its id; undefined: the range is not what it was when `before` was its imprint.
 */
export async function keepSummary(
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

/** What was found of parts within a range, by their first message. */
export async function findParts(
  sql: Sql,
  { conversationId, fromSeq, toSeq, recipe }: Made,
): Promise<Map<number, { toSeq: number; notes: unknown }>> {
  const rows = await sql.query<{ fromSeq: number; toSeq: number; notes: unknown }>(Prisma.sql`
    SELECT from_seq AS "fromSeq", to_seq AS "toSeq", notes FROM summary_parts
    WHERE conversation_id = ${conversationId}::uuid AND recipe = ${recipe}
      AND from_seq >= ${fromSeq}::int AND to_seq <= ${toSeq}::int`);
  return new Map(rows.map(({ fromSeq: from, ...part }) => [from, part]));
}

/** Keeps what was found of a part, unless it is not what it was when `before` was its imprint. */
export async function keepPart(tx: Tx, part: Made, notes: unknown, before: string): Promise<void> {
  if (!(await isUnchanged(tx, part, before))) return;
  const { conversationId, fromSeq, toSeq, recipe } = part;
  await tx.$executeRaw`
    INSERT INTO summary_parts (conversation_id, recipe, from_seq, to_seq, notes)
    VALUES (${conversationId}::uuid, ${recipe}, ${fromSeq}::int, ${toSeq}::int, ${JSON.stringify(notes)}::jsonb)
    ON CONFLICT DO NOTHING`;
}

// ── what is being made ──

/** How long a run is its node's without a word from it, in milliseconds. */
export const CLAIM_MS = 15_000;

const isRun = ({ conversationId, fromSeq, toSeq, recipe }: Made) => Prisma.sql`
  conversation_id = ${conversationId}::uuid AND recipe = ${recipe} AND from_seq = ${fromSeq}::int AND to_seq = ${toSeq}::int`;

/** Takes a run, unless it is some living node's. */
export async function claimRun(sql: Sql, made: Made, id: string): Promise<boolean> {
  const { conversationId, fromSeq, toSeq, recipe } = made;
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

/** Says how far it is, and that it is alive. */
export const renewRun = (sql: Sql, made: Made, id: string, { done, total }: Steps): Promise<unknown> =>
  sql.query(Prisma.sql`
    UPDATE summary_runs
    SET done = ${done}::int, total = ${total}::int,
        claimed_until = clock_timestamp() + ${CLAIM_MS}::int * interval '1 millisecond'
    WHERE ${isRun(made)} AND id = ${id}::uuid`);

export const endRun = (sql: Sql, made: Made, id: string): Promise<unknown> =>
  sql.query(Prisma.sql`DELETE FROM summary_runs WHERE ${isRun(made)} AND id = ${id}::uuid`);

/** How far something is. */
export interface Steps {
  done: number;
  total: number;
}

/** How far a run of a living node is; undefined when there is none. */
export async function findRun(sql: Sql, made: Made): Promise<Steps | undefined> {
  const [row] = await sql.query<Steps>(
    Prisma.sql`SELECT done, total FROM summary_runs WHERE ${isRun(made)} AND claimed_until >= clock_timestamp()`,
  );
  return row;
}

// ── what they cost ──

/** Milliseconds until somebody may have summaries written again; 0: they may. */
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
 * Counts tokens as somebody's, on all nodes alike; negative ones back. False: they have had as many as they may, then
 * nothing is counted. What they ask for last may go beyond it.
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

// ── what is shown ──

/**
 * Summaries that a person may see, by their ids: of conversations that they are in, and of nothing that was said before
 * they may see any.
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

/** So many summaries of a conversation behind a place in their list. */
export interface SummariesPage {
  /** When it was made, as ISO 8601, and its id; null: from the beginning. */
  behind: readonly [createdAt: string, id: string] | null;
  limit: number;
}

/**
 * The same page of summaries of each of these conversations, in their order: of all that the person may see, those of
 * which something is left, the latest first. Null of conversations that they are not in.
 */
export async function findSummaries(
  db: Db,
  userId: string,
  conversationIds: readonly string[],
  { behind, limit }: SummariesPage,
): Promise<(Summary[] | null)[]> {
  const beyond = behind
    ? Prisma.sql`AND (created_at, id) < (${behind[0]}::text::timestamptz, ${behind[1]}::uuid)`
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

/** Messages that a person may see, by `conversation seq`; null for the others. */
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
