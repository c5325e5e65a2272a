import { gone } from '../../core/errors.js';
import { idOf } from '../../core/ids.js';
import type { PageArgs } from '../../core/page.js';
import type { Membership as MembershipRow } from '../../generated/prisma/client.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { type Context, viewerOf } from '../../graphql/context.js';
import { asksDatabase } from '../../graphql/costs.js';
import {
  afterArg,
  changeOf,
  conversationIdOf,
  defineEventTypes,
  defineStreamEvent,
  durableStream,
} from '../../graphql/durable-stream.js';
import { defineListLoader, defineLoader } from '../../graphql/loader.js';
import { addViewerMutation, type InputFields, payloadOf } from '../../graphql/mutation.js';
import { givesSource, keyedBy, sharedField } from '../../graphql/sharing.js';
import { Conversation, type ConversationRow, Membership } from '../conversation/conversation.schema.js';
import { Message, type Preloaded as MessageRow } from '../message/message.schema.js';
import { loadUser, User, Viewer } from '../user/user.schema.js';
import { lowestOfOthers, type Progress, statusOf } from './receipt.policy.js';
import {
  acknowledge,
  listReceipts,
  markDelivered,
  markRead,
  type ReceiptEvent as ReceiptEventShape,
  streamReceipts,
  unreadCountOf,
} from './receipt.service.js';
import {
  findMarks,
  findReceipts,
  findReceivers,
  findUnread,
  type Mark,
  type ReceiversPage,
  type Unread,
} from './receipt.store.js';

/** Reads the receipts that the viewer may see of all conversations of a list with one statement. */
const loadReceipts = defineLoader((context, ids) =>
  findReceipts(context.deps.database.db, viewerOf(context).userId, ids, context.deps.config.receiptMaxMembers),
);
const loadMark = defineLoader((context, members) =>
  findMarks(context.deps.database.db, viewerOf(context).userId, members),
);
const loadUnread = defineLoader((context, ids) => findUnread(context.deps.database.db, viewerOf(context).userId, ids));

// ── marks of a member ──

/** A membership with the mark that an event or a payload contains. */
type Marked = MembershipRow & { mark?: Mark };

const isOwn = (membership: MembershipRow, context: Context) => membership.userId === viewerOf(context).userId;

/** Null if the viewer may not see it. */
async function markFor(context: Context, membership: Marked): Promise<Mark | null> {
  const { conversationId, userId, mark } = membership;
  if (mark) return mark;
  if (!isOwn(membership, context)) {
    const receipts = await loadReceipts(context, conversationId);
    if (!receipts?.isMember || !receipts.progress) return null;
  }
  return loadMark(context, `${conversationId} ${userId}`);
}

/** A mark in an event is visible to all of its recipients. */
const keyOfMarks = keyedBy<Marked | null>((membership, viewerId) => (membership?.mark ? '' : viewerId));

const unread = (what: keyof Unread) => ({
  extensions: keyedBy<MembershipRow | null>((membership, viewerId) =>
    membership?.userId === viewerId ? viewerId : '',
  ),
  resolve: async (membership: MembershipRow, _args: object, context: Context): Promise<number | null> =>
    isOwn(membership, context) ? ((await loadUnread(context, membership.conversationId))?.[what] ?? null) : null,
});

builder.prismaObjectFields(Membership, (t) => ({
  deliveredSeq: t.int({
    description:
      "The delivered mark: the `seq` up to which one of the user's devices has reported to have received all messages. It is null if the viewer cannot see receipts, and, except for the viewer's own membership, in groups with more than `serverInfo.limits.receiptMaxMembers` members.",
    extensions: keyOfMarks,
    resolve: async (membership, _args, context) => (await markFor(context, membership))?.deliveredSeq,
  }),
  readSeq: t.int({
    description:
      "The read mark: the `seq` up to which the user has read all messages. It is null if the viewer cannot see receipts, and, except for the viewer's own membership, in groups with more than `serverInfo.limits.receiptMaxMembers` members.",
    extensions: keyOfMarks,
    resolve: async (membership, _args, context) => (await markFor(context, membership))?.readSeq,
  }),
  unreadCount: t.int({
    description:
      'The number of messages of other users after `readSeq`, without deleted ones. It is null for memberships of other users.',
    ...unread('messages'),
  }),
  unreadMentionCount: t.int({
    description:
      'The number of unread messages that mention the viewer by `@username` or `@everyone`. It is null for memberships of other users.',
    ...unread('mentions'),
  }),
  unreadToSeq: t.int({
    description:
      'The `seq` of the latest message that `unreadCount` and `unreadMentionCount` take into account. Clients that count later messages themselves begin after it: `Conversation.latestSeq` of the same response can be older or newer. It is null for memberships of other users.',
    ...unread('toSeq'),
  }),
}));

builder.prismaObjectField(Viewer, 'unreadCount', (t) =>
  t.int({
    nullable: false,
    description: "The number of unread messages in all of the viewer's conversations.",
    extensions: asksDatabase,
    resolve: (_viewer, _args, context) => unreadCountOf(context.deps, viewerOf(context)),
  }),
);

// ── the progress of a conversation ──

type WithProgress = ConversationRow & { progress?: Progress | null };

const others = (mark: keyof Progress) => ({
  extensions: keyedBy<WithProgress | null>((conversation, viewerId) =>
    conversation?.progress === undefined
      ? viewerId
      : String(conversation.progress && lowestOfOthers(conversation.progress[mark], viewerId)),
  ),
  async resolve(conversation: WithProgress, _args: object, context: Context): Promise<number | null> {
    const { progress, id } = conversation;
    const known = progress === undefined ? await progressFor(context, id) : progress;
    return known && lowestOfOthers(known[mark], viewerOf(context).userId);
  },
});

async function progressFor(context: Context, conversationId: string): Promise<Progress | null> {
  const receipts = await loadReceipts(context, conversationId);
  return receipts?.isMember ? receipts.progress : null;
}

builder.prismaObjectFields(Conversation, (t) => ({
  othersReadSeq: t.int({
    description:
      'The lowest read mark of all other members. Bots and suspended users do not count, unless no one else remains. A message that the viewer sent is SEEN if its `seq` is at most this value. It is null if there are no other members, if the viewer is not a member, and in groups with more than `serverInfo.limits.receiptMaxMembers` members.',
    ...others('read'),
  }),
  othersDeliveredSeq: t.int({
    description:
      'The lowest delivered mark of the same members as in `othersReadSeq`, and null under the same conditions. A message that the viewer sent is DELIVERED if its `seq` is at most this value.',
    ...others('delivered'),
  }),
}));

// ── the status of a message ──

const MessageStatus = builder.enumType('MessageStatus', {
  description:
    'Whether the other members have received or read a message, computed over the current members of the conversation, excluding the sender and members who joined after the message. Bots and suspended users do not count, unless no one else remains.',
  values: {
    SENT: { description: 'The message is stored.' },
    DELIVERED: { description: 'Every other member has received the message on a device.' },
    SEEN: { description: 'Every other member has read the message.' },
  },
});

const ReceiptConnection = builder.connectionObject(
  { type: User, name: 'ReceiptConnection' },
  {
    name: 'ReceiptEdge',
    fields: (t) => ({
      at: t.expose('at' as never, {
        type: 'DateTime',
        nullable: false,
        description: "When the user's mark last moved.",
      }),
    }),
  },
);

/** Reads the same page of all messages of a list with one statement. */
const loadReceivers = defineListLoader((context, keys, page: ReceiversPage) =>
  findReceivers(context.deps.database.sql, keys, page),
);

const receivers = (mark: 'delivered' | 'read') => async (message: MessageRow, args: PageArgs, context: Context) => {
  if (!(await progressFor(context, message.conversationId))) return null;
  const page = await listReceipts(context.deps, message, mark, args, (key, wanted) =>
    loadReceivers(context, key, wanted),
  );
  const edges = page.edges.map(async ({ cursor, node: { userId, at } }) => ({
    cursor,
    at,
    node: (await loadUser(context, userId)) ?? gone('User'),
  }));
  return { pageInfo: page.pageInfo, edges: await Promise.all(edges) };
};

builder.prismaObjectFields(Message, (t) => ({
  status: t.field({
    type: MessageStatus,
    nullable: false,
    description:
      'Whether the other members have received and read the message. It stays SENT in groups with more than `serverInfo.limits.receiptMaxMembers` members.',
    extensions: sharedField,
    resolve: (message: MessageRow, _args, context) =>
      message.justSent
        ? 'SENT'
        : loadReceipts(context, message.conversationId).then((receipts) =>
            statusOf(message, receipts?.progress ?? null),
          ),
  }),
  readBy: t.field({
    type: ReceiptConnection,
    description:
      'The users who have read the message, ordered by the last change of their read mark, latest first. The sender and members who joined later are not included. It is null in groups with more than `serverInfo.limits.receiptMaxMembers` members.',
    args: forwardArgs,
    resolve: receivers('read'),
  }),
  deliveredTo: t.field({
    type: ReceiptConnection,
    description:
      'The users who have received the message on a device, in the same order as in `readBy`, and null under the same conditions.',
    args: forwardArgs,
    resolve: receivers('delivered'),
  }),
}));

// ── moving marks ──

const markInput = (description: string) => (t: InputFields) => ({
  conversationId: t.id({ required: true, description: 'The conversation.' }),
  seq: t.int({ required: true, description }),
});
const markPayload = (name: string) =>
  builder.simpleObject(name, {
    fields: (t) => ({
      membership: t.field({
        type: Membership,
        nullable: false,
        description: "The viewer's membership with the current marks.",
      }),
    }),
  });

addViewerMutation('markDelivered', {
  description: "Moves the viewer's delivered mark in a conversation forward to `seq`. Marks never move backward.",
  input: markInput('The `seq` up to which all messages have been received.'),
  ids: { conversationId: 'Conversation' },
  payload: markPayload,
  run: async (deps, viewer, input) => ({
    membership: await markDelivered(deps, viewer, input),
  }),
});

addViewerMutation('markRead', {
  description:
    "Moves the viewer's read mark, and with it the delivered mark, in a conversation forward to `seq`. Marks never move backward.",
  input: markInput('The `seq` up to which all messages have been read.'),
  ids: { conversationId: 'Conversation' },
  payload: markPayload,
  run: async (deps, viewer, input) => ({
    membership: await markRead(deps, viewer, input),
  }),
});

addViewerMutation('acknowledge', {
  description:
    "Reports that this device has received all events of a `messages` stream up to a cursor, and moves the viewer's delivered marks in all conversations of the stream. The cursor of an event does not always include the event itself, but that of the CHECKPOINT that follows within two seconds does. Use `markDelivered` for an immediate update.",
  input: (t) => ({
    cursor: t.string({ required: true, description: 'The cursor of an event of the `messages` stream.' }),
    conversationId: t.id({
      description:
        'The conversation of the stream, if the cursor comes from a stream of a single conversation. Omit it for a cursor of the stream of all conversations.',
    }),
  }),
  ids: { conversationId: 'Conversation' },
  payload: payloadOf((t) => ({
    cursor: t.string({ nullable: false, description: 'The cursor that was acknowledged.' }),
  })),
  run: async (deps, viewer, { cursor, conversationId }) => {
    await acknowledge(deps, viewer, { cursor, conversationId: conversationId ?? null });
    return { cursor };
  },
});

// ── the stream ──

const ReceiptEvent = defineStreamEvent<ReceiptEventShape>('ReceiptEvent', {
  description:
    "A move of a member's delivered or read mark. Apply it as an upsert of the objects that it carries. Of several moves in quick succession, only the last one is delivered. In groups with more than `serverInfo.limits.receiptMaxMembers` members, the stream only contains the viewer's own marks.",
  changeSeq:
    'A number that grows with each move of the marks of this membership. An event is a repetition if its number is not higher than that of an earlier event of the same membership.',
  shared: ['conversationId', 'membership', 'conversation'],
});

defineEventTypes(ReceiptEvent, 'ReceiptEventType', {
  description: 'The kind of a receipt event.',
  values: { MOVED: { description: 'A mark of a member moved forward.' } },
});

builder.objectFields(ReceiptEvent, (t) => ({
  conversationId: t.id({
    description: 'The id of the conversation. It is null for CAUGHT_UP and CHECKPOINT.',
    resolve: conversationIdOf,
  }),
  membership: t.field({
    type: Membership,
    description: 'The membership whose marks moved. It is null for CAUGHT_UP and CHECKPOINT.',
    extensions: givesSource<ReceiptEventShape>((event) => changeOf(event)?.data.membership ?? null),
    resolve: (event) => {
      const { membership = null, conversation } = changeOf(event)?.data ?? {};
      return membership && { ...membership, conversation };
    },
  }),
  conversation: t.field({
    type: Conversation,
    description:
      'The conversation with the new values of `othersReadSeq` and `othersDeliveredSeq`. It is null for CAUGHT_UP and CHECKPOINT.',
    extensions: givesSource<ReceiptEventShape>((event) => changeOf(event)?.data.conversation ?? null),
    resolve: (event) => changeOf(event)?.data.conversation ?? null,
  }),
}));

builder.subscriptionField('receipts', (t) =>
  t.field({
    ...durableStream(
      ReceiptEvent,
      "Moves of delivered and read marks, including the viewer's own marks, in one conversation or in all of the viewer's conversations.",
    ),
    args: { conversationId: t.arg.id({ description: 'Only moves in this conversation.' }), ...afterArg },
    subscribe: (_root, { conversationId, after }, context) =>
      streamReceipts(context.deps, viewerOf(context), context, {
        conversationId: conversationId == null ? null : idOf('Conversation', conversationId, 'conversationId'),
        after,
      }),
  }),
);
