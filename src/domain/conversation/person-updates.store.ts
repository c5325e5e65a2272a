import { Prisma } from '../../generated/prisma/client.js';
import type { Db, Tx } from '../../infra/database/database.js';
import { announceAfterCommit, defineAnnouncement } from '../../infra/database/unit-of-work.js';

/** The change to announce in a conversation: of a member, or (in direct conversations) of the conversation. */
export type UpdateType = 'MEMBER_UPDATED' | 'CONVERSATION_UPDATED';

/**
 * A change of a user that has not been announced in all of their conversations. They are processed in the order of
 * their ids.
 */
export interface PersonUpdate {
  userId: string;
  type: UpdateType;
  /** The conversation that was processed last; null if none since the start of the order. */
  afterId: string | null;
  /**
   * The last conversation to process, if processing started in the middle and wraps around; null for the end of the
   * order.
   */
  lastId: string | null;
  /** Incremented with each change of the user. */
  version: number;
  /** Whether this node is the one that announces it. */
  isClaimed: boolean;
}

/** The maximum duration of a step in milliseconds, after which another node takes over. */
const CLAIM_MS = 60_000;
/** The number of updates that a node claims at once. */
const CLAIMS_MAX = 10;

const columns = Prisma.sql`
  user_id::text AS "userId", type, after_id::text AS "afterId", last_id::text AS "lastId", version`;
const claim = Prisma.sql`clock_timestamp() + ${CLAIM_MS}::int * interval '1 millisecond'`;

/** Changes of users that were stored and must be announced in their conversations. */
export const peopleUpdated = defineAnnouncement<PersonUpdate>('changes of people');

/**
 * Stores that a change of a user must be announced; called as the last statement of its transaction, to keep locks
 * short. If an earlier change is still being announced, the announcement continues from its position and wraps around,
 * so that the conversations already processed are processed again.
 */
export async function recordUpdate(tx: Tx, userId: string, type: UpdateType): Promise<void> {
  const [row] = await tx.$queryRaw<[PersonUpdate]>`
    INSERT INTO person_updates (user_id, type, claimed_until) VALUES (${userId}::uuid, ${type}, ${claim})
    ON CONFLICT (user_id, type) DO UPDATE SET version = person_updates.version + 1, last_id = person_updates.after_id
    RETURNING ${columns}, xmax = 0 AS "isClaimed"`;
  announceAfterCommit(tx, peopleUpdated, row);
}

/** Claims updates that no node is processing. */
export const claimUpdates = (db: Db): Promise<PersonUpdate[]> =>
  db.$queryRaw`
    UPDATE person_updates SET claimed_until = ${claim}
    WHERE (user_id, type) IN (
      SELECT user_id, type FROM person_updates WHERE claimed_until < clock_timestamp()
      LIMIT ${CLAIMS_MAX} FOR UPDATE SKIP LOCKED
    )
    RETURNING ${columns}, true AS "isClaimed"`;

/** Stores the position of an update. Returns the remaining update; undefined if it is complete. */
export async function moveUpdate(
  db: Db,
  { userId, type, version }: PersonUpdate,
  afterId: string | null,
): Promise<PersonUpdate | undefined> {
  // After a newer change, the row contains the position at which that change started.
  const [row] = await db.$queryRaw<PersonUpdate[]>`
    UPDATE person_updates
    SET after_id = CASE WHEN version = ${version}::int THEN ${afterId}::uuid ELSE after_id END, claimed_until = ${claim}
    WHERE user_id = ${userId}::uuid AND type = ${type}
    RETURNING ${columns}, true AS "isClaimed"`;
  return row;
}

/**
 * Deletes an update that was announced everywhere. Returns the remaining update if the user has changed again in the
 * meanwhile.
 */
export async function finishUpdate(db: Db, update: PersonUpdate): Promise<PersonUpdate | undefined> {
  const { userId, type, version } = update;
  const { count } = await db.personUpdate.deleteMany({ where: { userId, type, version } });
  return count > 0 ? undefined : moveUpdate(db, update, update.afterId);
}

/** The next conversations in which an update must be announced, in order, up to a limit. */
export async function findNextConversations(
  db: Db,
  { userId, type, afterId, lastId }: PersonUpdate,
  limit: number,
): Promise<string[]> {
  const toId = lastId !== null && (afterId === null || afterId < lastId) ? lastId : null;
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT conversation_id::text AS id FROM memberships
    WHERE user_id = ${userId}::uuid
      AND (${afterId}::uuid IS NULL OR conversation_id > ${afterId}::uuid)
      AND (${toId}::uuid IS NULL OR conversation_id <= ${toId}::uuid)
      AND (${type}::text = 'MEMBER_UPDATED'
           OR (SELECT kind FROM conversations WHERE conversations.id = conversation_id) = 'DIRECT')
    ORDER BY conversation_id LIMIT ${limit}`;
  return rows.map(({ id }) => id);
}
