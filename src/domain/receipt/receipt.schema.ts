import { gone } from '../../core/errors.js';
import { encodeGlobalId, idOf } from '../../core/ids.js';
import type { PageArgs } from '../../core/page.js';
import type { Membership as MembershipRow } from '../../generated/prisma/client.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { type Context, viewerOf } from '../../graphql/context.js';
import { asksDatabase } from '../../graphql/costs.js';
import { defineListLoader, defineLoader } from '../../graphql/loader.js';
import { givesSource, keyedBy, shared, sharedField } from '../../graphql/sharing.js';
import { Conversation, type ConversationRow, Membership } from '../conversation/conversation.schema.js';
import { Message, type Preloaded as MessageRow } from '../message/message.schema.js';
import { loadUser, User, Viewer } from '../user/user.schema.js';
import { lowestOfOthers, type Progress, statusOf } from './receipt.policy.js';
import {
  acknowledge,
  listReceipts,
  type MarkedMembership,
  markDelivered,
  markRead,
  type ReceiptEvent as ReceiptEventShape,
  streamReceipts,
} from './receipt.service.js';
import {
  countUnread,
  findMarks,
  findReceipts,
  findReceivers,
  findUnread,
  type Mark,
  type ReceiversPage,
  type Unread,
} from './receipt.store.js';

/** What of a conversation's receipts is for the viewer: one statement for all conversations of a list. */
const loadReceipts = defineLoader((context, ids) =>
  findReceipts(context.deps.database.db, viewerOf(context).userId, ids, context.deps.config.receiptMaxMembers),
);
const loadMark = defineLoader((context, members) =>
  findMarks(context.deps.database.db, viewerOf(context).userId, members),
);
const loadUnread = defineLoader((context, ids) => findUnread(context.deps.database.db, viewerOf(context).userId, ids));

// ── marks of a member ──

/** An event and an answer bring the mark along. */
type Marked = MembershipRow & { mark?: Mark };

const isOwn = (membership: MembershipRow, context: Context) => membership.userId === viewerOf(context).userId;

/** Null where it is not for the viewer. */
async function markFor(context: Context, membership: Marked): Promise<Mark | null> {
  const { conversationId, userId, mark } = membership;
  if (mark) return mark;
  if (!isOwn(membership, context)) {
    const receipts = await loadReceipts(context, conversationId);
    if (!receipts?.isMember || !receipts.progress) return null;
  }
  return loadMark(context, `${conversationId} ${userId}`);
}

/** What an event brings along is for everyone who gets it. */
const keyOfMarks = keyedBy<Marked | null>((membership, viewerId) => (membership?.mark ? '' : viewerId));

const unreadCount = (what: keyof Unread) => ({
  extensions: keyedBy<MembershipRow | null>((membership, viewerId) =>
    membership?.userId === viewerId ? viewerId : '',
  ),
  resolve: async (membership: MembershipRow, _args: object, context: Context): Promise<number | null> =>
    isOwn(membership, context) ? ((await loadUnread(context, membership.conversationId))?.[what] ?? null) : null,
});

builder.prismaObjectFields(Membership, (t) => ({
  deliveredSeq: t.int({
    description:
      "How far the messages are on a device of theirs, as that said. Null where receipts are not for the viewer, and in groups above receiptMaxMembers (the viewer's own are always there).",
    extensions: keyOfMarks,
    resolve: async (membership, _args, context) => (await markFor(context, membership))?.deliveredSeq,
  }),
  readSeq: t.int({
    description:
      "How far they have read. Null where receipts are not for the viewer, and in groups above receiptMaxMembers (the viewer's own are always there).",
    extensions: keyOfMarks,
    resolve: async (membership, _args, context) => (await markFor(context, membership))?.readSeq,
  }),
  unreadCount: t.int({
    description: "Messages of others after readSeq that are not deleted; the viewer's own only.",
    ...unreadCount('messages'),
  }),
  unreadMentionCount: t.int({
    description: "How many of these name the viewer, as `@username` or `@everyone`; the viewer's own only.",
    ...unreadCount('mentions'),
  }),
}));

builder.prismaObjectField(Viewer, 'unreadCount', (t) =>
  t.int({
    nullable: false,
    description: 'Unread messages of all conversations together.',
    extensions: asksDatabase,
    resolve: (_viewer, _args, context) => countUnread(context.deps.database.db, viewerOf(context).userId),
  }),
);

// ── how far a conversation is ──

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
      "The lowest read mark among the others, without bots and who is suspended where there is anybody else; null where there are none, to who is not a member, and in groups above receiptMaxMembers. The viewer's message is SEEN when its seq <= othersReadSeq.",
    ...others('read'),
  }),
  othersDeliveredSeq: t.int({
    description:
      "The lowest delivered mark among the same; null as with othersReadSeq. The viewer's message is DELIVERED when its seq <= othersDeliveredSeq.",
    ...others('delivered'),
  }),
}));

// ── what became of a message ──

const MessageStatus = builder.enumType('MessageStatus', {
  description:
    'Of all members but the sender, as they are now: who came in later or has left does not count; nor do bots and who is suspended, where there is anybody else.',
  values: {
    SENT: { description: 'Stored.' },
    DELIVERED: { description: 'Every other member has it on a device, as that device said.' },
    SEEN: { description: 'Every other member has read it. Who never opens the conversation keeps it from that.' },
  },
});

const ReceiptConnection = builder.connectionObject(
  { type: User, name: 'ReceiptConnection' },
  {
    name: 'ReceiptEdge',
    fields: (t) => ({
      at: t.expose('at' as never, { type: 'DateTime', nullable: false, description: 'When their mark moved last.' }),
    }),
  },
);

/** One statement for all messages of which the same page is asked for. */
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
    description: 'SENT for good in groups above receiptMaxMembers.',
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
      "Who has read it, in the order of their mark's last move, latest first: without its sender, and without those who came in later. Null in groups above receiptMaxMembers.",
    args: forwardArgs,
    resolve: receivers('read'),
  }),
  deliveredTo: t.field({
    type: ReceiptConnection,
    description: 'Who has it on a device; as with readBy.',
    args: forwardArgs,
    resolve: receivers('delivered'),
  }),
}));

// ── moving marks ──

const markInput = (name: string) =>
  builder.inputType(name, {
    fields: (t) => ({ conversationId: t.id({ required: true }), seq: t.int({ required: true }) }),
  });
const markPayload = (name: string) =>
  builder.simpleObject(name, { fields: (t) => ({ membership: t.field({ type: Membership, nullable: false }) }) });
const MarkDeliveredInput = markInput('MarkDeliveredInput');
const MarkDeliveredPayload = markPayload('MarkDeliveredPayload');
const MarkReadInput = markInput('MarkReadInput');
const MarkReadPayload = markPayload('MarkReadPayload');

const AcknowledgeInput = builder.inputType('AcknowledgeInput', {
  fields: (t) => ({
    cursor: t.string({ required: true }),
    conversationId: t.id({
      description: 'Of a stream of one conversation: that conversation. Absent: of the stream of all.',
    }),
  }),
});
const AcknowledgePayload = builder.simpleObject('AcknowledgePayload', {
  fields: (t) => ({ cursor: t.string({ nullable: false }) }),
});

const rowInput = ({ conversationId, seq }: { conversationId: string; seq: number }) => ({
  conversationId: idOf('Conversation', conversationId, 'input.conversationId'),
  seq,
});

builder.mutationFields((t) => ({
  markDelivered: t.field({
    type: MarkDeliveredPayload,
    description: "Moves the viewer's delivered mark up to seq; never back.",
    args: { input: t.arg({ type: MarkDeliveredInput, required: true }) },
    resolve: async (_root, { input }, context): Promise<{ membership: MarkedMembership }> => ({
      membership: await markDelivered(context.deps, viewerOf(context), rowInput(input)),
    }),
  }),
  markRead: t.field({
    type: MarkReadPayload,
    description: "Moves the viewer's read mark (and with it the delivered mark) up to seq; never back.",
    args: { input: t.arg({ type: MarkReadInput, required: true }) },
    resolve: async (_root, { input }, context): Promise<{ membership: MarkedMembership }> => ({
      membership: await markRead(context.deps, viewerOf(context), rowInput(input)),
    }),
  }),
  acknowledge: t.field({
    type: AcknowledgePayload,
    description:
      'All that came up to this cursor of a `messages` stream is on this device: moves the delivered marks of all its conversations. An event that its own cursor has not seen yet is in that of the CHECKPOINT, which follows within two seconds; `markDelivered` tells at once.',
    args: { input: t.arg({ type: AcknowledgeInput, required: true }) },
    resolve: async (_root, { input: { cursor, conversationId } }, context) => {
      await acknowledge(context.deps, viewerOf(context), {
        cursor,
        conversationId: conversationId == null ? null : idOf('Conversation', conversationId, 'input.conversationId'),
      });
      return { cursor };
    },
  }),
}));

// ── the stream ──

const ReceiptEventType = builder.enumType('ReceiptEventType', {
  values: {
    MOVED: { description: 'The marks of one member are further than before.' },
    CAUGHT_UP: { description: 'All that was missed has come; from here on it is live.' },
    CHECKPOINT: { description: 'Nothing happened; a fresh cursor to keep.' },
  },
});

const changeOf = (event: ReceiptEventShape) => ('change' in event ? event.change : undefined);

const ReceiptEvent = builder.objectRef<ReceiptEventShape>('ReceiptEvent').implement({
  description:
    'An upsert of what it carries: of several moves within a moment only the last is told. In groups above receiptMaxMembers only of the viewer’s own.',
  extensions: shared('type', 'cursor', 'conversationId', 'membership', 'conversation'),
  fields: (t) => ({
    type: t.expose('type', { type: ReceiptEventType, nullable: false }),
    cursor: t.exposeString('cursor', { nullable: false, description: 'Keep the last one: it is what `after` takes.' }),
    conversationId: t.id({
      resolve: (event) => {
        const change = changeOf(event);
        return change ? encodeGlobalId('Conversation', change.conversationId) : null;
      },
    }),
    membership: t.field({
      type: Membership,
      description: 'Whose marks moved.',
      extensions: givesSource<ReceiptEventShape>((event) => changeOf(event)?.data.membership ?? null),
      resolve: (event) => changeOf(event)?.data.membership ?? null,
    }),
    conversation: t.field({
      type: Conversation,
      description: 'With the new othersReadSeq and othersDeliveredSeq.',
      extensions: givesSource<ReceiptEventShape>((event) => changeOf(event)?.data.conversation ?? null),
      resolve: (event) => changeOf(event)?.data.conversation ?? null,
    }),
  }),
});

builder.subscriptionField('receipts', (t) =>
  t.field({
    type: ReceiptEvent,
    nullable: false,
    description:
      "Marks that moved, of one conversation or of all the viewer's, their own on other devices too. With `after`, a cursor of one of its events or `viewer.syncCursor`, first comes what moved since, then CAUGHT_UP, then life; without it begins with CAUGHT_UP.",
    args: { conversationId: t.arg.id(), after: t.arg.string() },
    subscribe: (_root, { conversationId, after }, context) =>
      streamReceipts(context.deps, viewerOf(context), context, {
        conversationId: conversationId == null ? null : idOf('Conversation', conversationId, 'conversationId'),
        after,
      }),
    resolve: (event) => event,
  }),
);
