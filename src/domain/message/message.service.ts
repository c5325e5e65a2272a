import { z } from 'zod';
import { badInput, ChatError, limitReached } from '../../core/errors.js';
import { encodeGlobalId, newId } from '../../core/ids.js';
import { type Page, type PageArgs, readPageArgs, toPage } from '../../core/page.js';
import { isStorable, isVisible } from '../../core/text/characters.js';
import type { Conversation, Message } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { checkInput, hashInput } from '../../platform/input.js';
import { take } from '../../platform/rates.js';
import { defineHook } from '../../platform/service.js';
import type { Connection, Viewer } from '../../platform/viewer.js';
import type { Change } from '../../realtime/change.js';
import { type ChangeStream, type Delivery, defineStreamKind, type Signal } from '../../realtime/change-stream.js';
import { notingRefusal } from '../audit/audit.notes.js';
import { type Act, recordActs } from '../audit/audit.store.js';
import { canSend, sendRefused } from '../conversation/conversation.policy.js';
import { findCounterpart } from '../conversation/conversation.store.js';
import { canModerate } from '../conversation/membership.policy.js';
import { openStream } from '../conversation/open-stream.js';
import { keepVersion } from '../edit/edit.store.js';
import { indexChanged } from '../search/search.index.js';
import { readTextEntries } from '../search/search.terms.js';
import { clientKey } from '../user/user.input.js';
import { changeMessage } from './message.change.js';
import { type MessageChanged, messageChangeTypes } from './message.events.js';
import { checkMentions, countedMentions, findMentions } from './message.mentions.js';
import { canDelete, canEdit, isTheirsToEdit } from './message.policy.js';
import { sendPerPerson } from './message.rates.js';
import { sends } from './message.sending.js';
import { emptyMessages, type Stretch } from './message.store.js';

const text = z
  .string('The message must not be empty.')
  .trim()
  .min(1, 'The message must not be empty.')
  .refine(isStorable, 'The message must not contain NUL characters or unpaired surrogates.')
  .refine(isVisible, 'The message must contain at least one visible character.');

// Made once: making a schema costs more than all else that a send does in this process.
const sendInput = z.object({ text, clientMessageId: clientKey('A clientMessageId', 128).nullish() });
const editInput = z.object({ text });

/** After each send that succeeded: its conversation and its sender. */
export const messageSent = defineHook<[conversationId: string, senderId: string]>('message sent');

/** @throws {ChatError} BAD_USER_INPUT of `input.text`: longer than is configured. */
function checkLength({ config }: Deps, { text }: { text: string }): void {
  const max = config.messageMaxChars;
  if (text.length > max) {
    throw badInput('input.text', `A message can have at most ${max} characters.`, 'messageMaxChars');
  }
}

/**
 * Stores a message and tells everyone in its conversation. When it returns, the message is committed.
 * With a `clientMessageId` that the viewer has used: the first message, as it is now.
 * @throws {ChatError} BAD_USER_INPUT; NOT_FOUND of `input.conversationId`; FORBIDDEN: visible, but not theirs to write
 *   in; NOT_FOUND of `input.replyToId`: not there for them to see; FORBIDDEN of `input.replyToId`: nothing that anybody
 *   wrote; CONFLICT of `input.clientMessageId`: used with another input; RATE_LIMITED.
 */
export async function sendMessage(
  deps: Deps,
  viewer: Viewer,
  input: {
    conversationId: string;
    text?: string | null | undefined;
    clientMessageId?: string | null | undefined;
    /** The message of the same conversation that it answers. */
    replyToId?: string | null | undefined;
  },
): Promise<Message> {
  const given = checkInput(sendInput, input);
  checkLength(deps, given);
  take(deps, sendPerPerson, viewer);
  const { conversationId } = input;
  const clientMessageId = given.clientMessageId ?? null;
  const replyToId = input.replyToId ?? null;
  // What answers nothing is hashed as it was before there were answers.
  const hashed = [conversationId, given.text, ...(replyToId === null ? [] : [replyToId])];
  const inputHash = clientMessageId === null ? null : hashInput(...hashed);
  const message = await sends.of(deps)(conversationId, {
    id: newId(),
    conversationId,
    senderId: viewer.userId,
    text: given.text,
    clientMessageId,
    inputHash,
    replyToId,
    // Before the lock: who leaves meanwhile is named all the same, and has no unread counts.
    ...(await findMentions(deps.database.db, conversationId, given.text)),
    textEntries: await readTextEntries(deps.slices, given.text),
  });
  messageSent.emit(deps, conversationId, viewer.userId);
  return message;
}

/**
 * Gives a message of the viewer's another text. The text that it has already changes nothing.
 * @throws {ChatError} BAD_USER_INPUT; NOT_FOUND of `input.messageId`; FORBIDDEN: somebody else's, deleted, sent too long
 *   ago, or to who cannot be written to.
 */
export async function editMessage(
  deps: Deps,
  viewer: Viewer,
  input: { messageId: string; text: string },
): Promise<Message> {
  const given = checkInput(editInput, input);
  checkLength(deps, given);
  const { config } = deps;
  // Before anything is locked: of a long text it takes its time.
  const textEntries = await readTextEntries(deps.slices, given.text);
  return changeMessage(deps, viewer, input.messageId, 'edited', async ({ tx, message, conversation, membership }) => {
    if (!isTheirsToEdit(message, viewer.userId)) {
      throw new ChatError('FORBIDDEN', 'You can edit only your own messages.');
    }
    if (!canEdit(message, viewer.userId, config)) {
      throw limitReached('messageEditWindowSeconds', 'This message is too old to be edited.');
    }
    // Another text says something new, as a message does.
    if (!canSend(membership, await findCounterpart(tx, conversation, viewer.userId))) {
      throw sendRefused(membership);
    }
    if (message.text === given.text) return undefined;
    const { mentionedIds, asksEveryone } = await findMentions(tx, conversation.id, given.text);
    checkMentions(mentionedIds, config.mentionsMax);
    const mentionsEveryone = asksEveryone && canModerate(conversation, membership);
    await keepVersion(tx, message, config.messageVersionsMax);
    const data = { text: given.text, editedAt: new Date(), mentionedIds, mentionsEveryone };
    await tx.message.update({ where: { id: message.id }, data, select: { id: true } });
    const edited = { ...message, ...data };
    await recount(tx, message, edited);
    await indexChanged(tx, edited, textEntries);
    return edited;
  });
}

/**
 * Takes a message's content away, everywhere and for good; what stays is a tombstone in its place. Of one that is deleted already: nothing.
 * @throws {ChatError} NOT_FOUND of `input.messageId`; FORBIDDEN: not the viewer's to delete.
 */
export async function deleteMessage(deps: Deps, viewer: Viewer, messageId: string): Promise<Message> {
  const act: Act = {
    action: 'MESSAGE_DELETED',
    actor: viewer,
    details: { messageId: encodeGlobalId('Message', messageId) },
  };
  return notingRefusal(deps, act, () =>
    changeMessage(deps, viewer, messageId, 'deleted', async ({ tx, message, conversation, membership }) => {
      if (message.deletedAt !== null) return undefined;
      act.conversationId = message.conversationId;
      act.subjectId = message.senderId ?? undefined;
      if (!canDelete(message, viewer.userId, canModerate(conversation, membership))) {
        throw new ChatError('FORBIDDEN', 'You are not allowed to delete this message.');
      }
      if (message.senderId !== viewer.userId) await recordActs(tx, act);
      const [deleted] = await emptyMessages(tx, [message]);
      return deleted;
    }),
  );
}

/** Who has an unread mention of a message is who it names now. */
async function recount(tx: Tx, before: Message, after: Message): Promise<void> {
  const { conversationId, seq } = after;
  const userIds = countedMentions(after);
  if (countedMentions(before).length > 0) await tx.mention.deleteMany({ where: { conversationId, seq } });
  if (userIds.length > 0) {
    await tx.mention.createMany({ data: userIds.map((userId) => ({ conversationId, seq, userId })) });
  }
}

export interface HistoryArgs extends PageArgs {
  aroundSeq?: number | null | undefined;
}

/** Reads what `stretch` says of a conversation that the viewer is in; null where they are not. */
export type ReadStretch = (conversationId: string, stretch: Stretch) => Promise<Message[] | null>;

/**
 * A page of a conversation's messages, oldest first; without arguments the newest ones.
 * @throws {ChatError} BAD_USER_INPUT; FORBIDDEN to who is not a member.
 */
export async function listMessages(
  { config }: Deps,
  conversation: Conversation,
  { aroundSeq, ...args }: HistoryArgs,
  readStretch: ReadStretch,
): Promise<Page<Message>> {
  const read = async (stretch: Stretch): Promise<Message[]> => {
    const messages = await readStretch(conversation.id, stretch);
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
    throw badInput('aroundSeq', 'Use `aroundSeq` only with `first`.');
  }
  if (aroundSeq < 1) throw badInput('aroundSeq', 'A seq must be at least 1.');
  // Half the page before the message, it and the other half after; what one side lacks, the other does not fill.
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

/** One event of the `messages` stream. */
export type MessageEvent = Signal | MessageChangeEvent;
type MessageChangeEvent = Delivery & { type: MessageEventType; change: Change<MessageChanged> };
type MessageEventType = 'SENT' | 'EDITED' | 'DELETED' | 'REACTED' | 'PINNED' | 'UNPINNED' | 'ERASED';

const eventTypes: Record<string, MessageEventType> = {
  [messageChangeTypes.sent]: 'SENT',
  [messageChangeTypes.edited]: 'EDITED',
  [messageChangeTypes.deleted]: 'DELETED',
  [messageChangeTypes.reacted]: 'REACTED',
  [messageChangeTypes.pinned]: 'PINNED',
  [messageChangeTypes.unpinned]: 'UNPINNED',
};

const messageStream = defineStreamKind<MessageChangeEvent>({
  types: Object.keys(eventTypes),
  toEvent(change, delivery) {
    const { data, ...row } = change as Change<MessageChanged>;
    const type = data.message ? eventTypes[change.type] : 'ERASED';
    return type && { type, ...delivery, change: { ...row, data } };
  },
});

/**
 * Every change of messages, of one conversation or of all the viewer's.
 * @throws {ChatError} NOT_FOUND or FORBIDDEN of `conversationId`; BAD_USER_INPUT or CURSOR_EXPIRED of `after`.
 */
export const streamMessages = (
  deps: Deps,
  viewer: Viewer,
  connection: Connection,
  which: { conversationId: string | null; after: string | null | undefined },
): Promise<ChangeStream<MessageChangeEvent>> => openStream(deps, viewer, connection, { kind: messageStream, ...which });
