import { cursorExpired, type SyncCursor } from '../core/sync-cursor.js';
import { Prisma } from '../generated/prisma/client.js';
import type { Database, Db, Sql, Tx } from '../infra/database/database.js';
import { generationSql, intactSql, standbyError } from '../infra/database/history.js';
import { announceAfterCommit, defineAnnouncement } from '../infra/database/unit-of-work.js';
import type { Change, ChangeRow } from './change.js';

/** Changes of the log, which the feed delivers. */
export const changesCommitted = defineAnnouncement<Change>('changes');

/**
 * Writes a change into the log, and has it announced after the commit. Call it in the transaction of the change, after
 * raising the conversation's `changeSeq`, whose row lock makes the order of numbers the order of commits.
 */
export async function recordChange<Data>(tx: Tx, change: Change<Data>): Promise<Change<Data>> {
  const { data: _data, committedAt: _committedAt, ...row } = change;
  await tx.change.create({ data: row });
  announceAfterCommit(tx, changesCommitted, change);
  return change;
}

/** Writes several changes into the log, and has them announced, as `recordChange` does. */
export async function recordChanges(tx: Tx, changes: readonly Change[]): Promise<void> {
  await tx.change.createMany({ data: changes.map(({ data: _data, committedAt: _committedAt, ...row }) => row) });
  announceAfterCommit(tx, changesCommitted, ...changes);
}

/** The changes of one conversation after `changeSeq`, in order, at most `limit`. */
export async function readChangesAfter(
  db: Db,
  conversationId: string,
  changeSeq: number,
  limit: number,
): Promise<ChangeRow[]> {
  const rows = await db.change.findMany({
    where: { conversationId, changeSeq: { gt: changeSeq } },
    orderBy: { changeSeq: 'asc' },
    take: limit,
  });
  return rows.map(({ createdAt, ...row }) => ({ ...row, committedAt: createdAt.getTime() }));
}

/**
 * The changes of many conversations, of each those after its `changeSeq`, of these types or all; in the order of
 * `places`, and of changes in each of them; at most `limit` altogether.
 */
export const readChangesOfMany = (
  sql: Sql,
  places: readonly { conversationId: string; changeSeq: number }[],
  limit: number,
  types?: readonly string[],
): Promise<ChangeRow[]> =>
  sql.query(Prisma.sql`
    SELECT change.*
    FROM unnest(${places.map((place) => place.conversationId)}::uuid[], ${places.map((place) => place.changeSeq)}::int[])
         WITH ORDINALITY AS place (conversation_id, change_seq, n)
    CROSS JOIN LATERAL (
      SELECT conversation_id::text AS "conversationId", change_seq AS "changeSeq", type, message_id::text AS "messageId",
             subject_id::text AS "subjectId", membership_id::text AS "membershipId",
             actor_id::text AS "actorId",
             (extract(epoch FROM created_at) * 1000)::float8 AS "committedAt"
      FROM changes
      WHERE changes.conversation_id = place.conversation_id AND changes.change_seq > place.change_seq
        AND (${types ?? null}::text[] IS NULL OR type = ANY (${types ?? null}::text[]))
      ORDER BY change_seq LIMIT ${limit}
    ) change
    ORDER BY place.n, change."changeSeq" LIMIT ${limit}`);

export interface Progress {
  conversationId: string;
  /** The first and the last of its changes since. */
  fromSeq: number;
  toSeq: number;
  types: string[];
}

/**
 * Whether all that a snapshot has seen finished is in this history. After a crash the ids of transactions that were
 * under way are given again: of those it knows only that they were under way, and it has seen nothing of them.
 */
const isPast = (snapshot: Prisma.Sql) => Prisma.sql`(
  pg_snapshot_xmax(${snapshot}) <= pg_snapshot_xmax(pg_current_snapshot())
  OR pg_snapshot_xmax(${snapshot})::text::numeric - pg_snapshot_xmax(pg_current_snapshot())::text::numeric
     = (SELECT count(*) FROM pg_snapshot_xip(${snapshot}) AS open (xid)
        WHERE open.xid >= pg_snapshot_xmax(pg_current_snapshot())))`;

/** What a sweep finds. */
export interface Present {
  /** The cursor that it was read at: whatever is in neither it nor `progress` is not committed yet. */
  at: SyncCursor;
  /** The conversations that changed since. */
  progress: Progress[];
  /**
   * False when this history never was where `from` was, or has lost something since: the database is another one, was
   * restored, or was failed over. Then `progress` says nothing.
   */
  continued: boolean;
  timeline: string;
  /** Whether the run of the server that answered is written down as an epoch. */
  begun: boolean;
}

/**
 * The conversations that changed since `from`. Without a cursor it only takes one.
 * @throws an error of the code 25006 when the server is a standby in recovery: what it shows may be old.
 */
export async function readProgress(
  { sql, history }: Pick<Database, 'sql' | 'history'>,
  from: SyncCursor | undefined,
  timeoutMs: number,
): Promise<Present> {
  const since = from?.snapshot ?? null;
  const { server } = history;
  type Head = SyncCursor & {
    past: boolean;
    known: string | null;
    intact: boolean | null;
    timeline: string | null;
    begun: boolean;
  };
  const rows = await sql.queryWithin<Head & { [Field in keyof Progress]: Progress[Field] | null }>(
    timeoutMs,
    Prisma.sql`
    WITH present AS MATERIALIZED (
      SELECT pg_current_snapshot()::text AS snapshot, left(${Prisma.raw(generationSql)}, 12) AS generation,
             (SELECT id FROM epochs ORDER BY xid DESC LIMIT 1) AS epoch,
             ${isPast(Prisma.sql`${since}::text::pg_snapshot`)} AS past,
             (SELECT id FROM epochs WHERE pg_visible_in_snapshot(xid, ${since}::text::pg_snapshot)
              ORDER BY xid DESC LIMIT 1) AS known,
             (${Prisma.raw(intactSql(server, 'given.epoch'))}) AS intact,
             ${Prisma.raw(server.timeline)} AS timeline,
             EXISTS (SELECT FROM epochs WHERE run = ${Prisma.raw(server.run)}) AS begun
      FROM (SELECT ${from?.epoch ?? null}::text AS epoch) given
    ),
    moved AS (
      SELECT conversation_id, min(change_seq) AS from_seq, max(change_seq) AS to_seq, array_agg(DISTINCT type) AS types
      FROM changes
      WHERE xid >= pg_snapshot_xmin(${since}::text::pg_snapshot)
        AND NOT pg_visible_in_snapshot(xid, ${since}::text::pg_snapshot)
      GROUP BY conversation_id
    )
    SELECT snapshot, generation, epoch, past, known, intact, timeline, begun,
           conversation_id::text AS "conversationId", from_seq AS "fromSeq", to_seq AS "toSeq", types
    FROM present LEFT JOIN moved ON true`,
  );
  const head = rows[0] as (typeof rows)[number];
  const { generation, epoch, snapshot: at, timeline, begun } = head;
  if (timeline === null) throw standbyError();
  const progress = rows.filter((row): row is Head & Progress => row.conversationId !== null);
  const isContinued = ({ generation: own, epoch: mine }: SyncCursor) =>
    generation === own && head.past && head.known === mine && head.intact === true;
  return { at: { generation, epoch, snapshot: at }, progress, continued: !from || isContinued(from), timeline, begun };
}

/** What a stream is of, when it asks what it has missed. */
export interface MissedQuery {
  /** The conversations whose changes are for it. */
  conversationIds: readonly string[];
  types: readonly string[];
  /** Changes that put this person out of a conversation are for it too, though it is not theirs any more. */
  leaver: string | null;
  leaveTypes: readonly string[];
  /** Above this many it is cheaper for everyone to fetch anew. */
  limit: number;
}

/** Changes of one conversation by their numbers, in order. */
export interface Missed {
  conversationId: string;
  changeSeqs: number[];
}

/**
 * What a cursor has not seen, by its numbers alone: there can be many. Of each message, member or conversation only the latest change. By conversation, in the
 * order of changes (transaction ids are given before the wait for a row lock, so they do not tell the order).
 * @throws {ChatError} CURSOR_EXPIRED with the field `after`: the log does not reach back so far, the database is not
 *   the one that the cursor has seen (a restore), or more than `limit` were missed.
 */
export async function readMissed(
  database: Pick<Database, 'db' | 'history'>,
  cursor: SyncCursor,
  query: MissedQuery,
): Promise<Missed[]> {
  const { snapshot } = cursor;
  const rows = await database.db.$queryRaw<Missed[]>`
    SELECT conversation_id::text AS "conversationId", array_agg(change_seq ORDER BY change_seq) AS "changeSeqs"
    FROM (
      SELECT conversation_id, change_seq
      FROM (
      SELECT DISTINCT ON (conversation_id, message_id, subject_id) *
      FROM changes
      WHERE xid >= pg_snapshot_xmin(${snapshot}::text::pg_snapshot)
        AND NOT pg_visible_in_snapshot(xid, ${snapshot}::text::pg_snapshot)
        AND (
          (conversation_id = ANY (${query.conversationIds}::uuid[]) AND type = ANY (${query.types}::text[]))
          OR (subject_id = ${query.leaver}::uuid AND type = ANY (${query.leaveTypes}::text[]))
        )
      ORDER BY conversation_id, message_id, subject_id, change_seq DESC
      ) latest
      ORDER BY conversation_id, change_seq
      LIMIT ${query.limit + 1}
    ) missed
    GROUP BY conversation_id ORDER BY conversation_id`;
  // Asked after reading: what was trimmed before it is known here, and what is trimmed later was read.
  await checkCursor(database, cursor);
  if (rows.reduce((sum, { changeSeqs }) => sum + changeSeqs.length, 0) > query.limit)
    throw cursorExpired('after', `more than ${query.limit} changes have been missed`);
  return rows;
}

/**
 * Changes by their numbers, in the order in which they are asked for.
 * @throws {ChatError} CURSOR_EXPIRED with the field `after`: some were trimmed since they were found.
 */
export async function readChangesAt(
  sql: Sql,
  keys: readonly { conversationId: string; changeSeq: number }[],
): Promise<ChangeRow[]> {
  const rows = await sql.query<ChangeRow>(Prisma.sql`
    SELECT conversation_id::text AS "conversationId", change_seq AS "changeSeq", type, message_id::text AS "messageId",
           subject_id::text AS "subjectId", membership_id::text AS "membershipId",
             actor_id::text AS "actorId"
    FROM unnest(${keys.map((key) => key.conversationId)}::uuid[], ${keys.map((key) => key.changeSeq)}::int[])
         WITH ORDINALITY AS key (conversation_id, change_seq, n)
    JOIN changes USING (conversation_id, change_seq)
    ORDER BY key.n`);
  if (rows.length < keys.length) throw cursorExpired('after', 'it is too old');
  return rows;
}

/**
 * @throws {ChatError} CURSOR_EXPIRED with `field`: the log does not reach back so far, or the database was restored or
 *   failed over since.
 */
export async function checkCursor(
  { db, history }: Pick<Database, 'db' | 'history'>,
  { epoch, snapshot }: SyncCursor,
  field = 'after',
): Promise<void> {
  const [row] = await db.$queryRaw<
    { standby: boolean; past: boolean; epoch: string | null; intact: boolean | null; kept: boolean }[]
  >`
    SELECT pg_is_in_recovery() AS standby, ${isPast(Prisma.sql`s`)} AS past,
           (SELECT id FROM epochs WHERE pg_visible_in_snapshot(xid, s) ORDER BY xid DESC LIMIT 1) AS epoch,
           (${Prisma.raw(intactSql(history.server, 'given.epoch'))}) AS intact,
           (SELECT trimmed_xid FROM log_state) < pg_snapshot_xmin(s) AS kept
    FROM (SELECT ${snapshot}::text::pg_snapshot AS s, ${epoch}::text AS epoch) given`;
  if (row?.standby) throw standbyError();
  // What this history never had, it cannot say to be missed: transactions that are still to come, or another epoch.
  if (!row?.past || row.epoch !== epoch) throw cursorExpired(field, 'the database was restored');
  // An event may have been seen after the snapshot of its cursor was taken: of a server that was replaced it may be lost.
  if (!row.intact) throw cursorExpired(field, 'a database failover occurred');
  if (!row.kept) throw cursorExpired(field, 'it is too old');
}

/** Rows deleted at a time, so that nobody waits for long. */
const TRIM_BATCH = 5_000;

/**
 * Removes changes older than `retentionMs` from the log; cursors that have not seen them expire with them. What is as
 * young as the oldest transaction that is open (anywhere in the cluster) stays until that has ended: a cursor of now
 * could not say that it has seen it.
 */
export async function trimChangeLog(db: Db, retentionMs: number): Promise<number> {
  let trimmed = 0;
  for (let more = true; more; ) {
    const [row] = await db.$queryRaw<{ count: number }[]>`
      WITH old AS (
        SELECT conversation_id, change_seq FROM changes
        WHERE created_at < clock_timestamp() - ${retentionMs} * interval '1 millisecond'
          AND xid < pg_snapshot_xmin(pg_current_snapshot())
        LIMIT ${TRIM_BATCH} FOR UPDATE SKIP LOCKED
      ),
      gone AS (
        DELETE FROM changes USING old
        WHERE changes.conversation_id = old.conversation_id AND changes.change_seq = old.change_seq RETURNING changes.xid
      ),
      mark AS (
        UPDATE log_state SET trimmed_xid = greatest(trimmed_xid, (SELECT xid FROM gone ORDER BY xid DESC LIMIT 1))
        WHERE EXISTS (SELECT FROM gone)
      )
      SELECT count(*)::int AS count FROM gone`;
    const count = row?.count ?? 0;
    trimmed += count;
    more = count === TRIM_BATCH;
  }
  return trimmed;
}

/** A conversation that a person is in. */
export interface Place {
  conversationId: string;
  /** The newest message that is not for them to see; 0: all are. */
  hiddenToSeq: number;
}

/** The conversations that people are in, for each in their order. */
export async function findPlaces(sql: Sql, userIds: readonly string[]): Promise<Place[][]> {
  const rows = await sql.query<{ userId: string; ids: string[]; hidden: number[] }>(Prisma.sql`
    SELECT user_id::text AS "userId", array_agg(conversation_id::text) AS ids, array_agg(hidden_to_seq) AS hidden
    FROM memberships WHERE user_id = ANY (${userIds}::uuid[]) GROUP BY user_id`);
  const byUser = new Map(
    rows.map(({ userId, ids, hidden }) => [
      userId,
      ids.map((conversationId, index) => ({ conversationId, hiddenToSeq: hidden[index] ?? 0 })),
    ]),
  );
  return userIds.map((id) => byUser.get(id) ?? []);
}

/** The number of the newest change in each of these logs, by id: of conversations, and of people. */
export async function findPositions(
  sql: Sql,
  { conversationIds, userIds }: { conversationIds: readonly string[]; userIds: readonly string[] },
): Promise<Map<string, number>> {
  const rows = await sql.query<{ id: string; changeSeq: number }>(Prisma.sql`
    SELECT id::text, change_seq AS "changeSeq" FROM conversations WHERE id = ANY (${conversationIds}::uuid[])
    UNION ALL
    SELECT user_id::text, change_seq FROM personal_logs WHERE user_id = ANY (${userIds}::uuid[])`);
  return new Map(rows.map((row) => [row.id, row.changeSeq]));
}

/** What a conversation is to a person, and the conversation's newest change when that was read. */
export interface Access {
  /** Messages up to this number are hidden from the person; null if they are not a member. */
  hiddenToSeq: number | null;
  changeSeq: number;
}

/** The access of each person to each conversation, in the order of the keys. */
export const findAccess = (sql: Sql, keys: readonly { conversationId: string; userId: string }[]): Promise<Access[]> =>
  sql.query<Access>(Prisma.sql`
    SELECT memberships.hidden_to_seq AS "hiddenToSeq", coalesce(conversations.change_seq, 0) AS "changeSeq"
    FROM unnest(${keys.map((key) => key.conversationId)}::uuid[], ${keys.map((key) => key.userId)}::uuid[])
           WITH ORDINALITY AS key (conversation_id, user_id, n)
    LEFT JOIN memberships USING (conversation_id, user_id)
    LEFT JOIN conversations ON conversations.id = key.conversation_id
    ORDER BY key.n`);
