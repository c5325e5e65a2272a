import { type Conversation, Prisma } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { ErasureStep } from '../account/erasures.js';
import { countChanges, lock } from '../conversation/conversation.store.js';
import { messageChangeTypes } from './message.events.js';
import { emptyMessages } from './message.store.js';

/** Messages that are changed in one transaction, which locks their conversation for that long. */
export const ERASED_AT_ONCE = 500;

/** Deletes the messages of a deleted account, where that is configured, as if one by one. */
export const messageErasure: ErasureStep = {
  async findConversations({ config, database }, userId) {
    if (config.deletedAccountMessages !== 'delete') return [];
    const rows = await database.db.$queryRaw<{ id: string }[]>`
      SELECT DISTINCT conversation_id::text AS id FROM messages
      WHERE sender_id = ${userId}::uuid AND deleted_at IS NULL`;
    return rows.map(({ id }) => id);
  },
  async erase(_deps, tx, conversationId, userId) {
    const conversation = await lock(tx, conversationId);
    const rows = await tx.$queryRaw<{ id: string; conversationId: string; seq: number }[]>`
      SELECT id::text, conversation_id::text AS "conversationId", seq FROM messages
      WHERE conversation_id = ${conversationId}::uuid AND sender_id = ${userId}::uuid AND deleted_at IS NULL
      ORDER BY seq LIMIT ${ERASED_AT_ONCE}`;
    const [first, ...others] = rows;
    if (!conversation || !first) return false;
    await emptyMessages(tx, [first, ...others]);
    await recordErased(tx, conversation, 'deleted', userId, rows);
    return rows.length === ERASED_AT_ONCE;
  },
};

/**
 * Records one change of each of these messages of a locked conversation. They are not announced: feeds find them in the
 * log, many at a time.
 */
export async function recordErased(
  tx: Tx,
  { id, changeSeq }: Pick<Conversation, 'id' | 'changeSeq'>,
  type: keyof typeof messageChangeTypes,
  actorId: string,
  messages: readonly { id: string }[],
): Promise<void> {
  await countChanges(tx, id, { changes: messages.length });
  await tx.$executeRaw(Prisma.sql`
    INSERT INTO changes (conversation_id, change_seq, type, message_id, actor_id)
    SELECT ${id}::uuid, ${changeSeq}::int + n::int, ${messageChangeTypes[type]}, message.id, ${actorId}::uuid
    FROM unnest(${messages.map((message) => message.id)}::uuid[]) WITH ORDINALITY AS message (id, n)`);
}
