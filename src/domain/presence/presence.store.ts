import { type Presence as PresenceRow, Prisma, type User } from '../../generated/prisma/client.js';
import type { Db, Sql } from '../../infra/database/database.js';
import { defineLookup } from '../../platform/service.js';
import { isReachable } from '../user/reach.store.js';
import { userColumns } from '../user/user.store.js';

export type Availability = PresenceRow['availability'];

/** What people want others to see, in their order; ONLINE for who has said nothing. */
export async function findAvailabilities(sql: Sql, userIds: readonly string[]): Promise<Availability[]> {
  const rows = await sql.query<{ userId: string; availability: Availability }>(Prisma.sql`
    SELECT user_id::text AS "userId", availability::text FROM presences WHERE user_id = ANY (${userIds}::uuid[])`);
  const byUser = new Map(rows.map((row) => [row.userId, row.availability]));
  return userIds.map((id) => byUser.get(id) ?? 'ONLINE');
}

/** Who changed that within the last so many milliseconds, by the database's clock. */
export const findChangedAvailabilities = (
  sql: Sql,
  withinMs: number,
): Promise<{ userId: string; availability: Availability }[]> =>
  sql.query(Prisma.sql`
    SELECT user_id::text AS "userId", availability::text FROM presences
    WHERE availability_at > clock_timestamp() - ${withinMs}::int * interval '1 millisecond'`);

/** Who turns invisible while others see them there was seen last in this moment. */
export async function storeAvailability(
  db: Db,
  userId: string,
  availability: Availability,
  isThere: boolean,
): Promise<void> {
  const vanishes = isThere && availability === 'INVISIBLE';
  await db.$executeRaw`
    INSERT INTO presences (user_id, availability, last_seen_at)
    VALUES (${userId}::uuid, ${availability}::"Availability", CASE WHEN ${vanishes}::boolean THEN clock_timestamp() END)
    ON CONFLICT (user_id) DO UPDATE SET
      availability = excluded.availability, availability_at = clock_timestamp(),
      last_seen_at = CASE
        WHEN ${vanishes}::boolean AND presences.availability <> 'INVISIBLE' THEN clock_timestamp()
        ELSE presences.last_seen_at
      END`;
}

/** Notes that these people, unless invisible, were seen last so many milliseconds ago; what is noted only moves on. */
export async function storeLastSeen(sql: Sql, seen: readonly { userId: string; agoMs: number }[]): Promise<void> {
  await sql.query(Prisma.sql`
    INSERT INTO presences (user_id, last_seen_at)
    SELECT seen.user_id, clock_timestamp() - min(seen.ago_ms) * interval '1 millisecond'
    FROM unnest(${seen.map(({ userId }) => userId)}::uuid[], ${seen.map(({ agoMs }) => Math.round(agoMs))}::int[])
           AS seen (user_id, ago_ms)
    JOIN users ON users.id = seen.user_id
    GROUP BY seen.user_id ORDER BY seen.user_id
    ON CONFLICT (user_id) DO UPDATE SET last_seen_at = excluded.last_seen_at
      WHERE presences.availability <> 'INVISIBLE'
        AND (presences.last_seen_at IS NULL OR presences.last_seen_at < excluded.last_seen_at)`);
}

/** A person with when they were last seen. */
export type SeenUser = User & { lastSeenAt: Date | null };

/** In their order; null of who does not exist. */
export async function findSeen(sql: Sql, userIds: readonly string[]): Promise<(SeenUser | null)[]> {
  const rows = await sql.query<Record<string, unknown>>(Prisma.sql`
    SELECT ${userColumns.select}, presences.last_seen_at AS "lastSeenAt"
    FROM users person LEFT JOIN presences ON presences.user_id = person.id
    WHERE person.id = ANY (${[...new Set(userIds)]}::uuid[])`);
  const byId = new Map<string, SeenUser>();
  for (const row of rows) {
    const user = userColumns.of(row);
    if (user) byId.set(user.id, { ...user, lastSeenAt: row['lastSeenAt'] as Date | null });
  }
  return userIds.map((id) => byId.get(id) ?? null);
}

/** Somebody, and whom they would like to see. */
export interface Sight {
  viewerId: string;
  userId: string;
}

/**
 * The `direct_key` of two users, whose ids are SQL expressions: the smaller id by its bytes comes first. The result has
 * the collation of the column, because the index on the column serves no other one.
 */
const directKey = (one: string, other: string) =>
  Prisma.raw(
    `(least(${one}::text COLLATE "C", ${other}::text) || ':' || greatest(${one}::text COLLATE "C", ${other}::text)) COLLATE "default"`,
  );

/**
 * Whether people may see others' presence, in their order: their own; of members of groups that they are in; of whom
 * they have a direct conversation with, once these have opened it themselves, written in it, or have them as a contact;
 * and of contacts who have them as a contact as well. Never of who cannot be reached, whatever the reason.
 */
async function findSeeable(sql: Sql, sights: readonly Sight[]): Promise<boolean[]> {
  // The scalar subqueries and OFFSET 0 keep the order in which tables are read: by an index for each pair. Where the
  // statistics are out of date, the planner would choose to read whole tables for each of them.
  const rows = await sql.query<{ seeable: boolean }>(Prisma.sql`
    SELECT sight.viewer_id = sight.user_id OR EXISTS (
      SELECT FROM users WHERE users.id = sight.user_id AND ${isReachable(Prisma.raw('sight.viewer_id'))} OFFSET 0
    ) AND (EXISTS (
      SELECT FROM contacts own
      WHERE own.owner_id = sight.viewer_id AND own.user_id = sight.user_id
        AND (SELECT true FROM contacts theirs WHERE theirs.owner_id = own.user_id AND theirs.user_id = own.owner_id)
      OFFSET 0
    ) OR EXISTS (
      SELECT FROM conversations
      WHERE direct_key = ${directKey('sight.viewer_id', 'sight.user_id')} AND (
        created_by_id = sight.user_id
        OR EXISTS (SELECT FROM messages WHERE conversation_id = conversations.id AND sender_id = sight.user_id OFFSET 0)
        OR EXISTS (SELECT FROM contacts WHERE owner_id = sight.user_id AND user_id = sight.viewer_id OFFSET 0)
      ) OFFSET 0
    ) OR EXISTS (
      SELECT FROM memberships theirs
      WHERE theirs.user_id = sight.user_id
        AND (SELECT true FROM memberships own
             WHERE own.conversation_id = theirs.conversation_id AND own.user_id = sight.viewer_id)
        AND (SELECT kind FROM conversations WHERE conversations.id = theirs.conversation_id) = 'GROUP'
      OFFSET 0
    )) AS seeable
    FROM unnest(${sights.map(({ viewerId }) => viewerId)}::uuid[], ${sights.map(({ userId }) => userId)}::uuid[])
         WITH ORDINALITY AS sight (viewer_id, user_id, n)
    ORDER BY sight.n`);
  return rows.map(({ seeable }) => seeable);
}

/** Whether a person may see another's presence. */
export const presenceVisibilityLookup = defineLookup('presence visibility', ({ database }, pairs: readonly Sight[]) =>
  findSeeable(database.sql, pairs),
);

/** The direct conversations that somebody has with any of these people. */
export const findDirects = (
  sql: Sql,
  viewerId: string,
  userIds: readonly string[],
): Promise<{ conversationId: string; userId: string }[]> =>
  sql.query(Prisma.sql`
    SELECT conversations.id::text AS "conversationId", other.user_id::text AS "userId"
    FROM unnest(${userIds}::uuid[], ${userIds.map(() => viewerId)}::uuid[]) AS other (user_id, viewer_id)
    JOIN conversations ON conversations.direct_key = ${directKey('other.viewer_id', 'other.user_id')}`);

/** Whom somebody talks with in direct conversations, the latest first; then their contacts, the latest first. */
export async function findAcquainted(db: Db, viewerId: string, limit: number): Promise<string[]> {
  const rows = await db.$queryRaw<{ userId: string }[]>`
    (
      SELECT other.user_id::text AS "userId"
      FROM memberships own
      JOIN conversations ON conversations.id = own.conversation_id AND conversations.kind = 'DIRECT'
      JOIN memberships other ON other.conversation_id = own.conversation_id AND other.user_id <> own.user_id
      WHERE own.user_id = ${viewerId}::uuid
      ORDER BY conversations.last_activity_at DESC LIMIT ${limit}::int
    )
    UNION ALL
    (
      SELECT user_id::text FROM contacts WHERE owner_id = ${viewerId}::uuid
      ORDER BY added_at DESC, user_id DESC LIMIT ${limit}::int
    )`;
  return [...new Set(rows.map(({ userId }) => userId))].slice(0, limit);
}
