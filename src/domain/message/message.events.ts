import type { Conversation, Message, User } from '../../generated/prisma/client.js';
import type { Db } from '../../infra/database.js';
import type { Change, ChangeKind, ChangeRow } from '../../realtime/change.js';
import { reviveDates } from '../../realtime/wire.js';
import { findModeratorIds, type Moderated } from '../conversation/conversation.store.js';

/** What every change of a message says: the rows as they are after it, so that most selections need no database. */
export interface MessageChanged {
  message: FullMessage;
}

export type FullMessage = Message & {
  sender: User | null;
  conversation: Conversation & Partial<Moderated>;
  /** It was sent in this moment: nobody else can have it yet. */
  justSent?: boolean;
};

export const messageChangeTypes = {
  sent: 'MESSAGE_SENT',
  edited: 'MESSAGE_EDITED',
  deleted: 'MESSAGE_DELETED',
} as const;

/** Raised whenever what is told between nodes grows or changes, the rows of people in it too. */
const VERSION = 2;

export const messageChanged = (
  type: keyof typeof messageChangeTypes,
  actorId: string,
  { conversation, ...message }: FullMessage,
): Change<MessageChanged> => ({
  conversationId: conversation.id,
  changeSeq: conversation.changeSeq,
  type: messageChangeTypes[type],
  messageId: message.id,
  subjectId: null,
  actorId,
  data: {
    // Hashes serve only the row that they stand in.
    message: {
      ...message,
      inputHash: null,
      justSent: type === 'sent',
      conversation: { ...conversation, inputHash: null },
    },
  },
});

export const messageChanges: ChangeKind<MessageChanged> = {
  types: Object.values(messageChangeTypes),
  messageSeq: ({ data }) => data.message.seq,
  encode: (data) => ({ v: VERSION, ...data }),
  decode(json) {
    const { v, message } = json as { v: number } & MessageChanged;
    if (v !== VERSION) return undefined;
    reviveDates(message, 'createdAt', 'editedAt', 'deletedAt');
    reviveDates(message.conversation, 'createdAt', 'lastActivityAt');
    if (message.sender) reviveDates(message.sender, 'createdAt', 'deletedAt', 'suspendedAt');
    return { message };
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
    const byId = new Map(messages.map((message) => [message.id, message]));
    return rows.map(({ messageId }) => {
      const message = messageId === null ? undefined : byId.get(messageId);
      if (!message) return null;
      const moderatorIds = moderators.get(message.conversationId) ?? null;
      return { message: { ...message, inputHash: null, conversation: { ...message.conversation, moderatorIds } } };
    });
  },
};
