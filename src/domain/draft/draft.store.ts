import { type Draft, Prisma } from '../../generated/prisma/client.js';
import type { Db, Tx } from '../../infra/database/database.js';

const columns = Prisma.sql`
  membership_id::text AS "membershipId", conversation_id::text AS "conversationId", user_id::text AS "userId", text,
  reply_to_seq AS "replyToSeq", updated_at AS "updatedAt"`;

/** Locks a membership exclusively, against `lockMembershipShared` of other transactions. */
export const lockMembership = (tx: Tx, id: string): Promise<unknown> =>
  tx.$queryRaw`SELECT FROM memberships WHERE id = ${id}::uuid FOR UPDATE`;

/** The draft of a membership, locked until the transaction ends; undefined if there is none. */
export async function lockDraft(tx: Tx, membershipId: string): Promise<Draft | undefined> {
  const [draft] = await tx.$queryRaw<Draft[]>`
    SELECT ${columns} FROM drafts WHERE membership_id = ${membershipId}::uuid FOR UPDATE`;
  return draft;
}

/** Stores the draft of a membership in place of an earlier one. */
export async function storeDraft(
  tx: Tx,
  { membershipId, conversationId, userId, text, replyToSeq }: Omit<Draft, 'updatedAt'>,
): Promise<Draft> {
  const [draft] = await tx.$queryRaw<[Draft]>`
    INSERT INTO drafts (membership_id, conversation_id, user_id, text, reply_to_seq)
    VALUES (${membershipId}::uuid, ${conversationId}::uuid, ${userId}::uuid, ${text}, ${replyToSeq}::int)
    ON CONFLICT (membership_id) DO UPDATE SET
      text = excluded.text, reply_to_seq = excluded.reply_to_seq, updated_at = clock_timestamp()
    RETURNING ${columns}`;
  return draft;
}

/** @returns whether there was a draft. */
export async function removeDraft(tx: Tx, membershipId: string): Promise<boolean> {
  const { count } = await tx.draft.deleteMany({ where: { membershipId } });
  return count > 0;
}

/** The drafts of a user, most recently saved first. */
export const listDrafts = (db: Db, userId: string, limit: number): Promise<Draft[]> =>
  db.draft.findMany({
    where: { userId },
    orderBy: [{ updatedAt: 'desc' }, { membershipId: 'desc' }],
    take: limit,
  });
