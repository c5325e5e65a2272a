import { emojiOf } from '../../core/emojis.js';
import { badInput, ChatError, limitReached } from '../../core/errors.js';
import { type Page, type PageArgs, readPage } from '../../core/page.js';
import type { Message } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import type { Viewer } from '../../platform/viewer.js';
import { canSend, isEncrypted, sendRefused } from '../conversation/conversation.policy.js';
import { type Conversation, findCounterpart } from '../conversation/conversation.store.js';
import { findContents } from '../encryption/encryption.content.js';
import { changeMessage } from '../message/message.change.js';
import { canChange } from '../message/message.policy.js';
import { reacted } from './reaction.part.js';
import { canReact, isEncryptedEmoji } from './reaction.policy.js';
import { type Reactor, type ReactorsPage, removeReactions, storeReaction } from './reaction.store.js';

const field = 'input.emoji';

/**
 * Normalizes an emoji, unless it is encrypted.
 * @throws {ChatError} BAD_USER_INPUT with the field `input.emoji` if the text is neither a single emoji nor an encrypted one.
 */
function checkEmoji(text: string): string {
  const emoji = isEncryptedEmoji(text) ? text : emojiOf(text);
  if (emoji === undefined) throw badInput(field, 'A reaction must be a single emoji.');
  return emoji;
}

/**
 * Checks that an emoji is encrypted if and only if the content of the message is.
 * @throws {ChatError} CONFLICT with the reason ENCRYPTED, or BAD_USER_INPUT, with the field `input.emoji`.
 */
async function checkEncryption(
  tx: Tx,
  emoji: string,
  message: Message,
  conversation: Pick<Conversation, 'encryption'>,
): Promise<void> {
  // Messages from before the encryption are in plain text.
  const isSecret = isEncrypted(conversation) && (await findContents(tx, [message.id]))[0] !== null;
  if (isSecret === isEncryptedEmoji(emoji)) return;
  if (!isSecret) throw badInput(field, 'Reactions to a message that is not encrypted must be an emoji.');
  throw new ChatError('CONFLICT', 'This message is encrypted: reactions to it must be as well.', {
    field,
    reason: 'ENCRYPTED',
  });
}

/**
 * Adds a reaction of the viewer to a message. Repeating the same reaction has no effect.
 * @returns the message after the change.
 * @throws {ChatError} BAD_USER_INPUT with the field `input.emoji`; CONFLICT with the field `input.emoji` and the reason
 *   ENCRYPTED; NOT_FOUND with the field `input.messageId`;
 *   FORBIDDEN if the viewer is not allowed to react; FORBIDDEN with the field `input.emoji` and a limit if the message
 *   or the viewer has too many reactions.
 */
export async function addReaction(
  deps: Deps,
  viewer: Viewer,
  input: { messageId: string; emoji: string },
): Promise<Message> {
  const emoji = checkEmoji(input.emoji);
  const { userId } = viewer;
  const { reactionEmojisMax, reactionsPerPersonMax } = deps.config;
  return changeMessage(deps, viewer, input.messageId, reacted, async ({ tx, message, conversation, membership }) => {
    if (!canReact(message, canSend(membership, await findCounterpart(tx, conversation, userId)))) {
      if (canChange(message)) throw sendRefused(membership);
      throw new ChatError('FORBIDDEN', 'You cannot react to deleted messages or system messages.');
    }
    const own = await tx.reaction.findMany({ where: { messageId: message.id, userId } });
    if (own.some((reaction) => reaction.emoji === emoji)) return undefined;
    await checkEncryption(tx, emoji, message, conversation);
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
 * Removes a reaction of the viewer from a message. It has no effect if the reaction does not exist.
 * @returns the message after the change.
 * @throws {ChatError} BAD_USER_INPUT with the field `input.emoji`; NOT_FOUND with the field `input.messageId`.
 */
export async function removeReaction(
  deps: Deps,
  viewer: Viewer,
  input: { messageId: string; emoji: string },
): Promise<Message> {
  const emoji = checkEmoji(input.emoji);
  const { userId } = viewer;
  return changeMessage(deps, viewer, input.messageId, reacted, async ({ tx, message }) => {
    const own = { userId, messageId: message.id, emoji };
    if (!(await tx.reaction.findUnique({ where: { userId_messageId_emoji: own } }))) return undefined;
    await removeReactions(tx, userId, [message.id], emoji);
    return message;
  });
}

/**
 * A page of the users who reacted to a message with an emoji, earliest reaction first.
 * @param read loads the rows of a page.
 * @throws {ChatError} BAD_USER_INPUT.
 */
export async function listReactors(
  { config }: Deps,
  { messageId, emoji }: { messageId: string; emoji: string },
  args: PageArgs,
  read: (page: ReactorsPage) => Promise<readonly Reactor[]>,
): Promise<Page<Reactor>> {
  return readPage(args, config, {
    name: `reactions:${messageId}:${emoji}`,
    keys: ['int'],
    read: ({ from, size }) => read({ messageId, emoji, from: from?.[0] ?? 0, limit: size + 1 }),
    keysetOf: (row) => [row.changeSeq],
  });
}
