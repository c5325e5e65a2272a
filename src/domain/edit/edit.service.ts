import { z } from 'zod';
import { badInput, ChatError, limitReached } from '../../core/errors.js';
import { type Page, type PageArgs, readPage } from '../../core/page.js';
import type { Message, MessageVersion } from '../../generated/prisma/client.js';
import type { Deps } from '../../platform/deps.js';
import { checkInput } from '../../platform/input.js';
import type { Viewer } from '../../platform/viewer.js';
import { canSend, sendRefused } from '../conversation/conversation.policy.js';
import { findCounterpart } from '../conversation/conversation.store.js';
import { canModerate } from '../conversation/membership.policy.js';
import { changeMessage } from '../message/message.change.js';
import { checkMentions, findMentions } from '../message/message.mentions.js';
import { messageParts, type SendMessageInput } from '../message/message.part.js';
import { canSee } from '../message/message.policy.js';
import { checkEncryption, checkLength, messageText, replaceText } from '../message/message.text.js';
import { edited } from './edit.part.js';
import { canEdit, canReadVersions, isEditableBy } from './edit.policy.js';
import { storeVersion, type Versions, type VersionsPage } from './edit.store.js';

// Created once, because creating a schema is the most expensive step of an edit in this process.
const editInput = z.object({ text: messageText.nullish() });

/**
 * Replaces the text or the encrypted content of one of the viewer's messages, or removes the text of a message with
 * attachments. Setting the same content has no effect.
 * @returns the message after the change.
 * @throws {ChatError} BAD_USER_INPUT, also if nothing would be left of the message; NOT_FOUND with the field `input.messageId`; FORBIDDEN if the message belongs to
 *   another user or is deleted, if it was sent too long ago, or if the viewer cannot send messages in the conversation.
 */
export async function editMessage(
  deps: Deps,
  viewer: Viewer,
  input: { messageId: string } & Omit<SendMessageInput, 'conversationId'>,
): Promise<Message> {
  const { text = null } = checkInput(editInput, input);
  if (text !== null) checkLength(deps, { text });
  const { config } = deps;
  // Before anything is locked, because it can take long for a long text.
  const parts = messageParts.of(deps);
  const derived = await parts.derive(deps, text ?? '');
  const sealed = parts.readEncrypted(deps, { ...input, conversationId: '' });
  return changeMessage(deps, viewer, input.messageId, edited, async ({ tx, message, conversation, membership }) => {
    if (!isEditableBy(message, viewer.userId)) {
      throw new ChatError('FORBIDDEN', 'You can edit only your own messages.');
    }
    if (!canEdit(message, viewer.userId, config)) {
      throw limitReached('messageEditWindowSeconds', 'This message is too old to be edited.');
    }
    // An edit can contain new content, so it requires the same permission as a send.
    if (!canSend(membership, await findCounterpart(tx, conversation, viewer.userId))) {
      throw sendRefused(membership);
    }
    checkEncryption(conversation, sealed !== undefined);
    const changed: Record<string, unknown> = {};
    if (sealed) {
      const replacing = { message, given: sealed.given };
      const value = await sealed.sent.replace?.(tx, replacing, { sender: membership, conversation });
      if (value === undefined) return undefined;
      changed[sealed.part.name] = value;
    } else {
      if (text === null && message.attachmentCount === 0) {
        throw badInput('input.text', 'Only the text of a message with attachments can be removed.');
      }
      if (message.text === text) return undefined;
    }
    const { mentionedIds, asksEveryone } = await (sealed?.sent.findMentions?.(tx, conversation.id, sealed.given) ??
      findMentions(tx, conversation.id, text ?? ''));
    checkMentions(mentionedIds, config.mentionsMax);
    const mentionsEveryone = asksEveryone && canModerate(conversation, membership);
    await storeVersion(tx, message, config.messageVersionsMax);
    const data = { text, editedAt: new Date(), mentionedIds, mentionsEveryone };
    return replaceText(deps, tx, message, data, derived, changed);
  });
}

/**
 * A page of a message's earlier texts, newest first, or null if the viewer is not allowed to read them.
 * @param read loads a page of a message's earlier texts, without checking permissions.
 * @throws {ChatError} BAD_USER_INPUT.
 */
export async function listVersions(
  { config }: Deps,
  viewer: Viewer,
  message: Pick<Message, 'id' | 'seq' | 'senderId'>,
  args: PageArgs,
  read: (messageId: string, page: VersionsPage) => Promise<Versions | null>,
): Promise<Page<MessageVersion> | null> {
  return readPage(args, config, {
    name: `edits:${message.id}`,
    keys: ['int'],
    read: async ({ from, size }) => {
      const found = await read(message.id, { beyond: from?.[0] ?? null, limit: size + 1 });
      if (!found || !canSee(message, found.own)) return null;
      const isModerator = canModerate(found.conversation, found.own);
      return canReadVersions(message, viewer.userId, isModerator, config) ? found.versions : null;
    },
    keysetOf: (row) => [row.number],
  });
}
