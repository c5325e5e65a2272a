import type { Conversation, Message, User } from '../../generated/prisma/client.js';
import type { Db } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import type { Change, ChangeKind, ChangeRow } from '../../realtime/change.js';
import { reviveDates } from '../../realtime/wire.js';
import { findModeratorIds, type Moderated } from '../conversation/conversation.store.js';
import { findByIds } from '../user/user.store.js';
import { defineMessageChangeType, type MessageChangeType, type MessageParts, messageParts } from './message.part.js';

/**
 * The data of a change of a message. It contains the message after the change, so that most selections need no query.
 */
export interface MessageChanged {
  /** The message after the change, or null if an operator has deleted its row since. */
  message: (FullMessage & { parts: MessageParts }) | null;
  /** The user who made the change, or null if that is the sender of the message. */
  actor: User | null;
}

/** The data of a change that this node has just made, so that the message exists. */
export type NewMessageChange = MessageChanged & { message: FullMessage & { parts: MessageParts } };

export type FullMessage = Message & {
  sender: User | null;
  conversation: Conversation & Partial<Moderated>;
  /** Whether this change sent the message, so that nothing has changed it yet. */
  justSent?: boolean;
  parts?: MessageParts;
};

/** The types of changes that belong to no part. */
export const messageChangeTypes = {
  sent: defineMessageChangeType('SENT', 'The message was sent.'),
  deleted: defineMessageChangeType('DELETED', 'The message was deleted and is now a tombstone.'),
} as const;

/** The types of all changes of messages, including those of parts. */
export const allMessageChangeTypes = (deps: Pick<Deps, 'features'>): readonly MessageChangeType[] => [
  ...Object.values(messageChangeTypes),
  ...messageParts.of(deps).changes,
];

/**
 * Increase it when the columns of a message, its sender or its conversation change. The version on the wire also
 * contains the versions of the parts. During a rolling update, a node that receives a change in another version loads
 * the message from the database. A node that does not know the type of a change skips it.
 */
const ROWS_VERSION = 6;

export const messageChanged = (
  { type }: MessageChangeType,
  actor: Pick<User, 'id'> | User,
  { conversation, ...message }: FullMessage & { parts: MessageParts },
): Change<NewMessageChange> => ({
  conversationId: conversation.id,
  changeSeq: conversation.changeSeq,
  type,
  messageId: message.id,
  subjectId: null,
  actorId: actor.id,
  data: {
    // The hashes of inputs are compared in the database only, so they are not published.
    message: {
      ...message,
      inputHash: null,
      justSent: type === messageChangeTypes.sent.type,
      conversation: { ...conversation, inputHash: null },
    },
    actor: 'username' in actor && actor.id !== message.senderId ? actor : null,
  },
});

export function messageChanges(deps: Pick<Deps, 'features'>): ChangeKind<MessageChanged> {
  const parts = messageParts.of(deps);
  const version = `${ROWS_VERSION} ${parts.format}`;
  return {
    types: allMessageChangeTypes(deps).map(({ type }) => type),
    // For a message whose row was deleted, it is unknown which members could not see it, so that the change is only
    // delivered to members who see all messages.
    messageSeq: ({ data }) => data.message?.seq ?? 1,
    encode: (data) => ({ v: version, ...data }),
    decode(json) {
      // A node only publishes changes that it has just made, so the message is never null.
      const { v, message, actor } = json as { v: unknown } & NewMessageChange;
      if (v !== version) return undefined;
      reviveMessage(message);
      reviveDates(message.conversation, 'createdAt', 'lastActivityAt');
      parts.revive(message.parts);
      if (actor) reviveUser(actor);
      return { message, actor };
    },
    async load(db: Db, rows: readonly ChangeRow[]) {
      const ids = rows.flatMap((row) => (row.messageId === null ? [] : [row.messageId]));
      const messages = await db.message.findMany({
        where: { id: { in: ids } },
        include: { sender: true, conversation: true },
      });
      const moderators = await findModeratorIds(
        db,
        messages.map(({ conversationId }) => conversationId),
      );
      const partsOf = await parts.load(db, messages);
      const byId = new Map(
        messages.map((message, index) => [message.id, { ...message, parts: partsOf[index] ?? parts.empty }]),
      );
      const isSender = ({ messageId, actorId }: ChangeRow) =>
        messageId !== null && byId.get(messageId)?.senderId === actorId;
      const actorIds = rows.flatMap((row) => (row.actorId === null || isSender(row) ? [] : [row.actorId]));
      const actors = actorIds.length === 0 ? [] : await findByIds(db, [...new Set(actorIds)]);
      return rows.map((row) => {
        const message = row.messageId === null ? undefined : byId.get(row.messageId);
        if (!message) return { message: null, actor: null };
        const moderatorIds = moderators.get(message.conversationId) ?? null;
        const actor = isSender(row) ? null : (actors.find((user) => user?.id === row.actorId) ?? null);
        return {
          message: { ...message, inputHash: null, conversation: { ...message.conversation, moderatorIds } },
          actor,
        };
      });
    },
  };
}

/** Restores the dates of a message and its sender, in place. */
export function reviveMessage(message: Message & { sender: User | null }): void {
  reviveDates(message, 'createdAt', 'editedAt', 'deletedAt', 'pinnedAt');
  if (message.sender) reviveUser(message.sender);
}

const reviveUser = (user: User) => reviveDates(user, 'createdAt', 'deletedAt', 'suspendedAt');
