import { Prisma } from '../../generated/prisma/client.js';
import type { Db, Sql, Tx } from '../../infra/database/database.js';
import { defineLookup } from '../../platform/service.js';

/** SQL for whether one of two users has blocked the other; both are SQL expressions. */
// OFFSET 0 makes the planner look up each pair in the index, instead of hashing all blocks of a user for each pair.
export const haveBlock = (one: Prisma.Sql, other: Prisma.Sql) => Prisma.sql`(
  EXISTS (SELECT FROM blocks WHERE blocker_id = ${one} AND blocked_id = ${other} OFFSET 0)
  OR EXISTS (SELECT FROM blocks WHERE blocker_id = ${other} AND blocked_id = ${one} OFFSET 0))`;

/** SQL for whether a user (a row of `users`) can be reached by another one, given as an SQL expression. */
export const isReachable = (from: Prisma.Sql) => Prisma.sql`
  (users.deleted_at IS NULL AND users.suspended_at IS NULL AND NOT ${haveBlock(Prisma.raw('users.id'), from)})`;

/** Whether a user can reach each of these users, in the same order. */
export async function findReachable(db: Db | Tx, fromId: string, userIds: readonly string[]): Promise<boolean[]> {
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT id::text FROM users
    WHERE id = ANY (${userIds}::uuid[]) AND ${isReachable(Prisma.sql`${fromId}::uuid`)}`;
  const reachable = new Set(rows.map(({ id }) => id));
  return userIds.map((id) => reachable.has(id));
}

/** The relationship of one user to another. */
export interface Relationship {
  hasBlocked: boolean;
  canWrite: boolean;
  isContact: boolean;
}

/** The relationships of these pairs of users, in the same order. */
async function findRelationships(
  sql: Sql,
  pairs: readonly { viewerId: string; userId: string }[],
): Promise<Relationship[]> {
  return sql.query<Relationship>(Prisma.sql`
    SELECT EXISTS (SELECT FROM blocks WHERE blocker_id = pair.viewer_id AND blocked_id = pair.user_id) AS "hasBlocked",
           EXISTS (SELECT FROM users WHERE id = pair.user_id AND ${isReachable(Prisma.raw('pair.viewer_id'))}) AS "canWrite",
           EXISTS (SELECT FROM contacts WHERE owner_id = pair.viewer_id AND user_id = pair.user_id) AS "isContact"
    FROM unnest(${pairs.map(({ viewerId }) => viewerId)}::uuid[], ${pairs.map(({ userId }) => userId)}::uuid[])
         WITH ORDINALITY AS pair (viewer_id, user_id, n)
    ORDER BY pair.n`);
}

/** The relationship of one user to another. Reads are batched, for events that many viewers receive. */
export const relationshipLookup = defineLookup(
  'relationships',
  ({ database }, pairs: readonly { viewerId: string; userId: string }[]) => findRelationships(database.sql, pairs),
);
