import { ChatError, limitReached } from '../../core/errors.js';
import type { Message } from '../../generated/prisma/client.js';
import type { Deps } from '../../platform/deps.js';
import type { Viewer } from '../../platform/viewer.js';
import { canSend, sendRefused } from '../conversation/conversation.policy.js';
import { findCounterpart } from '../conversation/conversation.store.js';
import { canModerate } from '../conversation/membership.policy.js';
import { type ChangeState, changeMessage } from '../message/message.change.js';
import { canChange } from '../message/message.policy.js';
import { pinned, unpinned } from './pin.part.js';
import { canPin } from './pin.policy.js';
import { storePin } from './pin.store.js';

/**
 * Checks whether the viewer can pin and unpin the message.
 * @throws {ChatError} FORBIDDEN if they cannot.
 */
async function checkPinning({ tx, viewer, message, conversation, membership }: ChangeState): Promise<void> {
  const sends = canSend(membership, await findCounterpart(tx, conversation, viewer.userId));
  if (canPin(message, conversation, { sends, moderates: canModerate(conversation, membership) })) return;
  if (!canChange(message)) {
    throw new ChatError('FORBIDDEN', 'Deleted messages and system messages cannot be pinned.');
  }
  if (conversation.kind === 'DIRECT') throw sendRefused(membership);
  throw new ChatError('FORBIDDEN', 'Only owners and admins can pin messages in a group.', {
    reason: 'NOT_A_MODERATOR',
  });
}

/**
 * Pins a message as the most recent pin of its conversation. Pinning a pinned message has no effect.
 * @returns the message after the change.
 * @throws {ChatError} NOT_FOUND with the field `input.messageId`; FORBIDDEN if the viewer is not allowed to pin it;
 *   FORBIDDEN with the field `input.messageId` and the limit `pinsMax` if the conversation has too many pinned
 *   messages.
 */
export const pinMessage = (deps: Deps, viewer: Viewer, messageId: string): Promise<Message> =>
  changeMessage(deps, viewer, messageId, pinned, async (state) => {
    const { tx, message } = state;
    await checkPinning(state);
    if (message.pinnedAt !== null) return undefined;
    const { conversationId } = message;
    const { pinsMax } = deps.config;
    if ((await tx.message.count({ where: { conversationId, pinnedAt: { not: null } } })) >= pinsMax) {
      throw limitReached('pinsMax', `A conversation can have at most ${pinsMax} pinned messages.`, 'input.messageId');
    }
    return { ...message, pinnedAt: await storePin(tx, message) };
  });

/**
 * Unpins a message. It has no effect if the message is not pinned.
 * @returns the message after the change.
 * @throws {ChatError} NOT_FOUND with the field `input.messageId`; FORBIDDEN if the viewer is not allowed to unpin it.
 */
export const unpinMessage = (deps: Deps, viewer: Viewer, messageId: string): Promise<Message> =>
  changeMessage(deps, viewer, messageId, unpinned, async (state) => {
    const { tx, message } = state;
    await checkPinning(state);
    if (message.pinnedAt === null) return undefined;
    await tx.message.update({ where: { id: message.id }, data: { pinnedAt: null }, select: { id: true } });
    return { ...message, pinnedAt: null };
  });
