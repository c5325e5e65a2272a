import { z } from 'zod';
import { badInput, ChatError } from '../../core/errors.js';
import { isStorable, isVisible } from '../../core/text/characters.js';
import type { Conversation, Message } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { isEncrypted } from '../conversation/conversation.policy.js';
import { countedMentions } from './message.mentions.js';
import { type DerivedValues, type MessageParts, messageParts } from './message.part.js';
import { storeExtraColumns } from './message.store.js';

/** The schema of a message's text. The maximum length, which is configurable, is checked by `checkLength`. */
export const messageText = z
  .string('The message must not be empty.')
  .trim()
  .min(1, 'The message must not be empty.')
  .refine(isStorable, 'The message must not contain NUL characters or unpaired surrogates.')
  .refine(isVisible, 'The message must contain at least one visible character.');

/**
 * Checks the length of a text.
 * @throws {ChatError} BAD_USER_INPUT with the field `input.text` if it exceeds MESSAGE_MAX_CHARS.
 */
export function checkLength({ config }: Deps, { text }: { text: string }): void {
  const max = config.messageMaxChars;
  if (text.length > max) {
    throw badInput('input.text', `A message can have at most ${max} characters.`, 'messageMaxChars');
  }
}

/**
 * Checks that a message is encrypted if and only if its conversation is.
 * @throws {ChatError} CONFLICT with the reason ENCRYPTED or NOT_ENCRYPTED.
 */
export function checkEncryption(conversation: Pick<Conversation, 'encryption'>, isSealed: boolean): void {
  if (isSealed === isEncrypted(conversation)) return;
  throw isSealed
    ? new ChatError('CONFLICT', 'This conversation is not encrypted.', {
        field: 'input.encrypted',
        reason: 'NOT_ENCRYPTED',
      })
    : new ChatError('CONFLICT', 'This conversation is encrypted: its messages must be as well.', {
        field: 'input.text',
        reason: 'ENCRYPTED',
      });
}

/**
 * Replaces or removes the text of a message of a locked conversation, and everything derived from it: mentions and the derived
 * columns of parts.
 * @param derived what `CombinedParts.derive` returned for the new text.
 * @param changed the values of parts that change together with the text.
 * @returns the message after the change, with the values of its parts.
 */
export async function replaceText<Row extends Message>(
  deps: Pick<Deps, 'features'>,
  tx: Tx,
  message: Row,
  data: { text: string | null; editedAt: Date } & Pick<Message, 'mentionedIds' | 'mentionsEveryone'>,
  derived: DerivedValues,
  changed: Partial<MessageParts> = {},
): Promise<Row & { parts: MessageParts }> {
  await tx.message.update({ where: { id: message.id }, data, select: { id: true } });
  const combined = messageParts.of(deps);
  const [loaded = combined.empty] = await combined.load(tx, [message]);
  const parts = { ...loaded, ...changed };
  const replaced = { ...message, ...data, parts };
  await replaceMentions(tx, message, replaced);
  await storeExtraColumns(tx, replaced, combined.columns, combined.columnValues(replaced, derived));
  return replaced;
}

/** Replaces the rows that count unread mentions of a message by those of its new text. */
async function replaceMentions(tx: Tx, before: Message, after: Message): Promise<void> {
  const { conversationId, seq } = after;
  const userIds = countedMentions(after);
  if (countedMentions(before).length > 0) await tx.mention.deleteMany({ where: { conversationId, seq } });
  if (userIds.length > 0) {
    await tx.mention.createMany({ data: userIds.map((userId) => ({ conversationId, seq, userId })) });
  }
}
