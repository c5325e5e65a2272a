import { z } from 'zod';
import { badInput, ChatError, notFound } from '../../core/errors.js';
import { encodeGlobalId, newId } from '../../core/ids.js';
import { type Page, type PageArgs, readPageArgs, toPage } from '../../core/page.js';
import type { Conversation, Membership, Message } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database.js';
import type { Change } from '../../realtime/change.js';
import { recordChange } from '../../realtime/change-log.js';
import { type ChangeStream, type Delivery, defineStreamKind, type Signal } from '../../realtime/change-stream.js';
import { notingRefusal } from '../audit/audit.notes.js';
import { type Act, recordActs } from '../audit/audit.store.js';
import { findReachable } from '../block/block.store.js';
import { type Counterpart, canRead, canSend, counterpartOf } from '../conversation/conversation.policy.js';
import {
  changeConversation,
  findMembership,
  findModeratorIds,
  lockAndNumber,
  otherOf,
} from '../conversation/conversation.store.js';
import { canModerate } from '../conversation/membership.policy.js';
import type { Connection, Deps, Viewer } from '../deps.js';
import { checkInput, hashInput } from '../input.js';
import { take } from '../rates.js';
import { indexChanged } from '../search/search.index.js';
import { openStream } from '../stream.js';
import { name } from '../user/user.input.js';
import { holdViewer } from '../user/user.store.js';
import { type FullMessage, type MessageChanged, messageChanged, messageChangeTypes } from './message.events.js';
import { checkMentions, countedMentions, findMentions } from './message.mentions.js';
import { canDelete, canEdit, canSee } from './message.policy.js';

const text = z
  .string('A message needs a text.')
  .trim()
  .min(1, 'A message needs a text.')
  .refine((value) => !value.includes('\0') && value.isWellFormed(), 'A message cannot hold NUL or half a character.');

// Made once: making a schema costs more than all else that a send does in this process.
const sendInput = z.object({ text, clientMessageId: name('A clientMessageId', 128).nullish() });
const editInput = z.object({ text });

/** @throws {ChatError} BAD_USER_INPUT of `input.text`: longer than is configured. */
function checkLength({ config }: Deps, { text }: { text: string }): void {
  const max = config.messageMaxChars;
  if (text.length > max) throw badInput('input.text', `A message has at most ${max} characters.`);
}

/**
 * Stores a message and tells everyone in its conversation. When it returns, the message is committed.
 * With a `clientMessageId` that the viewer has used: the first message, as it is now.
 * @throws {ChatError} BAD_USER_INPUT; NOT_FOUND of `input.conversationId`; FORBIDDEN: visible, but not theirs to write
 *   in; CONFLICT of `input.clientMessageId`: used with another input; RATE_LIMITED.
 */
export async function sendMessage(
  deps: Deps,
  viewer: Viewer,
  input: { conversationId: string; text?: string | null | undefined; clientMessageId?: string | null | undefined },
): Promise<Message> {
  const given = checkInput(sendInput, input);
  checkLength(deps, given);
  take(deps.rates.sendPerPerson, viewer);
  const { conversationId } = input;
  const clientMessageId = given.clientMessageId ?? null;
  const inputHash = clientMessageId === null ? null : hashInput(conversationId, given.text);
  const message = await deps.sends(conversationId, {
    id: newId(),
    conversationId,
    senderId: viewer.userId,
    text: given.text,
    clientMessageId,
    inputHash,
    // Before the lock: who leaves meanwhile is named all the same, and has no unread counts.
    ...(await findMentions(deps.database.db, conversationId, given.text)),
  });
  deps.typing.stop(conversationId, viewer.userId);
  return message;
}

/**
 * Gives a message of the viewer's another text. The text that it has already changes nothing.
 * @throws {ChatError} BAD_USER_INPUT; NOT_FOUND of `input.messageId`; FORBIDDEN: somebody else's, or deleted, or to who
 *   cannot be written to.
 */
export async function editMessage(
  deps: Deps,
  viewer: Viewer,
  input: { messageId: string; text: string },
): Promise<Message> {
  const given = checkInput(editInput, input);
  checkLength(deps, given);
  return changeMessage(deps, viewer, input.messageId, 'edited', async ({ tx, message, conversation, membership }) => {
    if (!canEdit(message, viewer.userId)) throw new ChatError('FORBIDDEN', 'This message is not yours to edit.');
    // Another text says something new, as a message does.
    if (!canSend(membership, await findCounterpart(tx, conversation, viewer.userId))) {
      throw new ChatError('FORBIDDEN', 'You cannot write here.');
    }
    if (message.text === given.text) return undefined;
    const { mentionedIds, asksEveryone } = await findMentions(tx, conversation.id, given.text);
    checkMentions(mentionedIds, deps.config.mentionsMax);
    const mentionsEveryone = asksEveryone && canModerate(conversation, membership);
    return { text: given.text, editedAt: new Date(), mentionedIds, mentionsEveryone };
  });
}

/** Of a locked direct conversation the other one, to whom whoever cuts or opens it has to wait. */
async function findCounterpart(tx: Tx, { directKey }: Conversation, userId: string): Promise<Counterpart | undefined> {
  if (directKey === null) return undefined;
  const [isReachable] = await findReachable(tx, userId, [otherOf(directKey, userId)]);
  return counterpartOf(isReachable);
}

/**
 * Takes a message's content away; what stays is a tombstone in its place. Of one that is deleted already: nothing.
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
        throw new ChatError('FORBIDDEN', 'This message is not yours to delete.');
      }
      if (message.senderId !== viewer.userId) await recordActs(tx, act);
      return { text: null, deletedAt: new Date(), mentionedIds: [], mentionsEveryone: false };
    }),
  );
}

/** Thrown to roll back a change that turns out to change nothing. */
class Unchanged extends Error {
  constructor(readonly unchanged: FullMessage) {
    super();
  }
}

/** What a message becomes. */
type Edit = Pick<Message, 'text' | 'mentionedIds' | 'mentionsEveryone'> &
  Partial<Pick<Message, 'editedAt' | 'deletedAt'>>;

/** Changes a message under its conversation's lock, as `decide` says of its state there; undefined: not at all. */
async function changeMessage(
  deps: Deps,
  viewer: Viewer,
  messageId: string,
  type: keyof typeof messageChangeTypes,
  decide: (state: {
    tx: Tx;
    message: Message;
    conversation: Conversation;
    membership: Membership;
  }) => Edit | undefined | Promise<Edit | undefined>,
): Promise<Message> {
  const field = 'input.messageId';
  const known = await deps.database.db.message.findUnique({
    where: { id: messageId },
    select: { conversationId: true },
  });
  if (!known) throw notFound(field, 'Message');
  try {
    const change = await changeConversation(deps, known.conversationId, async (tx) => {
      const conversation = await lockAndNumber(tx, known.conversationId);
      await holdViewer(tx, viewer);
      const membership = await findMembership(tx, known.conversationId, viewer.userId);
      const message = await tx.message.findUnique({ where: { id: messageId }, include: { sender: true } });
      if (!conversation || !message || !canSee(message, membership)) throw notFound(field, 'Message');
      const data = await decide({ tx, message, conversation, membership });
      if (!data) throw new Unchanged({ ...message, conversation });
      await tx.message.update({ where: { id: messageId }, data, select: { id: true } });
      await recount(tx, message, { ...message, ...data });
      await indexChanged(tx, { ...message, ...data });
      const moderatorIds = (await findModeratorIds(tx, [conversation.id])).get(conversation.id) ?? null;
      const changed = { ...message, ...data, conversation: { ...conversation, moderatorIds } };
      return recordChange(tx, messageChanged(type, viewer.userId, changed));
    });
    deps.feed.announce(change);
    return change.data.message;
  } catch (error) {
    if (error instanceof Unchanged) return error.unchanged;
    throw error;
  }
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

/**
 * A page of a conversation's messages, oldest first; without arguments the newest ones. `query` is what of them is
 * to be read.
 * @throws {ChatError} BAD_USER_INPUT; FORBIDDEN to who is not a member.
 */
export async function listMessages(
  { database, config }: Deps,
  viewer: Viewer,
  conversation: Conversation,
  { aroundSeq, ...args }: HistoryArgs,
  query: object,
): Promise<Page<Message>> {
  const own = await findMembership(database.db, conversation.id, viewer.userId);
  if (!canRead(own)) {
    throw new ChatError('FORBIDDEN', 'Join this group to read its messages.');
  }
  const list = `messages:${conversation.id}`;
  const page = readPageArgs(list, args, ['int'], config, 'end');
  const read = (seq: { lt: number } | { gt: number } | { gte: number } | undefined, backward: boolean, take: number) =>
    database.db.message.findMany({
      ...query,
      where: { conversationId: conversation.id, seq: { gt: own.hiddenToSeq }, ...(seq ? { AND: { seq } } : {}) },
      orderBy: { seq: backward ? 'desc' : 'asc' },
      take,
    });
  if (aroundSeq == null) {
    const from = page.from?.[0];
    const beyond = from === undefined ? undefined : page.backward ? { lt: from } : { gt: from };
    return toPage(list, page, await read(beyond, page.backward, page.size + 1), (row) => [row.seq]);
  }
  if (args.after != null || args.before != null || args.last != null) {
    throw badInput('aroundSeq', '`aroundSeq` goes with `first` only.');
  }
  if (aroundSeq < 1) throw badInput('aroundSeq', 'Seqs begin with 1.');
  // Half the page before the message, it and the other half after; what one side lacks, the other does not fill.
  const olderSize = Math.floor(page.size / 2);
  const newerSize = page.size - olderSize;
  const [older, newer] = await Promise.all([
    read({ lt: aroundSeq }, true, olderSize + 1),
    read({ gte: aroundSeq }, false, newerSize + 1),
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
type MessageEventType = 'SENT' | 'EDITED' | 'DELETED';

const eventTypes: Record<string, MessageEventType> = {
  [messageChangeTypes.sent]: 'SENT',
  [messageChangeTypes.edited]: 'EDITED',
  [messageChangeTypes.deleted]: 'DELETED',
};

const messageStream = defineStreamKind<MessageChangeEvent>({
  types: Object.keys(eventTypes),
  toEvent(change, delivery) {
    const type = eventTypes[change.type];
    return type && { type, ...delivery, change: change as Change<MessageChanged> };
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
