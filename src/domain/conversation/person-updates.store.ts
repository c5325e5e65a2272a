import { Prisma } from '../../generated/prisma/client.js';
import type { Db, Tx } from '../../infra/database/database.js';
import { announceAfterCommit, defineAnnouncement } from '../../infra/database/unit-of-work.js';

/** What is told in a conversation: that the member is changed, or (in direct ones) that the conversation itself is. */
export type UpdateType = 'MEMBER_UPDATED' | 'CONVERSATION_UPDATED';

/** A change of a person that is not told yet in all their conversations, which are told in the order of their ids. */
export interface PersonUpdate {
  userId: string;
  type: UpdateType;
  /** The conversation that was told last; null: none was since the beginning of the order. */
  afterId: string | null;
  /** Where it ends, of one that began in the middle and goes on from the beginning; null: at the end of the order. */
  lastId: string | null;
  /** Grows with each change of the person. */
  version: number;
  /** Whether this node is the one that tells of it. */
  isClaimed: boolean;
}

/** How long a step may take at most, in milliseconds: then another node takes over. */
const CLAIM_MS = 60_000;
/** Updates that a node takes over at a time. */
const CLAIMS_MAX = 10;

const columns = Prisma.sql`
  user_id::text AS "userId", type, after_id::text AS "afterId", last_id::text AS "lastId", version`;
const claim = Prisma.sql`clock_timestamp() + ${CLAIM_MS}::int * interval '1 millisecond'`;

/** Changes of people that are stored and not announced yet in their conversations. */
export const peopleUpdated = defineAnnouncement<PersonUpdate>('changes of people');

/**
 * Stores that a change of a person is to be told; the last statement of its transaction, so that nobody waits for long.
 * Where an earlier change is being told, it goes on from there, and once around: that one's conversations are told anew.
 */
export async function recordUpdate(tx: Tx, userId: string, type: UpdateType): Promise<void> {
  const [row] = await tx.$queryRaw<[PersonUpdate]>`
    INSERT INTO person_updates (user_id, type, claimed_until) VALUES (${userId}::uuid, ${type}, ${claim})
    ON CONFLICT (user_id, type) DO UPDATE SET version = person_updates.version + 1, last_id = person_updates.after_id
    RETURNING ${columns}, xmax = 0 AS "isClaimed"`;
  announceAfterCommit(tx, peopleUpdated, row);
}

/** Takes over what no node is telling of. */
export const claimUpdates = (db: Db): Promise<PersonUpdate[]> =>
  db.$queryRaw`
    UPDATE person_updates SET claimed_until = ${claim}
    WHERE (user_id, type) IN (
      SELECT user_id, type FROM person_updates WHERE claimed_until < clock_timestamp()
      LIMIT ${CLAIMS_MAX} FOR UPDATE SKIP LOCKED
    )
    RETURNING ${columns}, true AS "isClaimed"`;

/** Notes how far it has come. @returns what is left; undefined: nothing. */
export async function moveUpdate(
  db: Db,
  { userId, type, version }: PersonUpdate,
  afterId: string | null,
): Promise<PersonUpdate | undefined> {
  // Of a newer change the row says where that one began: its conversations are told from there.
  const [row] = await db.$queryRaw<PersonUpdate[]>`
    UPDATE person_updates
    SET after_id = CASE WHEN version = ${version}::int THEN ${afterId}::uuid ELSE after_id END, claimed_until = ${claim}
    WHERE user_id = ${userId}::uuid AND type = ${type}
    RETURNING ${columns}, true AS "isClaimed"`;
  return row;
}

/** Forgets an update that is told everywhere. @returns what is left, of a person who has changed once more since. */
export async function finishUpdate(db: Db, update: PersonUpdate): Promise<PersonUpdate | undefined> {
  const { userId, type, version } = update;
  const { count } = await db.personUpdate.deleteMany({ where: { userId, type, version } });
  return count > 0 ? undefined : moveUpdate(db, update, update.afterId);
}

/** The next conversations in which it is to be told, at most so many, in their order. */
export async function findToldNext(
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
