import { cursorExpired, type SyncCursor } from '../core/sync-cursor.js';
import { Prisma } from '../generated/prisma/client.js';
import type { Database, Db, Sql, Tx } from '../infra/database/database.js';
import { generationSql, intactSql, standbyError } from '../infra/database/history.js';
import { announceAfterCommit, defineAnnouncement } from '../infra/database/unit-of-work.js';
import type { Change, ChangeRow } from './change.js';

/** Changes of the log, which the feed delivers. */
export const changesCommitted = defineAnnouncement<Change>('changes');

/**
 * Writes a change into the log; it is announced after the commit. Must be called in the transaction of the change, after
 * the conversation's `changeSeq` was incremented: that row lock makes the order of numbers the order of commits.
 */
export async function recordChange<Data>(tx: Tx, change: Change<Data>): Promise<Change<Data>> {
  const { data: _data, committedAt: _committedAt, ...row } = change;
  await tx.change.create({ data: row });
  announceAfterCommit(tx, changesCommitted, change);
  return change;
}

/** Writes several changes into the log; otherwise like `recordChange`. */
export async function recordChanges(tx: Tx, changes: readonly Change[]): Promise<void> {
  await tx.change.createMany({ data: changes.map(({ data: _data, committedAt: _committedAt, ...row }) => row) });
  announceAfterCommit(tx, changesCommitted, ...changes);
}

/** Reads the changes of one log after `changeSeq`, in order, at most `limit`. */
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
 * Reads the changes of several logs, of each log those after its `changeSeq`, restricted to `types` if given. They are in
 * the order of `positions` and, within a log, of their numbers; at most `limit` in total.
 */
export const readChangesOfMany = (
  sql: Sql,
  positions: readonly { conversationId: string; changeSeq: number }[],
  limit: number,
  types?: readonly string[],
): Promise<ChangeRow[]> =>
  sql.query(Prisma.sql`
    SELECT change.*
    FROM unnest(${positions.map((each) => each.conversationId)}::uuid[], ${positions.map((each) => each.changeSeq)}::int[])
         WITH ORDINALITY AS wanted (conversation_id, change_seq, n)
    CROSS JOIN LATERAL (
      SELECT conversation_id::text AS "conversationId", change_seq AS "changeSeq", type, message_id::text AS "messageId",
             subject_id::text AS "subjectId", membership_id::text AS "membershipId",
             actor_id::text AS "actorId",
             (extract(epoch FROM created_at) * 1000)::float8 AS "committedAt"
      FROM changes
      WHERE changes.conversation_id = wanted.conversation_id AND changes.change_seq > wanted.change_seq
        AND (${types ?? null}::text[] IS NULL OR type = ANY (${types ?? null}::text[]))
      ORDER BY change_seq LIMIT ${limit}
    ) change
    ORDER BY wanted.n, change."changeSeq" LIMIT ${limit}`);

/** The changes of one log since a snapshot. */
export interface LogProgress {
  conversationId: string;
  /** The numbers of the first and of the last change. */
  fromSeq: number;
  toSeq: number;
  types: string[];
}

/**
 * Whether this history contains all transactions that a snapshot has seen as finished. After a crash, PostgreSQL assigns
 * the ids of transactions that were in progress again. A snapshot that contains such ids as in progress is valid, because
 * it has seen nothing of them.
 */
const isPast = (snapshot: Prisma.Sql) => Prisma.sql`(
  pg_snapshot_xmax(${snapshot}) <= pg_snapshot_xmax(pg_current_snapshot())
  OR pg_snapshot_xmax(${snapshot})::text::numeric - pg_snapshot_xmax(pg_current_snapshot())::text::numeric
     = (SELECT count(*) FROM pg_snapshot_xip(${snapshot}) AS open (xid)
        WHERE open.xid >= pg_snapshot_xmax(pg_current_snapshot())))`;

/**
 * The condition for rows that were written by transactions which a snapshot does not contain. Null without a snapshot.
 * An index finds them by the first part.
 */
export function isUnseenBy(snapshot: string | null, xid = Prisma.sql`xid`): Prisma.Sql {
  const seen = Prisma.sql`${snapshot}::text::pg_snapshot`;
  return Prisma.sql`(${xid} >= pg_snapshot_xmin(${seen}) AND NOT pg_visible_in_snapshot(${xid}, ${seen}))`;
}

/** The result of `readProgress`. */
export interface ProgressSince {
  /** The current cursor. A change that is neither contained in it nor in `progress` has not been committed yet. */
  at: SyncCursor;
  /** The logs that have changed. */
  progress: LogProgress[];
  /**
   * Whether this history contains everything that `from` has seen. If not, the database is another one, was restored, or
   * was failed over, and `progress` must not be used.
   */
  continued: boolean;
  timeline: string;
  /** Whether an epoch is stored for the current run of the database server. */
  hasEpoch: boolean;
}

/**
 * Reads which logs have changed since `from`. Without `from`, it only returns a cursor.
 * @throws an error with the code 25006 if the server is a standby in recovery, whose data may be outdated.
 */
export async function readProgress(
  { sql, history }: Pick<Database, 'sql' | 'history'>,
  from: SyncCursor | undefined,
  timeoutMs: number,
): Promise<ProgressSince> {
  const since = from?.snapshot ?? null;
  const { server } = history;
  type Head = SyncCursor & {
    past: boolean;
    known: string | null;
    intact: boolean | null;
    timeline: string | null;
    hasEpoch: boolean;
  };
  const rows = await sql.queryWithin<Head & { [Field in keyof LogProgress]: LogProgress[Field] | null }>(
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
             EXISTS (SELECT FROM epochs WHERE run = ${Prisma.raw(server.run)}) AS "hasEpoch"
      FROM (SELECT ${from?.epoch ?? null}::text AS epoch) given
    ),
    moved AS (
      SELECT conversation_id, min(change_seq) AS from_seq, max(change_seq) AS to_seq, array_agg(DISTINCT type) AS types
      FROM changes
      WHERE ${isUnseenBy(since)}
      GROUP BY conversation_id
    )
    SELECT snapshot, generation, epoch, past, known, intact, timeline, "hasEpoch",
           conversation_id::text AS "conversationId", from_seq AS "fromSeq", to_seq AS "toSeq", types
    FROM present LEFT JOIN moved ON true`,
  );
  const head = rows[0] as (typeof rows)[number];
  const { generation, epoch, snapshot: at, timeline, hasEpoch } = head;
  if (timeline === null) throw standbyError();
  const progress = rows.filter((row): row is Head & LogProgress => row.conversationId !== null);
  const isContinued = ({ generation: own, epoch: mine }: SyncCursor) =>
    generation === own && head.past && head.known === mine && head.intact === true;
  return {
    at: { generation, epoch, snapshot: at },
    progress,
    continued: !from || isContinued(from),
    timeline,
    hasEpoch,
  };
}

/** Selects the changes that a stream contains. */
export interface MissedQuery {
  /** The logs of the stream. */
  conversationIds: readonly string[];
  types: readonly string[];
  /** A user whose departures from conversations are included although these are no longer in `conversationIds`. */
  leaver: string | null;
  leaveTypes: readonly string[];
  /** The maximum number of changes. If there are more, the client fetches its data again, which is cheaper. */
  limit: number;
}

/** The numbers of missed changes of one log, in order. */
export interface MissedChanges {
  conversationId: string;
  changeSeqs: number[];
}

/**
 * Finds the changes that a cursor does not contain. Only their numbers are returned, because there can be many. Of the
 * changes of one message, member or conversation, only the latest is included. They are ordered by log and number; the
 * ids of transactions would not give their order, because they are assigned before a transaction waits for the row lock.
 * @throws {ChatError} CURSOR_EXPIRED with the field `after`: the log has been trimmed since, the database was restored or
 *   failed over, or more than `limit` changes were missed.
 */
export async function readMissed(
  database: Pick<Database, 'db' | 'history'>,
  cursor: SyncCursor,
  query: MissedQuery,
): Promise<MissedChanges[]> {
  const { snapshot } = cursor;
  const rows = await database.db.$queryRaw<MissedChanges[]>`
    SELECT conversation_id::text AS "conversationId", array_agg(change_seq ORDER BY change_seq) AS "changeSeqs"
    FROM (
      SELECT conversation_id, change_seq
      FROM (
      SELECT DISTINCT ON (conversation_id, message_id, subject_id) *
      FROM changes
      WHERE ${isUnseenBy(snapshot)}
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
  // Checked after reading: changes that are trimmed from now on have been read, and an earlier trim is detected.
  await checkCursor(database, cursor);
  if (rows.reduce((sum, { changeSeqs }) => sum + changeSeqs.length, 0) > query.limit)
    throw cursorExpired('after', `more than ${query.limit} changes have been missed`);
  return rows;
}

/**
 * Reads changes by their numbers, in the order of `keys`.
 * @throws {ChatError} CURSOR_EXPIRED with the field `after` if some were trimmed since they were found.
 */
export async function readChangesAt(
  sql: Sql,
  keys: readonly { conversationId: string; changeSeq: number }[],
): Promise<ChangeRow[]> {
  const rows = await sql.query<ChangeRow>(Prisma.sql`
    SELECT conversation_id::text AS "conversationId", change_seq AS "changeSeq", type, message_id::text AS "messageId",
           subject_id::text AS "subjectId", membership_id::text AS "membershipId",
           actor_id::text AS "actorId", (extract(epoch FROM created_at) * 1000)::float8 AS "committedAt"
    FROM unnest(${keys.map((key) => key.conversationId)}::uuid[], ${keys.map((key) => key.changeSeq)}::int[])
         WITH ORDINALITY AS key (conversation_id, change_seq, n)
    JOIN changes USING (conversation_id, change_seq)
    ORDER BY key.n`);
  if (rows.length < keys.length) throw cursorExpired('after', 'it is too old');
  return rows;
}

/**
 * Checks that a stream can resume from a cursor.
 * @throws {ChatError} CURSOR_EXPIRED with `field` if the log has been trimmed since, or if the database was restored or
 *   failed over.
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
  // The cursor has seen transactions or an epoch that this history does not contain.
  if (!row?.past || row.epoch !== epoch) throw cursorExpired(field, 'the database was restored');
  // The client may have received changes that are newer than the snapshot, and the failover may have lost them.
  if (!row.intact) throw cursorExpired(field, 'a database failover occurred');
  if (!row.kept) throw cursorExpired(field, 'it is too old');
}

/** The number of rows that one statement deletes, so that no other transaction waits long. */
const TRIM_BATCH = 5_000;

/**
 * Deletes changes older than `retentionMs` from the log. Cursors that do not contain them expire. Changes that are newer
 * than the oldest open transaction of the database cluster are not deleted before it ends, because even a current cursor
 * would not contain them.
 * @returns the number of deleted changes.
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

/** A conversation that a user is a member of. */
export interface JoinedConversation {
  conversationId: string;
  /** The number of the newest message that the user may not see; 0 if they may see all. */
  hiddenToSeq: number;
  /** The number of the conversation's newest change when this was read. */
  changeSeq: number;
}

/** The conversations of each user, in the order of `userIds`. */
export async function findJoinedConversations(sql: Sql, userIds: readonly string[]): Promise<JoinedConversation[][]> {
  const rows = await sql.query<{ userId: string; ids: string[]; hidden: number[]; changes: number[] }>(Prisma.sql`
    SELECT m.user_id::text AS "userId", array_agg(m.conversation_id::text) AS ids,
           array_agg(m.hidden_to_seq) AS hidden, array_agg(c.change_seq) AS changes
    FROM memberships m JOIN conversations c ON c.id = m.conversation_id
    WHERE m.user_id = ANY (${userIds}::uuid[]) GROUP BY m.user_id`);
  const byUser = new Map(
    rows.map(({ userId, ids, hidden, changes }) => [
      userId,
      ids.map((conversationId, index) => ({
        conversationId,
        hiddenToSeq: hidden[index] ?? 0,
        changeSeq: changes[index] ?? 0,
      })),
    ]),
  );
  return userIds.map((id) => byUser.get(id) ?? []);
}

/** The number of the newest change in each of these logs of conversations and users, by id. */
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

/** A user's access to a conversation. */
export interface Access {
  /** The number of the newest message that the user may not see; null if they are not a member. */
  hiddenToSeq: number | null;
  /** The number of the conversation's newest change when this was read. */
  changeSeq: number;
}

/** The access of users to conversations, in the order of `keys`. */
export const findAccess = (sql: Sql, keys: readonly { conversationId: string; userId: string }[]): Promise<Access[]> =>
  sql.query<Access>(Prisma.sql`
    SELECT memberships.hidden_to_seq AS "hiddenToSeq", coalesce(conversations.change_seq, 0) AS "changeSeq"
    FROM unnest(${keys.map((key) => key.conversationId)}::uuid[], ${keys.map((key) => key.userId)}::uuid[])
           WITH ORDINALITY AS key (conversation_id, user_id, n)
    LEFT JOIN memberships USING (conversation_id, user_id)
    LEFT JOIN conversations ON conversations.id = key.conversation_id
    ORDER BY key.n`);
