import { ChatError, limitReached } from '../../core/errors.js';
import type { Message } from '../../generated/prisma/client.js';
import type { Deps } from '../../platform/deps.js';
import type { Viewer } from '../../platform/viewer.js';
import { canSend, sendRefused } from '../conversation/conversation.policy.js';
import { findCounterpart } from '../conversation/conversation.store.js';
import { canModerate } from '../conversation/membership.policy.js';
import { type ChangeState, changeMessage } from '../message/message.change.js';
import { canChange } from '../message/message.policy.js';
import { canPin } from './pin.policy.js';
import { storePin } from './pin.store.js';

/** @throws {ChatError} FORBIDDEN: what is pinned there others say, or nobody. */
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
 * Pins a message in its conversation, before all that is pinned there. One that is pinned stays where it is.
 * @throws {ChatError} NOT_FOUND of `input.messageId`; FORBIDDEN: not theirs to pin; with the field `input.messageId`: more
 *   are pinned there than are allowed.
 */
export const pinMessage = (deps: Deps, viewer: Viewer, messageId: string): Promise<Message> =>
  changeMessage(deps, viewer, messageId, 'pinned', async (state) => {
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
 * Takes a message off what is pinned. One that is not pinned: nothing.
 * @throws {ChatError} NOT_FOUND of `input.messageId`; FORBIDDEN: not theirs to say.
 */
export const unpinMessage = (deps: Deps, viewer: Viewer, messageId: string): Promise<Message> =>
  changeMessage(deps, viewer, messageId, 'unpinned', async (state) => {
    const { tx, message } = state;
    await checkPinning(state);
    if (message.pinnedAt === null) return undefined;
    await tx.message.update({ where: { id: message.id }, data: { pinnedAt: null }, select: { id: true } });
    return { ...message, pinnedAt: null };
  });
