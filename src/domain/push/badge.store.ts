import { Prisma } from '../../generated/prisma/client.js';
import type { Sql, SqlTransaction } from '../../infra/database/database.js';
import type { GatewayDevice } from './push.senders.js';
import { unreadOf } from './push.store.js';

/**
 * Adds jobs for users who have read messages, and to whose devices at a gateway a number of unread messages was sent. Only
 * rows are inserted, so that the notifier does not wait for the workers.
 * @param moved a condition on `marks mark`: which marks have moved.
 */
export const enqueueBadges = (sql: SqlTransaction, moved: Prisma.Sql, delayMs: number): Promise<unknown> =>
  sql.query(Prisma.sql`
    INSERT INTO push_badge_jobs (user_id, due_at)
    SELECT DISTINCT mark.user_id, clock_timestamp() + ${delayMs}::float8 * interval '1 millisecond'
    FROM marks mark
    JOIN push_subscriptions sub ON sub.user_id = mark.user_id AND sub.kind = 'GATEWAY' AND sub.badge > 0
    WHERE ${moved}`);

/** Events that have changed the number of unread messages of users, other than reading. */
export interface BadgeCauses {
  /** Messages that were deleted. */
  deletedIds: readonly string[];
  /** Users who have left a conversation, or have changed whether one counts. */
  userIds: readonly string[];
}

/** Adds jobs for the users whose number of unread messages may have changed, and who have devices at a gateway. */
export const enqueueOtherBadges = (
  sql: SqlTransaction,
  { deletedIds, userIds }: BadgeCauses,
  delayMs: number,
): Promise<unknown> =>
  sql.query(Prisma.sql`
    INSERT INTO push_badge_jobs (user_id, due_at)
    SELECT DISTINCT sub.user_id, clock_timestamp() + ${delayMs}::float8 * interval '1 millisecond'
    FROM (
      SELECT mark.user_id, true AS is_fewer
      FROM messages
      JOIN marks mark ON mark.conversation_id = messages.conversation_id AND mark.read_seq < messages.seq
      WHERE messages.id = ANY (${deletedIds}::uuid[])
      UNION ALL
      SELECT user_id, false FROM unnest(${userIds}::uuid[]) AS owner (user_id)
    ) AS concerned
    JOIN push_subscriptions sub ON sub.user_id = concerned.user_id AND sub.kind = 'GATEWAY'
      -- A device that shows no number cannot show a smaller one.
      AND (sub.badge > 0 OR NOT concerned.is_fewer)`);

/** A job that this node has claimed. */
export interface BadgeJob {
  id: string;
  userId: string;
}

/** Claims jobs that are due, and deletes those that have failed for `ttlMs`. Other nodes skip them until the claim ends. */
export const claimBadgeJobs = (
  sql: Sql,
  { count, claimMs, ttlMs }: { count: number; claimMs: number; ttlMs: number },
): Promise<BadgeJob[]> =>
  sql.query<BadgeJob>(Prisma.sql`
    WITH due AS MATERIALIZED (
      SELECT id, created_at < clock_timestamp() - ${ttlMs}::float8 * interval '1 millisecond' AS is_old
      FROM push_badge_jobs WHERE due_at <= clock_timestamp()
      ORDER BY due_at LIMIT ${count}::int FOR UPDATE SKIP LOCKED
    ),
    expired AS (DELETE FROM push_badge_jobs job USING due WHERE job.id = due.id AND due.is_old)
    UPDATE push_badge_jobs job SET due_at = clock_timestamp() + ${claimMs}::float8 * interval '1 millisecond'
    FROM due WHERE job.id = due.id AND NOT due.is_old
    RETURNING job.id::text, job.user_id::text AS "userId"`);

/** A device that shows another number than that of the unread messages. */
export interface OutdatedBadge extends GatewayDevice {
  subscriptionId: string;
  userId: string;
  unreadCount: number;
  /** Whether nothing may be sent to the device at present. */
  isPaused: boolean;
}

/** The devices of these users that show another number. */
export const findOutdatedBadges = (sql: Sql, userIds: readonly string[]): Promise<OutdatedBadge[]> =>
  sql.query<OutdatedBadge>(Prisma.sql`
    SELECT sub.id::text AS "subscriptionId", sub.user_id::text AS "userId", sub.app_id AS "appId", sub.endpoint,
           sub.created_at AS "registeredAt", coalesce(unread.count, 0)::int AS "unreadCount",
           sub.paused_until > clock_timestamp() AS "isPaused"
    FROM (SELECT DISTINCT user_id FROM unnest(${userIds}::uuid[]) AS owner (user_id)) AS owner
    CROSS JOIN LATERAL (${unreadOf(Prisma.raw('owner.user_id'))}) AS unread
    JOIN push_subscriptions sub ON sub.user_id = owner.user_id AND sub.kind = 'GATEWAY'
    JOIN sessions ON sessions.id = sub.session_id AND sessions.ended_at IS NULL
      AND sessions.expires_at > clock_timestamp()
    JOIN users ON users.id = sub.user_id AND users.suspended_at IS NULL AND users.deleted_at IS NULL
    WHERE sub.badge <> coalesce(unread.count, 0)`);

/** Records the number that a device shows now. */
export const setBadge = (sql: Sql, { subscriptionId, unreadCount }: OutdatedBadge): Promise<unknown> =>
  sql.query(Prisma.sql`
    UPDATE push_subscriptions SET badge = ${unreadCount}::int WHERE id = ${subscriptionId}::uuid`);

/** Deletes a device that its gateway no longer accepts. */
export const removeDevice = (sql: Sql, { subscriptionId }: OutdatedBadge): Promise<unknown> =>
  sql.query(Prisma.sql`DELETE FROM push_subscriptions WHERE id = ${subscriptionId}::uuid`);

/** Ends jobs after which every device shows the right number. */
export const endBadgeJobs = (sql: Sql, ids: readonly string[]): Promise<unknown> =>
  sql.query(Prisma.sql`DELETE FROM push_badge_jobs WHERE id = ANY (${ids}::uuid[])`);

/** Makes jobs due again after this time. */
export const delayBadgeJobs = (sql: Sql, ids: readonly string[], delayMs: number): Promise<unknown> =>
  sql.query(Prisma.sql`
    UPDATE push_badge_jobs SET due_at = clock_timestamp() + ${delayMs}::float8 * interval '1 millisecond'
    WHERE id = ANY (${ids}::uuid[])`);
