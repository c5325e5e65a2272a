import { emojiOf } from '../../core/emojis.js';
import { badInput, ChatError, limitReached } from '../../core/errors.js';
import type { Message } from '../../generated/prisma/client.js';
import type { Deps } from '../../platform/deps.js';
import type { Viewer } from '../../platform/viewer.js';
import { canSend, sendRefused } from '../conversation/conversation.policy.js';
import { findCounterpart } from '../conversation/conversation.store.js';
import { changeMessage } from '../message/message.change.js';
import { canChange } from '../message/message.policy.js';
import { canReact } from './reaction.policy.js';
import { removeReactions, storeReaction } from './reaction.store.js';

const field = 'input.emoji';

/** @throws {ChatError} BAD_USER_INPUT of `input.emoji`. */
function checkEmoji(text: string): string {
  const emoji = emojiOf(text);
  if (emoji === undefined) throw badInput(field, 'A reaction must be a single emoji.');
  return emoji;
}

/**
 * Reacts to a message, once with each emoji: the same again changes nothing.
 * @throws {ChatError} BAD_USER_INPUT of `input.emoji`; NOT_FOUND of `input.messageId`; FORBIDDEN: not theirs to react to;
 *   with the field `input.emoji`: more different ones than are allowed.
 */
export async function addReaction(
  deps: Deps,
  viewer: Viewer,
  input: { messageId: string; emoji: string },
): Promise<Message> {
  const emoji = checkEmoji(input.emoji);
  const { userId } = viewer;
  const { reactionEmojisMax, reactionsPerPersonMax } = deps.config;
  return changeMessage(deps, viewer, input.messageId, 'reacted', async ({ tx, message, conversation, membership }) => {
    if (!canReact(message, canSend(membership, await findCounterpart(tx, conversation, userId)))) {
      if (canChange(message)) throw sendRefused(membership);
      throw new ChatError('FORBIDDEN', 'You cannot react to deleted messages or system messages.');
    }
    const own = await tx.reaction.findMany({ where: { messageId: message.id, userId } });
    if (own.some((reaction) => reaction.emoji === emoji)) return undefined;
    if (own.length >= reactionsPerPersonMax) {
      const message = `One user can add at most ${reactionsPerPersonMax} reactions to a message.`;
      throw limitReached('reactionsPerPersonMax', message, field);
    }
    const groups = await tx.reactionGroup.findMany({ where: { messageId: message.id } });
    if (groups.length >= reactionEmojisMax && !groups.some((group) => group.emoji === emoji)) {
      const message = `A message can have reactions with at most ${reactionEmojisMax} different emojis.`;
      throw limitReached('reactionEmojisMax', message, field);
    }
    await storeReaction(tx, { messageId: message.id, emoji, userId }, conversation.changeSeq);
    return message;
  });
}

/**
 * Takes a reaction of the viewer's back. One that is not there: nothing.
 * @throws {ChatError} BAD_USER_INPUT of `input.emoji`; NOT_FOUND of `input.messageId`.
 */
export async function removeReaction(
  deps: Deps,
  viewer: Viewer,
  input: { messageId: string; emoji: string },
): Promise<Message> {
  const emoji = checkEmoji(input.emoji);
  const { userId } = viewer;
  return changeMessage(deps, viewer, input.messageId, 'reacted', async ({ tx, message }) => {
    const own = { userId, messageId: message.id, emoji };
    if (!(await tx.reaction.findUnique({ where: { userId_messageId_emoji: own } }))) return undefined;
    await removeReactions(tx, userId, [message.id], emoji);
    return message;
  });
}
