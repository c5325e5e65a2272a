import { z } from 'zod';
import { badInput, ChatError } from '../../core/errors.js';
import { encodeGlobalId, newId } from '../../core/ids.js';
import { type Page, type PageArgs, readPageArgs, toPage } from '../../core/page.js';
import type { Conversation, Message } from '../../generated/prisma/client.js';
import type { Deps } from '../../platform/deps.js';
import { checkInput, hashInput } from '../../platform/input.js';
import { take } from '../../platform/rates.js';
import { defineHook, defineService } from '../../platform/service.js';
import type { Connection, Viewer } from '../../platform/viewer.js';
import {
  type ChangeEvent,
  type ChangeStream,
  defineStreamKind,
  type StreamEvent,
} from '../../realtime/change-stream.js';
import { auditingDenials } from '../audit/audit.logger.js';
import { type AuditEvent, recordAuditEvents } from '../audit/audit.store.js';
import { canModerate } from '../conversation/membership.policy.js';
import { openStream } from '../conversation/open-stream.js';
import { clientKey } from '../user/user.input.js';
import { changeMessage } from './message.change.js';
import { deleteContent } from './message.deletion.js';
import { allMessageChangeTypes, type MessageChanged, messageChangeTypes } from './message.events.js';
import { findMentions } from './message.mentions.js';
import { type MessageChangeType, messageParts, type SendMessageInput, streamedChanges } from './message.part.js';
import { canDelete } from './message.policy.js';
import { sendPerPerson } from './message.rates.js';
import { sends } from './message.sending.js';
import type { MessageRange } from './message.store.js';
import { checkLength, messageText } from './message.text.js';

// Created once, because creating a schema is the most expensive step of a send in this process.
const sendInput = z.object({ text: messageText, clientMessageId: clientKey('A clientMessageId', 128).nullish() });
const sendInputWithoutText = sendInput.extend({ text: messageText.nullish() });

/** Emitted after each successful send. */
export const messageSent = defineHook<[conversationId: string, senderId: string]>('message sent');

/**
 * Sends a message: stores it and publishes it to the members of the conversation. The message is committed when the
 * promise resolves. If the viewer has already used the `clientMessageId`, it returns the first message in its current
 * state.
 * @throws {ChatError} BAD_USER_INPUT; NOT_FOUND with the field `input.conversationId`; FORBIDDEN if the viewer can see
 *   the conversation but cannot send messages in it; all errors of the message's parts; CONFLICT with the field
 *   `input.clientMessageId` if it was used with another input; RATE_LIMITED.
 */
export async function sendMessage(deps: Deps, viewer: Viewer, input: SendMessageInput): Promise<Message> {
  const parts = messageParts.of(deps);
  const given = parts.readGiven(deps, input);
  const isTextRequired = !given.some(({ sent }) => sent.replacesText);
  const checked = checkInput(isTextRequired ? sendInput : sendInputWithoutText, input);
  const { text = null, clientMessageId = null } = checked;
  if (text !== null) checkLength(deps, { text });
  take(deps, sendPerPerson, viewer);
  const { conversationId } = input;
  // The hash of a message without parts must stay the same: it was stored with the messages of earlier versions.
  const inputHash =
    clientMessageId === null
      ? null
      : hashInput(conversationId, text, ...given.flatMap((each) => each.sent.identify(each.given)));
  const derived = parts.derive(deps, text ?? '');
  const mentioning = given.find(({ sent }) => sent.findMentions);
  const message = await sends.of(deps)(conversationId, {
    id: newId(),
    conversationId,
    senderId: viewer.userId,
    text,
    clientMessageId,
    inputHash,
    given,
    // Before the lock: a member who leaves in the meantime is still mentioned, but has no unread counts.
    ...(await (mentioning?.sent.findMentions?.(deps.database.db, conversationId, mentioning.given) ??
      findMentions(deps.database.db, conversationId, text ?? ''))),
    derived: derived instanceof Promise ? await derived : derived,
  });
  messageSent.emit(deps, conversationId, viewer.userId);
  return message;
}

/**
 * Deletes the content of a message permanently and keeps the message as a tombstone. Deleting a deleted message has no
 * effect.
 * @returns the message after the deletion.
 * @throws {ChatError} NOT_FOUND with the field `input.messageId`; FORBIDDEN if the viewer is not allowed to delete it.
 */
export async function deleteMessage(deps: Deps, viewer: Viewer, messageId: string): Promise<Message> {
  const act: AuditEvent = {
    action: 'MESSAGE_DELETED',
    actor: viewer,
    details: { messageId: encodeGlobalId('Message', messageId) },
  };
  return auditingDenials(deps, act, () =>
    changeMessage(
      deps,
      viewer,
      messageId,
      messageChangeTypes.deleted,
      async ({ tx, message, conversation, membership }) => {
        if (message.deletedAt !== null) return undefined;
        act.conversationId = message.conversationId;
        act.subjectId = message.senderId ?? undefined;
        if (!canDelete(message, viewer.userId, canModerate(conversation, membership))) {
          throw new ChatError('FORBIDDEN', 'You are not allowed to delete this message.');
        }
        if (message.senderId !== viewer.userId) await recordAuditEvents(tx, act);
        const [deleted] = await deleteContent(deps, tx, [message]);
        return deleted;
      },
    ),
  );
}

export interface HistoryArgs extends PageArgs {
  aroundSeq?: number | null | undefined;
}

/** Reads a range of messages of a conversation, or null if the viewer is not a member. */
export type ReadRange = (conversationId: string, range: MessageRange) => Promise<Message[] | null>;

/**
 * A page of a conversation's messages, oldest first. Without arguments, it is the newest page.
 * @throws {ChatError} BAD_USER_INPUT; FORBIDDEN if the viewer is not a member.
 */
export async function listMessages(
  { config }: Deps,
  conversation: Conversation,
  { aroundSeq, ...args }: HistoryArgs,
  readRange: ReadRange,
): Promise<Page<Message>> {
  const read = async (range: MessageRange): Promise<Message[]> => {
    const messages = await readRange(conversation.id, range);
    if (!messages) throw new ChatError('FORBIDDEN', 'Join this group to read its messages.');
    return messages;
  };
  const list = `messages:${conversation.id}`;
  const page = readPageArgs(list, args, ['int'], config, 'end');
  if (aroundSeq == null) {
    const { backward, size } = page;
    return toPage(list, page, await read({ beyond: page.from?.[0] ?? null, backward, limit: size + 1 }), (row) => [
      row.seq,
    ]);
  }
  if (args.after != null || args.before != null || args.last != null) {
    throw badInput('aroundSeq', '`aroundSeq` can only be combined with `first`.');
  }
  if (aroundSeq < 1) throw badInput('aroundSeq', 'A seq must be at least 1.');
  // The first half of the page comes before the message; the message itself and the second half follow. If one side has
  // too few messages, the page is not filled up from the other side.
  const olderSize = Math.floor(page.size / 2);
  const newerSize = page.size - olderSize;
  const [older, newer] = await Promise.all([
    read({ beyond: aroundSeq, backward: true, limit: olderSize + 1 }),
    read({ beyond: aroundSeq - 1, backward: false, limit: newerSize + 1 }),
  ]);
  const rows = [...older.slice(0, olderSize).reverse(), ...newer.slice(0, newerSize)];
  const { edges, pageInfo } = toPage(list, { ...page, size: rows.length, backward: false }, rows, (row) => [row.seq]);
  return {
    edges,
    pageInfo: { ...pageInfo, hasPreviousPage: older.length > olderSize, hasNextPage: newer.length > newerSize },
  };
}

/** One event of the `messages` stream. The type of a change is `MessageChangeType.event` or ERASED. */
export type MessageEvent = StreamEvent<string, MessageChanged>;

/** The kind of stream of one node. The types of changes depend on the node's parts. */
const messageStream = defineService('message stream', (deps) => {
  const eventsOf = (types: readonly MessageChangeType[]) => new Map(types.map(({ type, event }) => [type, event]));
  const events = eventsOf(allMessageChangeTypes(deps));
  const others = eventsOf(streamedChanges.of(deps));
  return defineStreamKind<string, MessageChanged>({
    types: [...events.keys(), ...others.keys()],
    typeOf: ({ type, data }) => others.get(type) ?? (data.message ? events.get(type) : 'ERASED'),
  });
});

/**
 * Opens a stream of all changes of messages, of one conversation or of all conversations of the viewer.
 * @param which.after a cursor to resume from.
 * @throws {ChatError} NOT_FOUND or FORBIDDEN with the field `conversationId`; BAD_USER_INPUT or CURSOR_EXPIRED with the
 *   field `after`.
 */
export const streamMessages = (
  deps: Deps,
  viewer: Viewer,
  connection: Connection,
  which: { conversationId: string | null; after: string | null | undefined },
): Promise<ChangeStream<ChangeEvent<string, MessageChanged>>> =>
  openStream(deps, viewer, connection, { kind: messageStream.of(deps), ...which });
