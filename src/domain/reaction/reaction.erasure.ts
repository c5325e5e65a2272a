import type { ErasureStep } from '../account/erasures.js';
import { lock } from '../conversation/conversation.store.js';
import { ERASED_AT_ONCE, recordErased } from '../message/message.erasure.js';
import { removeReactions } from './reaction.store.js';

/** Removes the reactions of a deleted account, where its messages are to be deleted, as if one by one. */
export const reactionErasure: ErasureStep = {
  async findConversations({ config, database }, userId) {
    if (config.deletedAccountMessages !== 'delete') return [];
    const rows = await database.db.$queryRaw<{ id: string }[]>`
      SELECT DISTINCT conversation_id::text AS id FROM reactions JOIN messages ON messages.id = message_id
      WHERE user_id = ${userId}::uuid`;
    return rows.map(({ id }) => id);
  },
  async erase(_deps, tx, conversationId, userId) {
    const conversation = await lock(tx, conversationId);
    const rows = await tx.$queryRaw<{ id: string }[]>`
      SELECT id::text FROM messages
      WHERE conversation_id = ${conversationId}::uuid
        AND id IN (SELECT message_id FROM reactions WHERE user_id = ${userId}::uuid)
      ORDER BY seq LIMIT ${ERASED_AT_ONCE}`;
    if (!conversation || rows.length === 0) return false;
    await removeReactions(
      tx,
      userId,
      rows.map(({ id }) => id),
    );
    await recordErased(tx, conversation, 'reacted', userId, rows);
    return rows.length === ERASED_AT_ONCE;
  },
};
