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
import { relationshipLookup } from '../user/reach.store.js';
import { loadUser, User } from '../user/user.schema.js';
import type { Beside } from './message.beside.js';
import { canDelete, canEdit, canReply, editableUntil, isTheirsToEdit } from './message.policy.js';
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
  description: 'The kind of a message.',
  values: {
    USER: { description: 'A person or a bot wrote the message.' },
    SYSTEM: {
      description:
        'The service wrote the message to report the event in `systemEvent`. It cannot be edited or deleted.',
    },
  },
});

const SystemEventType = builder.enumType('SystemEventType', {
  description: 'The kind of an event in a group. Treat an unknown value as an event that a newer server introduced.',
  values: Object.fromEntries(
    Object.entries(systemEventTypes).map(([name, description]) => [name, { description }]),
  ) as Record<keyof typeof systemEventTypes, { description: string }>,
});

const SystemEventObject = builder.objectRef<SystemEvent>('SystemEvent').implement({
  description: 'An event in a group that a system message reports.',
  extensions: shared('type', 'actor', 'subjects', 'oldValue', 'newValue'),
  fields: (t) => ({
    type: t.expose('type', { type: SystemEventType, description: 'The kind of event.', nullable: false }),
    actor: t.field({
      type: User,
      description: 'The user who caused the event.',
      resolve: ({ actorId }, _args, context) => loadUser(context, actorId),
    }),
    subjects: t.field({
      type: [User],
      extensions: atMost('pageMax'),
      nullable: { list: false, items: false },
      description: 'The users concerned: those who joined, left, were added or removed, or whose role changed.',
      resolve: ({ subjectIds }, _args, context) => loadUsers(context, subjectIds),
    }),
    oldValue: t.exposeString('oldValue', {
      description: 'For events whose name ends with _CHANGED, the previous value: a text or the name of an enum value.',
    }),
    newValue: t.exposeString('newValue', { description: 'The new value. For GROUP_CREATED it is the title.' }),
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

/** On a field that depends on `loadCanSend`: in a group it is equal for all members. */
export const keyedBySending = keyedBy<Preloaded | null>((message, viewerId) =>
  message && message.conversation?.kind !== 'GROUP' ? viewerId : '',
);

const loadIsSeen = defineLoader((context, ids) => findSeen(context.deps.database.db, viewerOf(context).userId, ids));

export const Message = builder.prismaNode('Message', {
  id: { field: 'id' },
  nullable: true,
  // What is not for the viewer is looked up as what cannot be there.
  findUnique: async (id, context) => ({ id: (await loadIsSeen(context, id)) ? id : NOBODYS_ID }),
  description: 'A message in a conversation.',
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
    'editableUntil',
  ),
  fields: (t) => ({
    conversation: t.field({
      type: Conversation,
      description: 'The conversation that contains the message.',
      nullable: false,
      // Not async: what is there is given at once, for everyone who waits for the event.
      resolve: (message: Preloaded, _args, context) =>
        message.conversation ??
        loadConversation(context, message.conversationId).then((conversation) => conversation ?? gone('Conversation')),
    }),
    seq: t.exposeInt('seq', {
      nullable: false,
      description:
        'The position of the message in its conversation: 1, 2, 3, … in commit order. Numbers are never reused. The viewer may not be able to see all messages.',
    }),
    kind: t.expose('kind', {
      type: MessageKind,
      description: 'Whether a user or the service wrote the message.',
      nullable: false,
    }),
    sender: t.field({
      type: User,
      description: 'The user who sent the message. It is null for a system message.',
      resolve: (message: Preloaded, _args, context) =>
        message.sender ?? (message.senderId === null ? null : loadUser(context, message.senderId)),
    }),
    text: t.exposeString('text', {
      description:
        'The text. It is null if the message was deleted, and for content of another kind, such as encrypted content or media. Use `deletedAt` to detect deleted messages.',
    }),
    systemEvent: t.field({
      type: SystemEventObject,
      description: 'The event that a message of kind SYSTEM reports. It is null for other messages.',
      resolve: ({ systemEvent }) => systemEvent as SystemEvent | null,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the message was sent.', nullable: false }),
    editedAt: t.expose('editedAt', {
      type: 'DateTime',
      description: 'When the text was last edited, or null if it was never edited.',
    }),
    deletedAt: t.expose('deletedAt', {
      type: 'DateTime',
      description: 'When the message was deleted. It is null unless the message is a tombstone.',
    }),
    clientMessageId: t.exposeString('clientMessageId', {
      description:
        "The idempotency key that the sender's client chose. Use it to replace an optimistic copy. It is the same for every viewer.",
    }),
    mentions: t.field({
      type: [User],
      extensions: atMost('mentionsMax'),
      nullable: { list: false, items: false },
      description:
        'The members that the text mentions by `@username`, in the order of their mention, resolved when the message was sent or last edited. At most `serverInfo.limits.mentionsMax`.',
      resolve: (message: Preloaded, _args, context) =>
        message.mentionedIds.length === 0 ? [] : loadUsers(context, message.mentionedIds),
    }),
    mentionsEveryone: t.exposeBoolean('mentionsEveryone', {
      nullable: false,
      description: 'Whether an owner or admin of a group wrote `@everyone`, which counts as a mention of every member.',
    }),
    viewerCanEdit: t.boolean({
      nullable: false,
      description:
        'Whether the viewer can edit the message now: it is their own, and in a direct conversation `viewerCanSend` is true. It becomes false `serverInfo.limits.messageEditWindowSeconds` after `createdAt` without an event.',
      // Time passes alike for all, and where it depends on whom they write to, the key is of one person: the sender.
      extensions: keyedBy<MessageRow | null>((message, viewerId) =>
        String(message && isTheirsToEdit(message, viewerId)),
      ),
      resolve: (message: Preloaded, _args, context) => {
        if (!canEdit(message, viewerOf(context).userId, context.deps.config)) return false;
        return loadCanSend(context, message);
      },
    }),
    editableUntil: t.field({
      type: 'DateTime',
      description:
        'When the sender can no longer edit the message. It is null if there is no time limit, and for deleted messages and system messages, which nobody can edit. Whether the viewer can edit it is `viewerCanEdit`.',
      resolve: (message, _args, context) => editableUntil(message, context.deps.config),
    }),
    viewerCanReply: t.boolean({
      nullable: false,
      description:
        'Whether the viewer can reply to the message: it is not a system message, and `viewerCanSend` of the conversation is true. It is true for a deleted message as well, so that a reply that is being written does not fail.',
      extensions: keyedBySending,
      resolve: (message: Preloaded, _args, context) =>
        whenKnown(loadCanSend(context, message), (sends) => canReply(message, sends)),
    }),
    viewerCanDelete: t.boolean({
      nullable: false,
      description:
        'Whether the viewer can delete the message: it is their own, or they are an owner or admin of the group.',
      extensions: keyedBy<Preloaded | null>((message, viewerId) => {
        const moderatorIds = message?.conversation?.moderatorIds;
        // Where it is not known who moderates, each viewer has to be asked about.
        return message && moderatorIds
          ? String(canDelete(message, viewerId, moderatorIds.includes(viewerId)))
          : viewerId;
      }),
      resolve: (message: Preloaded, _args, context) =>
        whenKnown(loadModerating(context, message), (moderates) =>
          canDelete(message, viewerOf(context).userId, moderates),
        ),
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
      return (await relationshipLookup.of(context.deps)({ viewerId, userId })).canWrite;
    }),
  );
});

/**
 * Whether the viewer can send messages in the conversation of a message that they can see. Only members see messages, so
 * it depends on the counterpart of a direct conversation alone.
 */
export const loadCanSend = (
  context: Context,
  { justSent, conversation, conversationId }: Preloaded,
): boolean | Promise<boolean> =>
  justSent ||
  conversation?.kind === 'GROUP' ||
  loadCanWrite(context, conversationId).then((canWrite) => canWrite !== false);

/** Whether the viewer moderates a conversation: one statement for all messages of a page. */
const loadModeratingById = defineLoader((context, ids) =>
  findModerating(context.deps.database.db, viewerOf(context).userId, ids),
);

/** Whether the viewer moderates the conversation of a message. */
export const loadModerating = (
  context: Context,
  { conversation, conversationId }: Preloaded,
): boolean | Promise<boolean> =>
  conversation?.moderatorIds?.includes(viewerOf(context).userId) ??
  loadModeratingById(context, conversationId).then((moderates) => moderates === true);

/** Uses a value at once if it is known: everyone who waits for an event would wait for a promise. */
export const whenKnown = <Value, Result>(
  value: Value | Promise<Value>,
  use: (value: Value) => Result,
): Result | Promise<Result> => (value instanceof Promise ? value.then(use) : use(value));

export const MessageConnection = builder.connectionObject(
  { type: Message, name: 'MessageConnection' },
  { name: 'MessageEdge' },
);

builder.prismaObjectFields(Conversation, (t) => ({
  messages: t.field({
    type: MessageConnection,
    description:
      'Messages in ascending order of `seq`. Without arguments, it returns the newest page; with `aroundSeq`, it returns a page of `first` messages around that message. The error is FORBIDDEN if the viewer is not a member.',
    args: {
      ...bothWaysArgs,
      aroundSeq: t.arg.int({
        description:
          'The `seq` of the message around which to read. It cannot be combined with `after`, `before` or `last`.',
      }),
    },
    resolve: (conversation, args, context) =>
      listMessages(context.deps, conversation, args, (id, stretch) => loadStretch(context, id, stretch)),
  }),
  lastMessage: t.field({
    type: Message,
    description: 'The newest message. It is null if there is none or if the viewer is not a member.',
    resolve: ({ id }, _args, context) => loadNewest(context, id),
  }),
  latestSeq: t.exposeInt('latestSeq', {
    nullable: false,
    description: 'The `seq` of the newest message, or 0 if there is none.',
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
    conversationId: t.id({ required: true, description: 'The conversation to send the message to.' }),
    text: t.string({ description: 'The text: 1 to `serverInfo.limits.messageMaxChars` characters after trimming.' }),
    clientMessageId: t.string({
      description:
        "An idempotency key chosen by the client, up to 128 characters and unique among the sender's messages. Retrying with the same key and input never sends a second message.",
    }),
    replyToId: t.id({
      description:
        'The message that this message replies to. It must be a message of kind USER in the same conversation that the sender can see.',
    }),
  }),
});
const EditMessageInput = builder.inputType('EditMessageInput', {
  fields: (t) => ({
    messageId: t.id({ required: true, description: 'The message to edit.' }),
    text: t.string({
      required: true,
      description: 'The new text: 1 to `serverInfo.limits.messageMaxChars` characters after trimming.',
    }),
  }),
});
const DeleteMessageInput = builder.inputType('DeleteMessageInput', {
  fields: (t) => ({ messageId: t.id({ required: true, description: 'The message to delete.' }) }),
});

/** What a mutation of a message answers. */
export const messagePayload = (name: string) =>
  builder.simpleObject(name, {
    fields: (t) => ({
      message: t.field({ type: Message, nullable: false, description: 'The message after the change.' }),
    }),
  });
const SendMessagePayload = messagePayload('SendMessagePayload');
const EditMessagePayload = messagePayload('EditMessagePayload');
const DeleteMessagePayload = messagePayload('DeleteMessagePayload');

builder.mutationFields((t) => ({
  sendMessage: t.field({
    type: SendMessagePayload,
    description:
      'Sends a message, and returns after it is stored. With a `clientMessageId` it is idempotent: repeating the same input returns the first message, and a different input with the same key is a CONFLICT.',
    args: { input: t.arg({ type: SendMessageInput, required: true }) },
    extensions: { hasOwnRate: true },
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
      "Replaces the text of one of the viewer's own messages, within `serverInfo.limits.messageEditWindowSeconds` after it was sent. In a direct conversation, `viewerCanSend` must be true. The earlier text remains available in `Message.edits`.",
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
      'Deletes a message. The message remains as a tombstone without text, earlier texts, mentions, reactions or pin. Users can delete their own messages; owners and admins of a group can delete every message in it.',
    args: { input: t.arg({ type: DeleteMessageInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const messageId = idOf('Message', input.messageId, 'input.messageId');
      return { message: await deleteMessage(context.deps, viewer, messageId) };
    },
  }),
}));

const MessageEventType = builder.enumType('MessageEventType', {
  description:
    "What changed in a message, as a hint for sounds and badges. Treat an unknown value as a change that a newer server introduced, and apply the event's data anyway.",
  values: {
    SENT: { description: 'The message was sent.' },
    EDITED: { description: 'The text was edited.' },
    DELETED: { description: 'The message was deleted and is now a tombstone.' },
    REACTED: { description: 'A reaction was added or removed.' },
    PINNED: { description: 'The message was pinned.' },
    UNPINNED: { description: 'The message was unpinned.' },
    ERASED: {
      description: "The message was removed from the database without a tombstone. Remove it from the client's data.",
    },
    CAUGHT_UP: { description: 'All missed events have been delivered. The following events are live.' },
    CHECKPOINT: { description: 'Nothing changed. The event only carries a newer cursor to store.' },
  },
});

const changeOf = (event: MessageEventShape) => ('change' in event ? event.change : undefined);

const MessageEvent = builder.objectRef<MessageEventShape>('MessageEvent').implement({
  description: 'A change of a message. Apply it as an upsert of the objects that it carries.',
  extensions: shared('type', 'cursor', 'changeSeq', 'messageId', 'message', 'actor', 'replayed'),
  fields: (t) => ({
    type: t.expose('type', { type: MessageEventType, description: 'The kind of change.', nullable: false }),
    cursor: t.exposeString('cursor', {
      nullable: false,
      description:
        'The position in the stream after this event. Store the latest one and pass it as `after` to resume.',
    }),
    changeSeq: t.int({
      description:
        'The number of this change in its conversation, in ascending order. A repeated event has the same number. It is null for CAUGHT_UP and CHECKPOINT.',
      resolve: (event) => changeOf(event)?.changeSeq ?? null,
    }),
    messageId: t.id({
      description: 'The id of the message. It is null for CAUGHT_UP and CHECKPOINT.',
      resolve: (event) => {
        const id = changeOf(event)?.messageId;
        return id == null ? null : encodeGlobalId('Message', id);
      },
    }),
    message: t.field({
      type: Message,
      description: 'The message after the change. It is null for CAUGHT_UP, CHECKPOINT and ERASED.',
      extensions: givesSource<MessageEventShape>((event) => changeOf(event)?.data.message ?? null),
      resolve: (event) => changeOf(event)?.data.message ?? null,
    }),
    actor: t.field({
      type: User,
      description: 'The user who made the change.',
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
      description:
        'Whether the event was missed earlier and is delivered during catch-up. Do not notify the user of such events.',
    }),
  }),
});

builder.subscriptionField('messages', (t) =>
  t.field({
    type: MessageEvent,
    nullable: false,
    description:
      "Changes of messages, in order within each conversation, of one conversation or of all of the viewer's conversations. With `after`, it delivers the missed changes first, then CAUGHT_UP, then live events. Without it, it begins with CAUGHT_UP.",
    args: {
      conversationId: t.arg.id({ description: 'Only changes in this conversation.' }),
      after: t.arg.string({ description: 'The cursor of an event of this stream, or `viewer.syncCursor`.' }),
    },
    subscribe: (_root, { conversationId, after }, context) =>
      streamMessages(context.deps, viewerOf(context), context, {
        conversationId: conversationId == null ? null : idOf('Conversation', conversationId, 'conversationId'),
        after,
      }),
    resolve: (event) => event,
  }),
);
