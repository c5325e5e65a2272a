import { type Conversation, Prisma } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { ErasureStep } from '../account/erasures.js';
import { countChanges, lock } from '../conversation/conversation.store.js';
import { deleteContent } from './message.deletion.js';
import { messageChangeTypes } from './message.events.js';
import { type MessageChangeType, messageParts } from './message.part.js';

/**
 * The maximum number of messages that are changed in one transaction, to bound the time for which it locks the
 * conversation.
 */
const ERASURE_BATCH = 500;

/** Deletes the messages of a deleted account if DELETED_ACCOUNT_MESSAGES is `delete`, with one change per message. */
export const messageErasure: ErasureStep = {
  async findConversations({ config, database }, userId) {
    if (config.deletedAccountMessages !== 'delete') return [];
    const rows = await database.db.$queryRaw<{ id: string }[]>`
      SELECT DISTINCT conversation_id::text AS id FROM messages
      WHERE sender_id = ${userId}::uuid AND deleted_at IS NULL`;
    return rows.map(({ id }) => id);
  },
  async erase(deps, tx, conversationId, userId) {
    const conversation = await lock(tx, conversationId);
    const rows = await tx.$queryRaw<{ id: string; conversationId: string; seq: number }[]>`
      SELECT id::text, conversation_id::text AS "conversationId", seq FROM messages
      WHERE conversation_id = ${conversationId}::uuid AND sender_id = ${userId}::uuid AND deleted_at IS NULL
      ORDER BY seq LIMIT ${ERASURE_BATCH}`;
    const [first, ...others] = rows;
    if (!conversation || !first) return false;
    await deleteContent(deps, tx, [first, ...others]);
    await recordErasureChanges(tx, conversation, messageChangeTypes.deleted, userId, rows);
    return rows.length === ERASURE_BATCH;
  },
};

/**
 * Removes what a deleted account added to messages of other users, such as reactions, if its messages are to be
 * deleted.
 */
export const contributionErasure: ErasureStep = {
  async findConversations({ config, database, features }, userId) {
    if (config.deletedAccountMessages !== 'delete') return [];
    const ids = new Set<string>();
    for (const { messageIdsOf } of messageParts.of({ features }).contributions) {
      const rows = await database.db.$queryRaw<{ id: string }[]>`
        SELECT DISTINCT conversation_id::text AS id FROM messages WHERE id IN (${messageIdsOf(userId)})`;
      for (const { id } of rows) ids.add(id);
    }
    return [...ids];
  },
  async erase({ features }, tx, conversationId, userId) {
    const conversation = await lock(tx, conversationId);
    if (!conversation) return false;
    for (const { change, messageIdsOf, remove } of messageParts.of({ features }).contributions) {
      const rows = await tx.$queryRaw<{ id: string }[]>`
        SELECT id::text FROM messages
        WHERE conversation_id = ${conversationId}::uuid AND id IN (${messageIdsOf(userId)})
        ORDER BY seq LIMIT ${ERASURE_BATCH}`;
      if (rows.length === 0) continue;
      await remove(
        tx,
        userId,
        rows.map(({ id }) => id),
      );
      await recordErasureChanges(tx, conversation, change, userId, rows);
      return true;
    }
    return false;
  },
};

/**
 * Records one change of each of these messages of a locked conversation. Other nodes are not notified: their feeds read
 * the changes from the log, many at a time.
 */
async function recordErasureChanges(
  tx: Tx,
  { id, changeSeq }: Pick<Conversation, 'id' | 'changeSeq'>,
  { type }: MessageChangeType,
  actorId: string,
  messages: readonly { id: string }[],
): Promise<void> {
  await countChanges(tx, id, { changes: messages.length });
  await tx.$executeRaw(Prisma.sql`
    INSERT INTO changes (conversation_id, change_seq, type, message_id, actor_id)
    SELECT ${id}::uuid, ${changeSeq}::int + n::int, ${type}, message.id, ${actorId}::uuid
    FROM unnest(${messages.map((message) => message.id)}::uuid[]) WITH ORDINALITY AS message (id, n)`);
}
