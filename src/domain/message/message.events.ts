import type { Conversation, Message, User } from '../../generated/prisma/client.js';
import type { Db } from '../../infra/database/database.js';
import type { Change, ChangeKind, ChangeRow } from '../../realtime/change.js';
import { reviveDates } from '../../realtime/wire.js';
import { findModeratorIds, type Moderated } from '../conversation/conversation.store.js';
import { findByIds } from '../user/user.store.js';
import { type Beside, findBeside, nothingBeside } from './message.beside.js';

/** What every change of a message says: all of it as it is after it, so that most selections need no database. */
export interface MessageChanged {
  /** Null when its row is gone since: somebody who keeps the database has removed it. */
  message: (FullMessage & Beside) | null;
  /** Who made the change; null where that is the sender. */
  actor: User | null;
}

/** The same of a change that was made just now. */
export type MessageTold = MessageChanged & { message: FullMessage & Beside };

export type FullMessage = Message & {
  sender: User | null;
  conversation: Conversation & Partial<Moderated>;
  /** It was sent in this moment: nobody else can have it yet. */
  justSent?: boolean;
} & Partial<Beside>;

export const messageChangeTypes = {
  sent: 'MESSAGE_SENT',
  edited: 'MESSAGE_EDITED',
  deleted: 'MESSAGE_DELETED',
  reacted: 'MESSAGE_REACTED',
  pinned: 'MESSAGE_PINNED',
  unpinned: 'MESSAGE_UNPINNED',
} as const;

/** Raised whenever what is told between nodes grows or changes, the rows of people in it too. */
const VERSION = 3;

export const messageChanged = (
  type: keyof typeof messageChangeTypes,
  actor: Pick<User, 'id'> | User,
  { conversation, ...message }: FullMessage & Beside,
): Change<MessageTold> => ({
  conversationId: conversation.id,
  changeSeq: conversation.changeSeq,
  type: messageChangeTypes[type],
  messageId: message.id,
  subjectId: null,
  actorId: actor.id,
  data: {
    // Hashes serve only the row that they stand in.
    message: {
      ...message,
      inputHash: null,
      justSent: type === 'sent',
      conversation: { ...conversation, inputHash: null },
    },
    actor: 'username' in actor && actor.id !== message.senderId ? actor : null,
  },
});

export const messageChanges: ChangeKind<MessageChanged> = {
  types: Object.values(messageChangeTypes),
  // Of one that is gone nobody knows from whom it was hidden: only who sees all of the conversation is told.
  messageSeq: ({ data }) => data.message?.seq ?? 1,
  encode: (data) => ({ v: VERSION, ...data }),
  decode(json) {
    // What nodes tell each other has just happened: the message is there.
    const { v, message, actor } = json as { v: number } & MessageTold;
    if (v !== VERSION) return undefined;
    reviveMessage(message);
    reviveDates(message.conversation, 'createdAt', 'lastActivityAt');
    if (message.quote) reviveMessage(message.quote.message);
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
    const beside = await findBeside(db, messages);
    const byId = new Map(
      messages.map((message, index) => [message.id, { ...message, ...(beside[index] ?? nothingBeside) }]),
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

function reviveMessage(message: Message & { sender: User | null }): void {
  reviveDates(message, 'createdAt', 'editedAt', 'deletedAt', 'pinnedAt');
  if (message.sender) reviveUser(message.sender);
}

const reviveUser = (user: User) => reviveDates(user, 'createdAt', 'deletedAt', 'suspendedAt');
