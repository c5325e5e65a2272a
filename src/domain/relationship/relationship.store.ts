import { Prisma } from '../../generated/prisma/client.js';
import type { Db, Tx } from '../../infra/database/database.js';
import { type PersonalChange, recordPersonalChanges } from '../../realtime/personal-log.js';
import { type ListChangeType, RELATIONSHIP_CHANGED } from './relationship.events.js';

/**
 * Records a change that a user made to their contacts or blocks (`type`), or that others have changed who can see them
 * (null).
 */
export async function recordRelationshipChanges(
  tx: Tx,
  changes: readonly { userId: string; type: ListChangeType | null; aboutId: string | null }[],
): Promise<void> {
  if (changes.length === 0) return;
  recordPersonalChanges(
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
  // For nodes of the previous release.
  const column = <Value>(value: (change: (typeof changes)[number]) => Value) => changes.map(value);
  await tx.$executeRaw(Prisma.sql`
    INSERT INTO standing_changes (user_id, type, about_id, is_copy)
    SELECT *, true FROM unnest(
      ${column(({ userId }) => userId)}::uuid[], ${column(({ type }) => type)}::text[],
      ${column(({ aboutId }) => aboutId)}::uuid[]
    )`);
}

/**
 * Records that an account is deleted, whose user is removed from the contacts and blocks of all others. To be called
 * before they are removed.
 */
export async function recordAccountDeleted(tx: Tx, userId: string): Promise<void> {
  const [contacts, blocks] = [
    await tx.contact.findMany({ where: { userId }, select: { ownerId: true } }),
    await tx.block.findMany({ where: { blockedId: userId }, select: { blockerId: true } }),
  ];
  await recordRelationshipChanges(tx, [
    ...contacts.map(({ ownerId }) => ({ userId: ownerId, type: 'CONTACT_REMOVED' as const, aboutId: userId })),
    ...blocks.map(({ blockerId }) => ({ userId: blockerId, type: 'UNBLOCKED' as const, aboutId: userId })),
    { userId, type: null, aboutId: null },
  ]);
}

/** How long rows for nodes of the previous release are kept, in milliseconds. */
const COPIES_KEPT_MS = 60 * 60_000;

/** Deletes old rows written for or by nodes of the previous release. Returns the number of deleted rows. */
export const trimRelationshipCopies = (db: Db): Promise<number> =>
  db.$executeRaw`
    DELETE FROM standing_changes
    WHERE changed_at < clock_timestamp() - ${COPIES_KEPT_MS}::int * interval '1 millisecond'`;
