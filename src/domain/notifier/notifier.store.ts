import { type Notification, type NotificationKind, Prisma } from '../../generated/prisma/client.js';
import type { Config } from '../../infra/config/config.js';
import { type Db, queryIn, type Sql, type SqlTransaction, type Tx } from '../../infra/database/database.js';
import type { ChangeRow } from '../../realtime/change.js';
import {
  NOTIFICATION_ADDED,
  NOTIFICATION_REMOVED,
  NOTIFICATION_UPDATED,
  type StoredNotification,
} from './notifier.events.js';
import { wantsNotifications } from './notifier.levels.js';
import type { Occurrence } from './notifier.sources.js';

// ── the position ──

/** The position of the notifier. It is processing what `target` contains and `seen` does not. */
export interface Position {
  seen: string;
  /** Null between two rounds. */
  target: string | null;
  /** The last processed change between the two. */
  after: Pick<ReadChange, 'xid' | 'conversationId' | 'changeSeq'> | null;
}

/** A position in a round. */
type OpenPosition = Position & { target: string };

/** A change with the transaction that wrote it. */
export interface ReadChange extends ChangeRow {
  xid: string;
  /** The sources that the change concerns: a bit for each of them, in their order. */
  concerned: number;
}

/** What the notifier reads at the beginning of a step. */
export interface Claimed {
  position: OpenPosition;
  /** The next changes, in the order of their transactions. */
  changes: ReadChange[];
  /** Whether marks have moved between the two snapshots of the position. */
  hasMovedMarks: boolean;
}

/** A source whose changes are to be read. */
export interface ReadSource {
  types: readonly string[];
  /** A condition on `change`; undefined for all changes of the types. */
  concerns: Prisma.Sql | undefined;
}

/**
 * Locks the position until the end of the transaction, unless another node has claimed the notifier, and reads the next
 * changes of these types, at most `limit`. The position of another database has no meaning in this one: the notifier then
 * begins at present.
 * @returns undefined if another node has claimed the notifier.
 */
export async function claim(
  sql: SqlTransaction,
  { nodeId, generation }: { nodeId: string; generation: string },
  { types, sources, limit }: { types: readonly string[]; sources: readonly ReadSource[]; limit: number },
): Promise<Claimed | undefined> {
  const isOther = Prisma.sql`generation IS DISTINCT FROM ${generation}::text`;
  const present = Prisma.sql`pg_current_snapshot()::text`;
  const bits = sources.map(
    ({ types: own, concerns = Prisma.sql`true` }, index) => Prisma.sql`
      CASE WHEN change.type = ANY (${own}::text[]) AND (${concerns}) THEN ${1 << index}::int ELSE 0 END`,
  );
  const rows = await sql.query<StateRow & { [Field in keyof ReadChange]: ReadChange[Field] | null }>(
    Prisma.sql`
    WITH state AS MATERIALIZED (
      SELECT CASE WHEN ${isOther} OR seen IS NULL THEN ${present} ELSE seen END AS seen,
             CASE WHEN ${isOther} OR target IS NULL THEN ${present} ELSE target END AS target,
             CASE WHEN ${isOther} THEN NULL ELSE after_xid END::xid8 AS after_xid,
             CASE WHEN ${isOther} THEN NULL ELSE after_log_id END AS after_log_id,
             CASE WHEN ${isOther} THEN NULL ELSE after_change_seq END AS after_change_seq
      FROM notifier_state
      WHERE claimed_by = ${nodeId}::text OR claimed_until < clock_timestamp()
      FOR UPDATE
    ),
    -- Once, and not for each change.
    marked AS MATERIALIZED (
      SELECT EXISTS (
        SELECT FROM state JOIN marks mark ON ${isMovedBetween(Prisma.sql`state.seen`, Prisma.sql`state.target`)}
      ) AS has_moved
    )
    SELECT state.seen, state.target, (SELECT has_moved FROM marked) AS "hasMovedMarks",
           state.after_xid::text AS "afterXid", state.after_log_id::text AS "afterLogId",
           state.after_change_seq AS "afterChangeSeq", change.xid::text, change.log_id::text AS "conversationId",
           change.change_seq AS "changeSeq", change.type, change.message_id::text AS "messageId",
           change.subject_id::text AS "subjectId", change.actor_id::text AS "actorId",
           (extract(epoch FROM change.at) * 1000)::float8 AS "committedAt",
           ${Prisma.join([Prisma.sql`0`, ...bits], ' | ')} AS concerned
    FROM state
    LEFT JOIN LATERAL (
      -- The first condition is what the index finds; the changes of a transaction are few.
      SELECT xid, conversation_id AS log_id, change_seq, type, message_id, subject_id, actor_id, created_at AS at
      FROM changes
      WHERE xid >= greatest(pg_snapshot_xmin(state.seen::pg_snapshot), state.after_xid)
        AND xid < pg_snapshot_xmax(state.target::pg_snapshot)
        AND NOT pg_visible_in_snapshot(xid, state.seen::pg_snapshot)
        AND pg_visible_in_snapshot(xid, state.target::pg_snapshot)
        AND type = ANY (${types}::text[])
        AND (state.after_xid IS NULL
          OR (xid, conversation_id, change_seq) > (state.after_xid, state.after_log_id, state.after_change_seq))
      ORDER BY xid, conversation_id, change_seq LIMIT ${limit}::int
    ) change ON true
    ORDER BY change.xid, change.log_id, change.change_seq`,
    'notifierClaim',
  );
  const [first] = rows;
  if (!first) return undefined;
  const { seen, target, hasMovedMarks, afterXid: xid, afterLogId: conversationId, afterChangeSeq: changeSeq } = first;
  const after =
    xid === null || conversationId === null || changeSeq === null ? null : { xid, conversationId, changeSeq };
  return {
    position: { seen, target, after },
    changes: rows.filter((row): row is StateRow & ReadChange => row.xid !== null),
    hasMovedMarks,
  };
}

interface StateRow {
  seen: string;
  target: string;
  hasMovedMarks: boolean;
  afterXid: string | null;
  afterLogId: string | null;
  afterChangeSeq: number | null;
}

/** Stores the position, and that the node is the notifier until another one can take over after `claimMs`. */
export async function moveTo(
  sql: SqlTransaction,
  { nodeId, generation, claimMs }: { nodeId: string; generation: string; claimMs: number },
  { seen, target, after }: Position,
): Promise<void> {
  await sql.query(
    Prisma.sql`
    UPDATE notifier_state SET
      claimed_by = ${nodeId}::text, claimed_until = clock_timestamp() + ${claimMs}::int * interval '1 millisecond',
      generation = ${generation}::text, seen = ${seen}::text, target = ${target}::text,
      after_xid = ${after?.xid ?? null}::text, after_log_id = ${after?.conversationId ?? null}::uuid,
      after_change_seq = ${after?.changeSeq ?? null}::int`,
    'notifierMove',
  );
}

/** Releases the claim of a node that stops. */
export const release = (db: Db, nodeId: string): Promise<number> =>
  db.$executeRaw`UPDATE notifier_state SET claimed_until = '-infinity' WHERE claimed_by = ${nodeId}`;

// ── occurrences ──

/** The relation `change` of sources and removals. */
function changeRelation(changes: readonly ChangeRow[]): Prisma.Sql {
  const column = <Value>(value: (change: ChangeRow) => Value) => changes.map(value);
  return Prisma.sql`
    change AS MATERIALIZED (
      SELECT type, log_id, message_id, subject_id, actor_id, at::timestamptz(3) AS at
      FROM unnest(
        ${column(({ type }) => type)}::text[], ${column(({ conversationId }) => conversationId)}::uuid[],
        ${column(({ messageId }) => messageId)}::uuid[], ${column(({ subjectId }) => subjectId)}::uuid[],
        ${column(({ actorId }) => actorId)}::uuid[],
        ${column(({ committedAt }) => new Date(committedAt ?? Date.now()).toISOString())}::text[]
      ) AS change (type, log_id, message_id, subject_id, actor_id, at)
    )`;
}

const occurrenceColumns = (name: string) =>
  Prisma.raw(`
  ${name}.user_id::text AS "userId", ${name}.kind::text AS kind, ${name}.actor_id::text AS "actorId",
  ${name}.subject_id::text AS "subjectId", ${name}.collapse_id::text AS "collapseId",
  ${name}.conversation_id::text AS "conversationId", ${name}.seq`);

/** An occurrence after a statement: whether it was added, and whether its user has seen it already. */
export type ChangedOccurrence = Occurrence & { isAdded: boolean; isRead: boolean };

/** Removes the occurrences to which the condition applies. */
export async function removeOccurrences(
  sql: Sql,
  changes: readonly ChangeRow[],
  ended: Prisma.Sql,
): Promise<ChangedOccurrence[]> {
  const rows = await sql.query<Occurrence>(Prisma.sql`
    WITH ${changeRelation(changes)}
    DELETE FROM notification_occurrences occurrence USING change
    WHERE (${ended}) AND occurrence.at <= change.at
    RETURNING ${occurrenceColumns('occurrence')}`);
  return rows.map((row) => ({ ...row, isAdded: false, isRead: false }));
}

/** Compares the stored occurrences of a source with the present ones, and stores the difference. */
export function compareOccurrences(
  sql: Sql,
  config: Config,
  changes: readonly ChangeRow[],
  source: { kind: NotificationKind; occurrences: Prisma.Sql; compared: Prisma.Sql; isReadWithMessage: boolean },
): Promise<ChangedOccurrence[]> {
  const isRead = source.isReadWithMessage ? Prisma.sql`coalesce(mark.read_seq >= found.seq, false)` : Prisma.sql`false`;
  const kind = Prisma.sql`${source.kind}::text::"NotificationKind"`;
  return sql.query<ChangedOccurrence>(Prisma.sql`
    WITH ${changeRelation(changes)},
    found AS MATERIALIZED (
      SELECT DISTINCT ON (subject_id, user_id, actor_id)
             subject_id, user_id, actor_id, collapse_id, conversation_id, seq, at
      FROM (${source.occurrences}) occurrence
      WHERE user_id <> actor_id
      ORDER BY subject_id, user_id, actor_id, at
    ),
    removed AS (
      DELETE FROM notification_occurrences occurrence USING change
      WHERE occurrence.kind = ${kind} AND (${source.compared}) AND NOT EXISTS (
        SELECT FROM found
        WHERE found.subject_id = occurrence.subject_id AND found.user_id = occurrence.user_id
          AND found.actor_id = occurrence.actor_id
      )
      RETURNING occurrence.*
    ),
    wanted AS MATERIALIZED (
      SELECT found.*, ${isRead} AS is_read
      FROM found
      JOIN memberships own ON own.conversation_id = found.conversation_id AND own.user_id = found.user_id
      JOIN users person ON person.id = found.user_id AND person.suspended_at IS NULL AND person.deleted_at IS NULL
      LEFT JOIN marks mark ON mark.conversation_id = found.conversation_id AND mark.user_id = found.user_id
      LEFT JOIN member_notification_settings own_settings ON own_settings.membership_id = own.id
      LEFT JOIN notification_settings settings ON settings.user_id = found.user_id
      WHERE (found.seq IS NULL OR found.seq > own.hidden_to_seq)
        AND ${wantsNotifications(config, 'MENTIONS', Prisma.sql`found.at`)}
        AND NOT EXISTS (SELECT FROM blocks WHERE blocker_id = found.user_id AND blocked_id = found.actor_id)
    ),
    added AS (
      INSERT INTO notification_occurrences AS occurrence
        (subject_id, kind, user_id, actor_id, collapse_id, conversation_id, seq, at)
      SELECT subject_id, ${kind}, user_id, actor_id, collapse_id, conversation_id, seq, at FROM wanted
      ON CONFLICT DO NOTHING
      RETURNING occurrence.*
    )
    SELECT ${occurrenceColumns('added')}, true AS "isAdded", wanted.is_read AS "isRead"
    FROM added JOIN wanted USING (subject_id, user_id, actor_id)
    UNION ALL
    SELECT ${occurrenceColumns('removed')}, false, false FROM removed`);
}

// ── notifications ──

const notificationColumns = (name: string) =>
  Prisma.raw(`
  ${name}.id::text, ${name}.user_id::text AS "userId", ${name}.kind::text AS kind,
  ${name}.collapse_id::text AS "collapseId", ${name}.conversation_id::text AS "conversationId", ${name}.seq,
  ${name}.actor_ids::text[] AS "actorIds", ${name}.count, ${name}.created_at AS "createdAt", ${name}.read_at AS "readAt"`);

/** The maximum number of actors of a notification, as the schema promises. */
const ACTORS_MAX = 10;
/** The number of newest occurrences among which they are found. */
const ACTORS_AMONG = 50;

/** Derives the notifications of these occurrences again. A new occurrence that was not seen makes its notification unread. */
export async function deriveNotifications(
  sql: Sql,
  occurrences: readonly ChangedOccurrence[],
): Promise<StoredNotification[]> {
  const keyed = new Map<string, Pick<ChangedOccurrence, 'userId' | 'kind' | 'collapseId'> & { isUnread: boolean }>();
  for (const { userId, kind, collapseId, isAdded, isRead } of occurrences) {
    const key = `${userId} ${kind} ${collapseId}`;
    const isUnread = (keyed.get(key)?.isUnread ?? false) || (isAdded && !isRead);
    keyed.set(key, { userId, kind, collapseId, isUnread });
  }
  const keys = [...keyed.values()];
  return sql.query<StoredNotification>(Prisma.sql`
    WITH key AS MATERIALIZED (
      SELECT * FROM unnest(
        ${keys.map(({ userId }) => userId)}::uuid[], ${keys.map(({ kind }) => kind)}::text[]::"NotificationKind"[],
        ${keys.map(({ collapseId }) => collapseId)}::uuid[], ${keys.map(({ isUnread }) => isUnread)}::boolean[]
      ) AS key (user_id, kind, collapse_id, is_unread)
    ),
    existing AS MATERIALIZED (
      -- Locked in a fixed order, which is that of marking as read.
      SELECT notifications.* FROM notifications JOIN key USING (user_id, kind, collapse_id)
      ORDER BY notifications.id FOR UPDATE OF notifications
    ),
    state AS MATERIALIZED (
      SELECT key.*, existing.id AS existing_id, newest.at, newest.conversation_id, newest.seq,
             (SELECT count(*)::int FROM notification_occurrences occurrence
              WHERE occurrence.user_id = key.user_id AND occurrence.kind = key.kind
                AND occurrence.collapse_id = key.collapse_id) AS count,
             ARRAY(
               SELECT actor_id FROM (
                 SELECT actor_id, at FROM notification_occurrences occurrence
                 WHERE occurrence.user_id = key.user_id AND occurrence.kind = key.kind
                   AND occurrence.collapse_id = key.collapse_id
                 ORDER BY at DESC LIMIT ${ACTORS_AMONG}::int
               ) recent
               GROUP BY actor_id ORDER BY max(at) DESC, actor_id LIMIT ${ACTORS_MAX}::int
             ) AS actor_ids
      FROM key
      LEFT JOIN existing USING (user_id, kind, collapse_id)
      LEFT JOIN LATERAL (
        SELECT * FROM notification_occurrences occurrence
        WHERE occurrence.user_id = key.user_id AND occurrence.kind = key.kind
          AND occurrence.collapse_id = key.collapse_id
        ORDER BY at DESC, seq DESC NULLS LAST LIMIT 1
      ) newest ON true
    ),
    added AS (
      INSERT INTO notifications AS own
        (id, user_id, kind, collapse_id, conversation_id, seq, actor_ids, count, created_at, read_at)
      SELECT gen_random_uuid(), user_id, kind, collapse_id, conversation_id, seq, actor_ids, count, at,
             CASE WHEN is_unread THEN NULL ELSE clock_timestamp() END
      FROM state WHERE existing_id IS NULL AND count > 0
      RETURNING own.*
    ),
    updated AS (
      UPDATE notifications own
      SET conversation_id = state.conversation_id, seq = state.seq, actor_ids = state.actor_ids, count = state.count,
          created_at = state.at, read_at = CASE WHEN state.is_unread THEN NULL ELSE own.read_at END
      FROM state WHERE own.id = state.existing_id AND state.count > 0
      RETURNING own.*
    ),
    removed AS (
      DELETE FROM notifications own USING state WHERE own.id = state.existing_id AND state.count = 0
      RETURNING own.*
    )
    SELECT ${notificationColumns('added')}, ${NOTIFICATION_ADDED} AS type FROM added
    UNION ALL SELECT ${notificationColumns('updated')}, ${NOTIFICATION_UPDATED} FROM updated
    UNION ALL SELECT ${notificationColumns('removed')}, ${NOTIFICATION_REMOVED} FROM removed`);
}

/** Removes the oldest notifications of these users beyond `max`. */
export const removeBeyond = (
  tx: SqlTransaction,
  userIds: readonly string[],
  max: number,
): Promise<StoredNotification[]> =>
  remove(
    tx,
    Prisma.sql`
      SELECT beyond.id FROM unnest(${userIds}::uuid[]) AS owner (user_id)
      CROSS JOIN LATERAL (
        SELECT id FROM notifications WHERE notifications.user_id = owner.user_id
        ORDER BY created_at DESC, id DESC OFFSET ${max}::int
      ) beyond`,
  );

/** The number of notifications that one transaction removes or marks as read. */
export const NOTIFICATION_BATCH = 500;

/** Removes notifications whose newest occurrence is older than `retentionMs`, at most NOTIFICATION_BATCH. */
export const removeOld = (tx: Tx, retentionMs: number): Promise<StoredNotification[]> =>
  remove(
    tx,
    Prisma.sql`
      SELECT id FROM notifications
      WHERE created_at < clock_timestamp() - ${retentionMs}::float8 * interval '1 millisecond'
      LIMIT ${NOTIFICATION_BATCH}::int`,
  );

const remove = (tx: Tx | SqlTransaction, ids: Prisma.Sql): Promise<StoredNotification[]> =>
  queryIn<StoredNotification>(
    tx,
    Prisma.sql`
    WITH locked AS MATERIALIZED (
      SELECT id FROM notifications WHERE id IN (${ids}) ORDER BY id FOR UPDATE
    ),
    removed AS (DELETE FROM notifications USING locked WHERE notifications.id = locked.id RETURNING notifications.*),
    forgotten AS (
      DELETE FROM notification_occurrences occurrence USING removed
      WHERE occurrence.user_id = removed.user_id AND occurrence.kind = removed.kind
        AND occurrence.collapse_id = removed.collapse_id
    )
    SELECT ${notificationColumns('removed')}, ${NOTIFICATION_REMOVED} AS type FROM removed`,
  );

/** A condition on `marks mark`: whether the mark moved between the two snapshots of the position. */
export const movedMarks = ({ seen, target }: Pick<OpenPosition, 'seen' | 'target'>): Prisma.Sql =>
  isMovedBetween(Prisma.sql`${seen}::text`, Prisma.sql`${target}::text`);

/** The same for snapshots in SQL. An index finds the marks by the first part. */
const isMovedBetween = (seen: Prisma.Sql, target: Prisma.Sql): Prisma.Sql => Prisma.sql`
  mark.xid >= pg_snapshot_xmin(${seen}::pg_snapshot) AND NOT pg_visible_in_snapshot(mark.xid, ${seen}::pg_snapshot)
    AND pg_visible_in_snapshot(mark.xid, ${target}::pg_snapshot)`;

/**
 * Marks notifications as read whose messages their users have read, by marks that moved between the two snapshots of
 * the position; at most NOTIFICATION_BATCH.
 */
export const readByMarks = (tx: SqlTransaction, position: OpenPosition): Promise<StoredNotification[]> =>
  markRead(
    tx,
    Prisma.sql`
      SELECT notification.id
      FROM marks mark
      JOIN notifications notification
        ON notification.user_id = mark.user_id AND notification.conversation_id = mark.conversation_id
      WHERE ${movedMarks(position)}
        AND notification.read_at IS NULL AND notification.seq <= mark.read_seq
      LIMIT ${NOTIFICATION_BATCH}::int`,
    'notifierMarks',
  );

/** Marks the user's notifications as read up to one of them, in the order of the inbox. */
export const readUpTo = (
  tx: Tx,
  { userId, createdAt, id }: Pick<Notification, 'userId' | 'createdAt' | 'id'>,
): Promise<StoredNotification[]> =>
  markRead(
    tx,
    Prisma.sql`
      SELECT id FROM notifications
      WHERE user_id = ${userId}::uuid AND read_at IS NULL
        AND (created_at, id) <= (${createdAt.toISOString()}::text::timestamptz, ${id}::uuid)`,
  );

/** Marks one notification as read. */
export const readOne = (tx: Tx, { id }: Pick<Notification, 'id'>): Promise<StoredNotification[]> =>
  markRead(tx, Prisma.sql`SELECT ${id}::uuid`);

const markRead = (tx: Tx | SqlTransaction, ids: Prisma.Sql, name?: string): Promise<StoredNotification[]> =>
  queryIn<StoredNotification>(
    tx,
    Prisma.sql`
    WITH locked AS MATERIALIZED (
      SELECT id FROM notifications WHERE id IN (${ids}) AND read_at IS NULL ORDER BY id FOR UPDATE
    ),
    updated AS (
      UPDATE notifications SET read_at = clock_timestamp() FROM locked WHERE notifications.id = locked.id
      RETURNING notifications.*
    )
    SELECT ${notificationColumns('updated')}, ${NOTIFICATION_UPDATED} AS type FROM updated`,
    name,
  );
