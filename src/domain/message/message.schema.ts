import { gone } from '../../core/errors.js';
import { encodeGlobalId, idOf, NOBODYS_ID } from '../../core/ids.js';
import type {
  Conversation as ConversationRow,
  Message as MessageRow,
  User as UserRow,
} from '../../generated/prisma/client.js';
import { builder } from '../../graphql/builder.js';
import { bothWaysArgs } from '../../graphql/connection.js';
import { type Context, viewerOf } from '../../graphql/context.js';
import { atMost } from '../../graphql/costs.js';
import { defineListLoader, defineLoader } from '../../graphql/loader.js';
import { givesSource, keyedBy, shared } from '../../graphql/sharing.js';
import { Conversation, loadConversation } from '../conversation/conversation.schema.js';
import {
  findByIds as findConversations,
  findModerating,
  type Moderated,
  otherOf,
} from '../conversation/conversation.store.js';
import { loadUser, User } from '../user/user.schema.js';
import type { Beside } from './message.beside.js';
import { canDelete, canEdit, isTheirsToEdit } from './message.policy.js';
import {
  deleteMessage,
  editMessage,
  listMessages,
  type MessageEvent as MessageEventShape,
  sendMessage,
  streamMessages,
} from './message.service.js';
import { findNewest, findSeen, findStretches, type Stretch } from './message.store.js';
import { type SystemEvent, systemEventTypes } from './system-event.js';

const MessageKind = builder.enumType('MessageKind', {
  values: {
    USER: { description: 'Written by a person or a bot.' },
    SYSTEM: { description: 'Written by the service: see systemEvent. Nobody edits or deletes it.' },
  },
});

const SystemEventType = builder.enumType('SystemEventType', { values: systemEventTypes });

const SystemEventObject = builder.objectRef<SystemEvent>('SystemEvent').implement({
  description: 'What happened in a group.',
  extensions: shared('type', 'actor', 'subjects', 'oldValue', 'newValue'),
  fields: (t) => ({
    type: t.expose('type', { type: SystemEventType, nullable: false }),
    actor: t.field({
      type: User,
      description: 'Who did it.',
      resolve: ({ actorId }, _args, context) => loadUser(context, actorId),
    }),
    subjects: t.field({
      type: [User],
      extensions: atMost('pageMax'),
      nullable: { list: false, items: false },
      description: 'Whom it is about: who was added or removed, whose role is another; also who joined or left.',
      resolve: ({ subjectIds }, _args, context) => loadUsers(context, subjectIds),
    }),
    oldValue: t.exposeString('oldValue', {
      description: 'Of *_CHANGED what it was: a title, a description, the name of a value of an enum.',
    }),
    newValue: t.exposeString('newValue', { description: 'What it is now; of GROUP_CREATED the title.' }),
  }),
});

/** People by the ids of their rows, in this order. */
const loadUsers = async (context: Context, ids: readonly string[]): Promise<UserRow[]> =>
  (await Promise.all(ids.map((id) => loadUser(context, id)))).filter((user) => user !== null);

/** An event and an answer bring these along, so that the usual selection needs no further read. */
export type Preloaded = MessageRow & {
  sender?: UserRow | null;
  conversation?: ConversationRow & Partial<Moderated>;
  justSent?: boolean;
} & Partial<Beside>;

const loadIsSeen = defineLoader((context, ids) => findSeen(context.deps.database.db, viewerOf(context).userId, ids));

export const Message = builder.prismaNode('Message', {
  id: { field: 'id' },
  nullable: true,
  // What is not for the viewer is looked up as what cannot be there.
  findUnique: async (id, context) => ({ id: (await loadIsSeen(context, id)) ? id : NOBODYS_ID }),
  description: 'What was said in a conversation.',
  extensions: shared(
    'id',
    'conversation',
    'seq',
    'kind',
    'sender',
    'text',
    'createdAt',
    'editedAt',
    'deletedAt',
    'clientMessageId',
    'mentions',
    'mentionsEveryone',
    'systemEvent',
  ),
  fields: (t) => ({
    conversation: t.field({
      type: Conversation,
      nullable: false,
      // Not async: what is there is given at once, for everyone who waits for the event.
      resolve: (message: Preloaded, _args, context) =>
        message.conversation ??
        loadConversation(context, message.conversationId).then((conversation) => conversation ?? gone('Conversation')),
    }),
    seq: t.exposeInt('seq', {
      nullable: false,
      description: 'Given in order of commit, 1, 2, 3, … and never reused; a viewer may not see all of them.',
    }),
    kind: t.expose('kind', { type: MessageKind, nullable: false }),
    sender: t.field({
      type: User,
      description: 'Null for a system message.',
      resolve: (message: Preloaded, _args, context) =>
        message.sender ?? (message.senderId === null ? null : loadUser(context, message.senderId)),
    }),
    text: t.exposeString('text', {
      description:
        'Null when deleted, and where the content is of another sort (encrypted, only media): only deletedAt says deleted.',
    }),
    systemEvent: t.field({
      type: SystemEventObject,
      description: 'Of a message of kind SYSTEM.',
      resolve: ({ systemEvent }) => systemEvent as SystemEvent | null,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', nullable: false }),
    editedAt: t.expose('editedAt', { type: 'DateTime' }),
    deletedAt: t.expose('deletedAt', { type: 'DateTime' }),
    clientMessageId: t.exposeString('clientMessageId', {
      description: "The sender's own key, for matching an optimistic copy; the same for every viewer.",
    }),
    mentions: t.field({
      type: [User],
      extensions: atMost('mentionsMax'),
      nullable: { list: false, items: false },
      description:
        'Members whom the text names as `@username`, in its order: as members were when it was sent or edited. At most `serverInfo.limits.mentionsMax`.',
      resolve: (message: Preloaded, _args, context) =>
        message.mentionedIds.length === 0 ? [] : loadUsers(context, message.mentionedIds),
    }),
    mentionsEveryone: t.exposeBoolean('mentionsEveryone', {
      nullable: false,
      description: 'An owner or admin of a group wrote `@everyone`: it counts as a mention of every member.',
    }),
    viewerCanEdit: t.boolean({
      nullable: false,
      description:
        'It is theirs, and at this moment not too late: `serverInfo.limits.messageEditWindowSeconds` after `createdAt` it turns false, and no event says so. In a direct conversation only while `viewerCanSend`.',
      // Time passes alike for all, and where it depends on whom they write to, the key is of one person: the sender.
      extensions: keyedBy<MessageRow | null>((message, viewerId) =>
        String(message && isTheirsToEdit(message, viewerId)),
      ),
      resolve: (message: Preloaded, _args, context) => {
        if (!canEdit(message, viewerOf(context).userId, context.deps.config)) return false;
        return message.justSent || loadCanWrite(context, message.conversationId).then((can) => can !== false);
      },
    }),
    viewerCanDelete: t.boolean({
      nullable: false,
      extensions: keyedBy<Preloaded | null>((message, viewerId) => {
        const moderatorIds = message?.conversation?.moderatorIds;
        // Where it is not known who moderates, each viewer has to be asked about.
        return message && moderatorIds
          ? String(canDelete(message, viewerId, moderatorIds.includes(viewerId)))
          : viewerId;
      }),
      resolve: (message: Preloaded, _args, context) => {
        const { userId } = viewerOf(context);
        const moderatorIds = message.conversation?.moderatorIds;
        if (moderatorIds) return canDelete(message, userId, moderatorIds.includes(userId));
        return loadModerating(context, message.conversationId).then((moderates) =>
          canDelete(message, userId, moderates === true),
        );
      },
    }),
  }),
});

/** Whether the other one of a direct conversation can be written to; null of groups. */
const loadCanWrite = defineLoader(async (context, ids) => {
  const { userId: viewerId } = viewerOf(context);
  return Promise.all(
    (await findConversations(context.deps.database.db, ids)).map(async (conversation) => {
      if (conversation?.directKey == null) return null;
      const userId = otherOf(conversation.directKey, viewerId);
      return (await context.deps.lookUpStanding({ viewerId, userId })).canWrite;
    }),
  );
});

/** Whether the viewer moderates a conversation: one statement for all messages of a page. */
const loadModerating = defineLoader((context, ids) =>
  findModerating(context.deps.database.db, viewerOf(context).userId, ids),
);

export const MessageConnection = builder.connectionObject(
  { type: Message, name: 'MessageConnection' },
  { name: 'MessageEdge' },
);

builder.prismaObjectFields(Conversation, (t) => ({
  messages: t.field({
    type: MessageConnection,
    description:
      'Oldest first within a page; without arguments the newest. aroundSeq is the page around one message, of `first` messages. To who is not a member: FORBIDDEN.',
    args: { ...bothWaysArgs, aroundSeq: t.arg.int() },
    resolve: (conversation, args, context) =>
      listMessages(context.deps, conversation, args, (id, stretch) => loadStretch(context, id, stretch)),
  }),
  lastMessage: t.field({
    type: Message,
    description: 'The newest message; null when there is none, and to who is not a member.',
    resolve: ({ id }, _args, context) => loadNewest(context, id),
  }),
  latestSeq: t.exposeInt('latestSeq', {
    nullable: false,
    description: 'The seq of the newest message; 0 when there is none.',
  }),
}));

/** One statement for all conversations of which the same stretch is asked for. */
const loadStretch = defineListLoader((context, ids, stretch: Stretch) =>
  findStretches(context.deps.database.sql, viewerOf(context).userId, ids, stretch),
);

/** One statement for all conversations of a list. */
const loadNewest = defineLoader((context, ids) => findNewest(context.deps.database.db, viewerOf(context).userId, ids));

const SendMessageInput = builder.inputType('SendMessageInput', {
  fields: (t) => ({
    conversationId: t.id({ required: true }),
    text: t.string({ description: '1 to `serverInfo.limits.messageMaxChars` characters, after trimming.' }),
    clientMessageId: t.string({
      description:
        "The sender's own key for this message, unique among theirs, up to 128 characters: a retry with it never sends twice.",
    }),
    replyToId: t.id({
      description: 'The message that it answers: of the same conversation, one that the sender sees, of kind USER.',
    }),
  }),
});
const EditMessageInput = builder.inputType('EditMessageInput', {
  fields: (t) => ({ messageId: t.id({ required: true }), text: t.string({ required: true }) }),
});
const DeleteMessageInput = builder.inputType('DeleteMessageInput', {
  fields: (t) => ({ messageId: t.id({ required: true }) }),
});

/** What a mutation of a message answers. */
export const messagePayload = (name: string) =>
  builder.simpleObject(name, { fields: (t) => ({ message: t.field({ type: Message, nullable: false }) }) });
const SendMessagePayload = messagePayload('SendMessagePayload');
const EditMessagePayload = messagePayload('EditMessagePayload');
const DeleteMessagePayload = messagePayload('DeleteMessagePayload');

builder.mutationFields((t) => ({
  sendMessage: t.field({
    type: SendMessagePayload,
    description:
      'Answers when the message is stored. Idempotent by clientMessageId: the same input again returns the first message; another input with it is a CONFLICT.',
    args: { input: t.arg({ type: SendMessageInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const conversationId = idOf('Conversation', input.conversationId, 'input.conversationId');
      const replyToId = input.replyToId == null ? null : idOf('Message', input.replyToId, 'input.replyToId');
      return { message: await sendMessage(context.deps, viewer, { ...input, conversationId, replyToId }) };
    },
  }),
  editMessage: t.field({
    type: EditMessagePayload,
    description:
      "Of the viewer's own messages, for `serverInfo.limits.messageEditWindowSeconds` after they were sent; in a direct conversation only while `viewerCanSend`. What they said before stays in `Message.edits`.",
    args: { input: t.arg({ type: EditMessageInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const messageId = idOf('Message', input.messageId, 'input.messageId');
      return { message: await editMessage(context.deps, viewer, { ...input, messageId }) };
    },
  }),
  deleteMessage: t.field({
    type: DeleteMessagePayload,
    description:
      "Soft: the message stays as a tombstone without its content: no text, no earlier ones, no mentions, reactions or pin. Of the viewer's own messages, and in a group by its owners and admins.",
    args: { input: t.arg({ type: DeleteMessageInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const messageId = idOf('Message', input.messageId, 'input.messageId');
      return { message: await deleteMessage(context.deps, viewer, messageId) };
    },
  }),
}));

const MessageEventType = builder.enumType('MessageEventType', {
  description: 'What happened; a hint for sounds and badges. Treat an unknown one as "something newer".',
  values: {
    SENT: {},
    EDITED: {},
    DELETED: {},
    REACTED: { description: 'Somebody reacted to it, or took that back.' },
    PINNED: {},
    UNPINNED: {},
    ERASED: {
      description:
        'Nothing of it is left for the viewer: drop it. (Deleted messages are DELETED; this one was taken out of the database.)',
    },
    CAUGHT_UP: { description: 'All that was missed has come; from here on it is live.' },
    CHECKPOINT: { description: 'Nothing happened; a fresh cursor to keep.' },
  },
});

const changeOf = (event: MessageEventShape) => ('change' in event ? event.change : undefined);

const MessageEvent = builder.objectRef<MessageEventShape>('MessageEvent').implement({
  description: 'A change of a message: an upsert of what it carries.',
  extensions: shared('type', 'cursor', 'changeSeq', 'messageId', 'message', 'actor', 'replayed'),
  fields: (t) => ({
    type: t.expose('type', { type: MessageEventType, nullable: false }),
    cursor: t.exposeString('cursor', {
      nullable: false,
      description: 'Keep the last one: it is what `after` takes.',
    }),
    changeSeq: t.int({
      description:
        'The number of this change in its conversation, growing; what comes again carries the same. Null for CAUGHT_UP and CHECKPOINT.',
      resolve: (event) => changeOf(event)?.changeSeq ?? null,
    }),
    messageId: t.id({
      resolve: (event) => {
        const id = changeOf(event)?.messageId;
        return id == null ? null : encodeGlobalId('Message', id);
      },
    }),
    message: t.field({
      type: Message,
      description: 'As it is after the change. Null for CAUGHT_UP, CHECKPOINT and ERASED.',
      extensions: givesSource<MessageEventShape>((event) => changeOf(event)?.data.message ?? null),
      resolve: (event) => changeOf(event)?.data.message ?? null,
    }),
    actor: t.field({
      type: User,
      description: 'Who made the change.',
      resolve: (event, _args, context) => {
        const change = changeOf(event);
        if (change?.actorId == null) return null;
        const { message, actor } = change.data;
        if (message?.sender?.id === change.actorId) return message.sender;
        return actor ?? loadUser(context, change.actorId);
      },
    }),
    replayed: t.exposeBoolean('replayed', {
      nullable: false,
      description: 'True while catching up: no sounds.',
    }),
  }),
});

builder.subscriptionField('messages', (t) =>
  t.field({
    type: MessageEvent,
    nullable: false,
    description:
      "Every change of messages, in order within each conversation: of one conversation, or of all the viewer's. With `after`, the cursor of an event, first comes what changed since, then CAUGHT_UP, then life; without it begins with CAUGHT_UP.",
    args: { conversationId: t.arg.id(), after: t.arg.string() },
    subscribe: (_root, { conversationId, after }, context) =>
      streamMessages(context.deps, viewerOf(context), context, {
        conversationId: conversationId == null ? null : idOf('Conversation', conversationId, 'conversationId'),
        after,
      }),
    resolve: (event) => event,
  }),
);
