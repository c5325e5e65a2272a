import { Prisma } from '../../generated/prisma/client.js';
import type { Db, Sql, Tx } from '../../infra/database/database.js';
import { announceAfterCommit, defineAnnouncement } from '../../infra/database/unit-of-work.js';

/** What can become of the list of contacts, or of blocks. */
export type ListChangeType = 'CONTACT_ADDED' | 'CONTACT_REMOVED' | 'BLOCKED' | 'UNBLOCKED';

/** That somebody may see others than before, or others them; with `type`, what they did with `aboutId` on their own list. */
export interface StandingChange {
  id: string;
  userId: string;
  type: ListChangeType | null;
  aboutId: string | null;
}

/** Changes of contacts, blocks and visibility that a transaction has stored. */
export const standingsChanged = defineAnnouncement<StandingChange>('changes of contacts and blocks');

const columns = Prisma.sql`id::text, user_id::text AS "userId", type, about_id::text AS "aboutId"`;

/** Writes changes in the transaction that makes them, and has them announced after its commit. */
export async function recordStandings(
  tx: Tx,
  changes: readonly Pick<StandingChange, 'userId' | 'type' | 'aboutId'>[],
): Promise<void> {
  const column = <Value>(value: (change: (typeof changes)[number]) => Value) => changes.map(value);
  const recorded = await tx.$queryRaw<StandingChange[]>`
    INSERT INTO standing_changes (user_id, type, about_id)
    SELECT * FROM unnest(
      ${column(({ userId }) => userId)}::uuid[], ${column(({ type }) => type)}::text[],
      ${column(({ aboutId }) => aboutId)}::uuid[]
    )
    RETURNING ${columns}`;
  announceAfterCommit(tx, standingsChanged, ...recorded);
}

/** Records that somebody is taken off all lists of contacts and blocks: to be called before they are. */
export async function recordTakenOff(tx: Tx, userId: string): Promise<void> {
  const recorded = await tx.$queryRaw<StandingChange[]>`
    INSERT INTO standing_changes (user_id, type, about_id)
    SELECT owner_id, 'CONTACT_REMOVED', user_id FROM contacts WHERE user_id = ${userId}::uuid
    UNION ALL
    SELECT blocker_id, 'UNBLOCKED', blocked_id FROM blocks WHERE blocked_id = ${userId}::uuid
    RETURNING ${columns}`;
  announceAfterCommit(tx, standingsChanged, ...recorded);
}

/**
 * What a snapshot has not seen of it, and the present one; without a snapshot only that. What is in neither is not
 * committed yet.
 */
export async function findStandingChanges(
  sql: Sql,
  since: string | null,
): Promise<{ snapshot: string; changes: StandingChange[] }> {
  const rows = await sql.query<{ snapshot: string } & (StandingChange | { id: null })>(Prisma.sql`
    SELECT present.snapshot, ${columns}
    FROM (SELECT pg_current_snapshot()::text AS snapshot) present
    LEFT JOIN standing_changes
           ON xid >= pg_snapshot_xmin(${since}::text::pg_snapshot)
          AND NOT pg_visible_in_snapshot(xid, ${since}::text::pg_snapshot)`);
  const changes = rows.flatMap(({ snapshot: _snapshot, ...row }) => (row.id === null ? [] : [row]));
  return { snapshot: rows[0]?.snapshot ?? '', changes };
}

/** @returns how many were forgotten. */
export const trimStandings = (db: Db, keptMs: number): Promise<number> =>
  db.$executeRaw`
    DELETE FROM standing_changes WHERE changed_at < clock_timestamp() - ${keptMs}::int * interval '1 millisecond'`;
