import type { ErasureStep } from '../account/erasures.js';
import { lock } from '../conversation/conversation.store.js';
import { removeMembership } from './membership.service.js';

/** Removes a deleted account from its groups. */
export const groupErasure: ErasureStep = {
  async findConversations({ database }, userId) {
    const groups = await database.db.membership.findMany({
      where: { userId, conversation: { kind: 'GROUP' } },
      select: { conversationId: true },
    });
    return groups.map(({ conversationId }) => conversationId);
  },
  async erase(deps, tx, conversationId, userId) {
    await lock(tx, conversationId);
    const member = await tx.membership.findUnique({ where: { conversationId_userId: { conversationId, userId } } });
    if (member) await removeMembership(deps, tx, { userId }, member);
    return false;
  },
};
