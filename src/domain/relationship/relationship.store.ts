import { Prisma } from '../../generated/prisma/client.js';
import type { Db, Tx } from '../../infra/database/database.js';
import { type PersonalChange, recordPersonalChanges } from '../../realtime/personal-log.js';
import { type ListChangeType, RELATIONSHIP_CHANGED } from './relationship.events.js';

/**
 * Records what a person has done with their list of contacts or blocks (`type`), or that others have changed who may see
 * them (null). Call it in the transaction of the change, as one of its last statements.
 */
export async function recordRelationshipChanges(
  tx: Tx,
  changes: readonly { userId: string; type: ListChangeType | null; aboutId: string | null }[],
): Promise<void> {
  if (changes.length === 0) return;
  await recordPersonalChanges(
    tx,
    changes.map(
      ({ userId, type, aboutId }): PersonalChange => ({
        userId,
        type: type ?? RELATIONSHIP_CHANGED,
        subjectId: aboutId,
        actorId: type === null ? null : userId,
        data: true,
      }),
    ),
  );
  // Nodes of the previous release read these.
  const column = <Value>(value: (change: (typeof changes)[number]) => Value) => changes.map(value);
  await tx.$executeRaw(Prisma.sql`
    INSERT INTO standing_changes (user_id, type, about_id, is_copy)
    SELECT *, true FROM unnest(
      ${column(({ userId }) => userId)}::uuid[], ${column(({ type }) => type)}::text[],
      ${column(({ aboutId }) => aboutId)}::uuid[]
    )`);
}

/** Records that a person is taken off the lists of contacts and blocks of all others: to be called before they are. */
export async function recordRemovalFromLists(tx: Tx, userId: string): Promise<void> {
  const [contacts, blocks] = [
    await tx.contact.findMany({ where: { userId }, select: { ownerId: true } }),
    await tx.block.findMany({ where: { blockedId: userId }, select: { blockerId: true } }),
  ];
  await recordRelationshipChanges(tx, [
    ...contacts.map(({ ownerId }) => ({ userId: ownerId, type: 'CONTACT_REMOVED' as const, aboutId: userId })),
    ...blocks.map(({ blockerId }) => ({ userId: blockerId, type: 'UNBLOCKED' as const, aboutId: userId })),
  ]);
}

/** How long rows for nodes of the previous release are kept, in milliseconds. */
const COPIES_KEPT_MS = 60 * 60_000;

/** Deletes old rows that were written for, and by, nodes of the previous release. @returns how many. */
export const trimRelationshipCopies = (db: Db): Promise<number> =>
  db.$executeRaw`
    DELETE FROM standing_changes
    WHERE changed_at < clock_timestamp() - ${COPIES_KEPT_MS}::int * interval '1 millisecond'`;
