import { gone } from '../../core/errors.js';
import { NOBODYS_ID } from '../../core/ids.js';
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
import { addViewerMutation } from '../../graphql/mutation.js';
import { keyedBy, shared } from '../../graphql/sharing.js';
import { Conversation, loadConversation } from '../conversation/conversation.schema.js';
import {
  findByIds as findConversations,
  findModerating,
  type Moderated,
  otherOf,
} from '../conversation/conversation.store.js';
import { relationshipLookup } from '../user/reach.store.js';
import { loadUser, User } from '../user/user.schema.js';
import type { MessageParts, SendMessageInput as SendMessageArguments } from './message.part.js';
import { canDelete } from './message.policy.js';
import { deleteMessage, listMessages, sendMessage } from './message.service.js';
import { findNewest, findRanges, findVisible, type MessageRange } from './message.store.js';
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
  description:
    'The kind of an event in a conversation. Treat an unknown value as an event that a newer server introduced.',
  values: Object.fromEntries(
    Object.entries(systemEventTypes).map(([name, description]) => [name, { description }]),
  ) as Record<keyof typeof systemEventTypes, { description: string }>,
});

export const SystemEventObject = builder.objectRef<SystemEvent>('SystemEvent').implement({
  description: 'An event in a conversation that a system message reports.',
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
      extensions: atMost('groupAddMax'),
      nullable: { list: false, items: false },
      description:
        'The users concerned: those who joined, left, were added or removed, whose role changed, or who took part in a call.',
      resolve: ({ subjectIds }, _args, context) => loadUsers(context, subjectIds),
    }),
    oldValue: t.exposeString('oldValue', {
      description: 'For events whose name ends with _CHANGED, the previous value: a text or the name of an enum value.',
    }),
    newValue: t.exposeString('newValue', { description: 'The new value. For GROUP_CREATED it is the title.' }),
  }),
});

/** Users by the ids of their rows, in the same order. Unknown ids are skipped. */
const loadUsers = async (context: Context, ids: readonly string[]): Promise<UserRow[]> =>
  (await Promise.all(ids.map((id) => loadUser(context, id)))).filter((user) => user !== null);

/** A message with data that an event or a mutation has already loaded, so that the usual selections need no query. */
export type Preloaded = MessageRow & {
  sender?: UserRow | null;
  conversation?: ConversationRow & Partial<Moderated>;
  justSent?: boolean;
  /** The values of parts that have already been loaded. */
  parts?: Partial<MessageParts>;
};

/** The sharing key of fields that depend on `loadCanSend`: in a group, the value is the same for all members. */
export const keyedBySending = keyedBy<Preloaded | null>((message, viewerId) =>
  message && message.conversation?.kind !== 'GROUP' ? viewerId : '',
);

const loadIsVisible = defineLoader((context, ids) =>
  findVisible(context.deps.database.db, viewerOf(context).userId, ids),
);

export const Message = builder.prismaNode('Message', {
  id: { field: 'id' },
  nullable: true,
  // A message that the viewer cannot see is looked up with an id that does not exist.
  findUnique: async (id, context) => ({ id: (await loadIsVisible(context, id)) ? id : NOBODYS_ID }),
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
  ),
  fields: (t) => ({
    conversation: t.field({
      type: Conversation,
      description: 'The conversation that contains the message.',
      nullable: false,
      // Not an async function, because every subscriber waits for the event: a loaded conversation is returned
      // synchronously.
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
        'The text. It is null for system messages and deleted messages, and can be null for kinds of content that newer servers introduce. Use `deletedAt` to detect deleted messages.',
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
    viewerCanDelete: t.boolean({
      nullable: false,
      description:
        'Whether the viewer can delete the message: it is their own, or they are an owner or admin of the group.',
      extensions: keyedBy<Preloaded | null>((message, viewerId) => {
        const moderatorIds = message?.conversation?.moderatorIds;
        // If the moderators are not loaded, the value has to be computed for each viewer.
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

/** Whether the viewer can send messages to the other user of a direct conversation. It is null for groups. */
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
 * Whether the viewer can send messages in the conversation of a message that they can see. Since only members can see
 * messages, it depends only on the other user of a direct conversation.
 */
export const loadCanSend = (
  context: Context,
  { justSent, conversation, conversationId }: Preloaded,
): boolean | Promise<boolean> =>
  justSent ||
  conversation?.kind === 'GROUP' ||
  loadCanWrite(context, conversationId).then((canWrite) => canWrite !== false);

/** Whether the viewer moderates a conversation. Uses one statement for all messages of a page. */
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

/**
 * Applies a function to a value, synchronously if the value is not a promise: a promise would delay the event for every
 * subscriber.
 */
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
      listMessages(context.deps, conversation, args, (id, range) => loadRange(context, id, range)),
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

/** Loads one range of messages for many conversations in one statement. */
const loadRange = defineListLoader((context, ids, range: MessageRange) =>
  findRanges(context.deps.database.sql, viewerOf(context).userId, ids, range),
);

/** Loads the newest messages of all conversations of a list in one statement. */
const loadNewest = defineLoader((context, ids) => findNewest(context.deps.database.db, viewerOf(context).userId, ids));

type SchemaTypes = typeof builder.$inferSchemaTypes;
type SendMessageFieldBuilder = PothosSchemaTypes.InputFieldBuilder<SchemaTypes, 'InputObject'>;
type SendMessageFieldRef<Value> = PothosSchemaTypes.InputFieldRef<SchemaTypes, Value>;

/** A field of `SendMessageInput` that belongs to a part. */
interface SendMessageField {
  name: string;
  isEditable: boolean;
  build(t: SendMessageFieldBuilder): SendMessageFieldRef<unknown>;
  read(value: unknown): unknown;
}

const sendMessageFields: SendMessageField[] = [];

/**
 * Adds a field of a part to `SendMessageInput`.
 * @param build defines the field, which must be optional.
 * @param read converts the value of the field to that of the service's input, for example a global id to the id of a
 *   row. It is not called if the field is absent or null. It can throw BAD_USER_INPUT with the path of the field.
 * @param options.isEditable whether `EditMessageInput` has the field as well.
 */
export function addSendMessageField<Name extends keyof SendMessageArguments, Value>(
  name: Name,
  build: (t: SendMessageFieldBuilder) => SendMessageFieldRef<Value>,
  read: (value: NonNullable<Value>) => SendMessageArguments[Name],
  { isEditable = false }: { isEditable?: boolean } = {},
): void {
  sendMessageFields.push({ name, isEditable, build, read: read as SendMessageField['read'] });
}

/** Builds the fields that parts added, for the type of an input; with `isEditable`, only those of edits. */
export const buildMessageFields = (t: SendMessageFieldBuilder, { isEditable }: { isEditable: boolean }): object =>
  Object.fromEntries(
    sendMessageFields.filter((field) => !isEditable || field.isEditable).map(({ name, build }) => [name, build(t)]),
  );

/** Reads the fields that parts added, without those that are absent or null. */
export function readMessageFields(input: object): Partial<SendMessageArguments> {
  const values: Record<string, unknown> = {};
  for (const { name, read } of sendMessageFields) {
    const value = (input as Record<string, unknown>)[name];
    if (value != null) values[name] = read(value);
  }
  return values;
}

/** Defines the payload type of a mutation of a message. */
export const messagePayload = (name: string) =>
  builder.simpleObject(name, {
    fields: (t) => ({
      message: t.field({ type: Message, nullable: false, description: 'The current state of the message.' }),
    }),
  });

addViewerMutation('deleteMessage', {
  description:
    'Deletes a message. The message remains as a tombstone without text, earlier texts, mentions, reactions or pin. Users can delete their own messages; owners and admins of a group can delete every message in it.',
  input: (t) => ({ messageId: t.id({ required: true, description: 'The message to delete.' }) }),
  ids: { messageId: 'Message' },
  payload: messagePayload,
  run: async (deps, viewer, { messageId }) => ({ message: await deleteMessage(deps, viewer, messageId) }),
});

addViewerMutation('sendMessage', {
  description:
    'Sends a message, and returns after it is stored. With a `clientMessageId` it is idempotent: repeating the same input returns the first message, and a different input with the same key is a CONFLICT.',
  // Evaluated when the schema is built, after all parts have added their fields.
  input: (t) => ({
    conversationId: t.id({ required: true, description: 'The conversation to send the message to.' }),
    text: t.string({ description: 'The text: 1 to `serverInfo.limits.messageMaxChars` characters after trimming.' }),
    clientMessageId: t.string({
      description:
        "An idempotency key chosen by the client, up to 128 characters and unique among the sender's messages. Retrying with the same key and input never sends a second message.",
    }),
    ...buildMessageFields(t, { isEditable: false }),
  }),
  ids: { conversationId: 'Conversation' },
  payload: messagePayload,
  hasOwnRate: true,
  run: async (deps, viewer, input) => {
    const { conversationId, text, clientMessageId } = input;
    const parts = readMessageFields(input);
    return { message: await sendMessage(deps, viewer, { ...parts, conversationId, text, clientMessageId }) };
  },
});
