import { type Presence as PresenceRow, Prisma, type User } from '../../generated/prisma/client.js';
import type { Db, Sql, Tx } from '../../infra/database/database.js';
import { defineLookup } from '../../platform/service.js';
import { isAdded } from '../conversation/conversation.store.js';
import { isReachable } from '../user/reach.store.js';
import { userColumns } from '../user/user.store.js';

export type Availability = PresenceRow['availability'];

/** The availabilities of users, in the same order; ONLINE for users who have not set any. */
export async function findAvailabilities(sql: Sql, userIds: readonly string[]): Promise<Availability[]> {
  const rows = await sql.query<{ userId: string; availability: Availability }>(Prisma.sql`
    SELECT user_id::text AS "userId", availability::text FROM presences WHERE user_id = ANY (${userIds}::uuid[])`);
  const byUser = new Map(rows.map((row) => [row.userId, row.availability]));
  return userIds.map((id) => byUser.get(id) ?? 'ONLINE');
}

/** The users who changed their availability within the last `withinMs` milliseconds, by the database's clock. */
export const findChangedAvailabilities = (
  sql: Sql,
  withinMs: number,
): Promise<{ userId: string; availability: Availability }[]> =>
  sql.query(Prisma.sql`
    SELECT user_id::text AS "userId", availability::text FROM presences
    WHERE availability_at > clock_timestamp() - ${withinMs}::int * interval '1 millisecond'`);

/**
 * Stores how a user wants to appear to others. For a visible user (`isVisible`) who becomes invisible, the current time
 * is stored as when they were last seen.
 * @returns whether the value has changed.
 */
export async function storeAvailability(
  tx: Tx,
  userId: string,
  availability: Availability,
  isVisible: boolean,
): Promise<boolean> {
  const before = await tx.presence.findUnique({ where: { userId }, select: { availability: true } });
  const vanishes = isVisible && availability === 'INVISIBLE';
  await tx.$executeRaw`
    INSERT INTO presences (user_id, availability, last_seen_at)
    VALUES (${userId}::uuid, ${availability}::"Availability", CASE WHEN ${vanishes}::boolean THEN clock_timestamp() END)
    ON CONFLICT (user_id) DO UPDATE SET
      availability = excluded.availability, availability_at = clock_timestamp(),
      last_seen_at = CASE
        WHEN ${vanishes}::boolean AND presences.availability <> 'INVISIBLE' THEN clock_timestamp()
        ELSE presences.last_seen_at
      END`;
  return (before?.availability ?? 'ONLINE') !== availability;
}

/**
 * Stores that users were last seen `agoMs` milliseconds ago. Invisible users are skipped, and later times that are stored
 * already are kept.
 */
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

/** A user and when they were last seen. */
export type UserWithLastSeen = User & { lastSeenAt: Date | null };

/** Users and when they were last seen, in the same order; null for users who do not exist. */
export async function findWithLastSeen(sql: Sql, userIds: readonly string[]): Promise<(UserWithLastSeen | null)[]> {
  const rows = await sql.query<Record<string, unknown>>(Prisma.sql`
    SELECT ${userColumns.select}, presences.last_seen_at AS "lastSeenAt"
    FROM users person LEFT JOIN presences ON presences.user_id = person.id
    WHERE person.id = ANY (${[...new Set(userIds)]}::uuid[])`);
  const byId = new Map<string, UserWithLastSeen>();
  for (const row of rows) {
    const user = userColumns.of(row);
    if (user) byId.set(user.id, { ...user, lastSeenAt: row['lastSeenAt'] as Date | null });
  }
  return userIds.map((id) => byId.get(id) ?? null);
}

/** A viewer and the user whose presence they want to see. */
export interface PresencePair {
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
 * Whether users may see the presence of others, in the same order: their own; that of members of common groups; that of
 * the other user of a direct conversation who opened it, has written in it or has them as a contact; and that of contacts
 * who have them as a contact as well. Never that of users whom they cannot reach, for whatever reason.
 * @param hidesAdded the same conditions as for direct conversations apply to members whom others added to a group.
 */
async function findVisibility(sql: Sql, pairs: readonly PresencePair[], hidesAdded: boolean): Promise<boolean[]> {
  const isShownByGroup = hidesAdded
    ? Prisma.sql`AND (
        NOT (SELECT ${isAdded} FROM conversations WHERE conversations.id = theirs.conversation_id)
        OR EXISTS (
          SELECT FROM messages WHERE conversation_id = theirs.conversation_id AND sender_id = pair.user_id OFFSET 0)
        OR EXISTS (SELECT FROM contacts WHERE owner_id = pair.user_id AND user_id = pair.viewer_id OFFSET 0))`
    : Prisma.empty;
  // The scalar subqueries and OFFSET 0 keep the order in which tables are read: by an index for each pair. Where the
  // statistics are out of date, the planner would choose to read whole tables for each of them.
  const rows = await sql.query<{ isVisible: boolean }>(Prisma.sql`
    SELECT pair.viewer_id = pair.user_id OR EXISTS (
      SELECT FROM users WHERE users.id = pair.user_id AND ${isReachable(Prisma.raw('pair.viewer_id'))} OFFSET 0
    ) AND (EXISTS (
      SELECT FROM contacts own
      WHERE own.owner_id = pair.viewer_id AND own.user_id = pair.user_id
        AND (SELECT true FROM contacts theirs WHERE theirs.owner_id = own.user_id AND theirs.user_id = own.owner_id)
      OFFSET 0
    ) OR EXISTS (
      SELECT FROM conversations
      WHERE direct_key = ${directKey('pair.viewer_id', 'pair.user_id')} AND (
        created_by_id = pair.user_id
        OR EXISTS (SELECT FROM messages WHERE conversation_id = conversations.id AND sender_id = pair.user_id OFFSET 0)
        OR EXISTS (SELECT FROM contacts WHERE owner_id = pair.user_id AND user_id = pair.viewer_id OFFSET 0)
      ) OFFSET 0
    ) OR EXISTS (
      SELECT FROM memberships theirs
      WHERE theirs.user_id = pair.user_id
        AND (SELECT true FROM memberships own
             WHERE own.conversation_id = theirs.conversation_id AND own.user_id = pair.viewer_id)
        AND (SELECT kind FROM conversations WHERE conversations.id = theirs.conversation_id) = 'GROUP'
        ${isShownByGroup}
      OFFSET 0
    )) AS "isVisible"
    FROM unnest(${pairs.map(({ viewerId }) => viewerId)}::uuid[], ${pairs.map(({ userId }) => userId)}::uuid[])
         WITH ORDINALITY AS pair (viewer_id, user_id, n)
    ORDER BY pair.n`);
  return rows.map(({ isVisible }) => isVisible);
}

/** Whether a viewer may see the presence of a user. */
export const presenceVisibilityLookup = defineLookup(
  'presence visibility',
  ({ database, config }, pairs: readonly PresencePair[]) =>
    findVisibility(database.sql, pairs, config.presenceHidesAddedMembers),
);

/** The direct conversations between the viewer and these users. */
export const findDirectConversations = (
  sql: Sql,
  viewerId: string,
  userIds: readonly string[],
): Promise<{ conversationId: string; userId: string }[]> =>
  sql.query(Prisma.sql`
    SELECT conversations.id::text AS "conversationId", other.user_id::text AS "userId"
    FROM unnest(${userIds}::uuid[], ${userIds.map(() => viewerId)}::uuid[]) AS other (user_id, viewer_id)
    JOIN conversations ON conversations.direct_key = ${directKey('other.viewer_id', 'other.user_id')}`);

/** The counterparts of the viewer's direct conversations, then the viewer's contacts, each latest first. */
export async function findDefaultWatched(db: Db, viewerId: string, limit: number): Promise<string[]> {
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
