import { queryFromInfo } from '@pothos/plugin-prisma';
import { gone } from '../../core/errors.js';
import { idOf, NOBODYS_ID } from '../../core/ids.js';
import type {
  Conversation as ConversationRow,
  Membership as MembershipRow,
  User as UserRow,
} from '../../generated/prisma/client.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { viewerOf } from '../../graphql/context.js';
import { defineListLoader, defineLoader } from '../../graphql/loader.js';
import { shared } from '../../graphql/sharing.js';
import { loadUser, User, Viewer } from '../user/user.schema.js';
import { canSend, visibleTo } from './conversation.policy.js';
import {
  listConversations,
  listMembers,
  listPublicConversations,
  openDirectConversation,
} from './conversation.service.js';
import {
  findByIds,
  findMembers,
  findVisible,
  findVisibleMemberships,
  type MembersPage,
  otherOf,
} from './conversation.store.js';

export type { ConversationRow };

const ConversationKind = builder.enumType('ConversationKind', { values: ['DIRECT', 'GROUP'] as const });
export const ConversationVisibility = builder.enumType('ConversationVisibility', {
  values: {
    PRIVATE: { description: 'For its members only.' },
    PUBLIC: { description: 'Anyone may find and join it.' },
  },
});
export const HistoryVisibility = builder.enumType('HistoryVisibility', {
  description: 'What of the messages before they came those see who join from now on.',
  values: { ALL: {}, SINCE_JOINED: { description: 'None of it.' } },
});
export const MemberRole = builder.enumType('MemberRole', { values: ['OWNER', 'ADMIN', 'MEMBER'] as const });

export const Membership = builder.prismaNode('Membership', {
  id: { field: 'id' },
  nullable: true,
  // What is not for the viewer is looked up as what cannot be there.
  findUnique: async (id, context) => ({ id: (await loadIsVisibleMembership(context, id)) ? id : NOBODYS_ID }),
  description: 'A person in a conversation.',
  extensions: shared('id', 'conversationId', 'user', 'role', 'joinedAt'),
  fields: (t) => ({
    conversationId: t.globalID({
      nullable: false,
      resolve: ({ conversationId }) => ({ type: 'Conversation', id: conversationId }),
    }),
    user: t.field({
      type: User,
      nullable: false,
      // An event brings them along.
      resolve: (membership: MembershipRow & { user?: UserRow }, _args, context) =>
        membership.user ?? loadUser(context, membership.userId).then((user) => user ?? gone('User')),
    }),
    role: t.expose('role', { type: MemberRole, nullable: false }),
    joinedAt: t.expose('joinedAt', { type: 'DateTime', nullable: false }),
  }),
});

const MembershipConnection = builder.connectionObject(
  { type: Membership, name: 'MembershipConnection' },
  { name: 'MembershipEdge' },
);

const loadIsVisible = defineLoader((context, ids) =>
  findVisible(context.deps.database.sql, viewerOf(context).userId, ids),
);
const loadIsVisibleMembership = defineLoader((context, ids) =>
  findVisibleMemberships(context.deps.database.sql, viewerOf(context).userId, ids),
);

/** One statement for all conversations of which the same page is asked for. */
const loadMembers = defineListLoader((context, ids, page: MembersPage) =>
  findMembers(context.deps.database.sql, ids, page),
);

/** The other person of a direct conversation, and the viewer's own membership: what the rules ask for. */
const sidesOf = (userId: string) => ({
  memberships: { where: { OR: [{ userId }, { conversation: { kind: 'DIRECT' as const } }] }, include: { user: true } },
});

export const Conversation = builder.prismaNode('Conversation', {
  id: { field: 'id' },
  nullable: true,
  // What is not for the viewer is looked up as what cannot be there.
  findUnique: async (id, context) => ({ id: (await loadIsVisible(context, id)) ? id : NOBODYS_ID }),
  description: 'A direct conversation of two people, or a group.',
  extensions: shared(
    'id',
    'kind',
    'visibility',
    'historyVisibility',
    'title',
    'description',
    'imageUrl',
    'createdAt',
    'lastActivityAt',
    'memberCount',
    'latestSeq',
  ),
  fields: (t) => ({
    kind: t.expose('kind', { type: ConversationKind, nullable: false }),
    visibility: t.expose('visibility', { type: ConversationVisibility, nullable: false }),
    historyVisibility: t.expose('historyVisibility', { type: HistoryVisibility, nullable: false }),
    title: t.exposeString('title', {
      description: 'Of a group; null in a direct conversation, which is named after its counterpart.',
    }),
    description: t.exposeString('description'),
    imageUrl: t.exposeString('imageUrl'),
    counterpart: t.field({
      type: User,
      description: 'The other person of a direct conversation.',
      select: (_args, context) => sidesOf(viewerOf(context).userId),
      resolve: ({ kind, memberships }, _args, context) =>
        kind === 'DIRECT' ? memberships.find(({ userId }) => userId !== viewerOf(context).userId)?.user : null,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', nullable: false }),
    lastActivityAt: t.expose('lastActivityAt', {
      type: 'DateTime',
      nullable: false,
      description: 'When the newest message was sent, or the conversation made.',
    }),
    memberCount: t.exposeInt('memberCount', { nullable: false }),
    members: t.field({
      type: MembershipConnection,
      description: 'In the order of joining.',
      args: forwardArgs,
      resolve: (conversation, args, context) =>
        listMembers(context.deps, conversation, args, (id, page) => loadMembers(context, id, page)),
    }),
    viewerMembership: t.field({
      type: Membership,
      description: "What is the viewer's own here; null when not a member.",
      select: (_args, context) => sidesOf(viewerOf(context).userId),
      resolve: ({ memberships }, _args, context) =>
        memberships.find(({ userId }) => userId === viewerOf(context).userId) ?? null,
    }),
    viewerCanSend: t.boolean({
      nullable: false,
      description: 'False alike for left, blocked, suspended and deleted counterparts.',
      resolve: async ({ id: conversationId, directKey }, _args, context) => {
        const { userId } = viewerOf(context);
        const [readability, standing] = await Promise.all([
          context.deps.lookUpReadability({ conversationId, userId }),
          directKey && context.deps.lookUpStanding({ viewerId: userId, userId: otherOf(directKey, userId) }),
        ]);
        return canSend(readability?.membership, standing ? { isReachable: standing.canWrite } : null);
      },
    }),
  }),
});

/** A conversation by the id of its row, for what belongs to one and was authorized by that. */
export const loadConversation = defineLoader((context, ids) => findByIds(context.deps.database.db, ids));

const ConversationConnection = builder.connectionObject(
  { type: Conversation, name: 'ConversationConnection' },
  { name: 'ConversationEdge' },
);

builder.prismaObjectField(Viewer, 'conversations', (t) =>
  t.field({
    type: ConversationConnection,
    description: 'Latest activity first.',
    args: forwardArgs,
    resolve: (_viewer, args, context, info) =>
      listConversations(
        context.deps,
        viewerOf(context),
        args,
        queryFromInfo({ context, info, typeName: 'Conversation', paths: [['nodes'], ['edges', 'node']] }),
      ),
  }),
);

builder.queryField('publicConversations', (t) =>
  t.field({
    type: ConversationConnection,
    description:
      'Public groups, by the beginnings of words of their title; without `search` all. Latest activity first.',
    args: { search: t.arg.string(), ...forwardArgs },
    resolve: (_root, { search, ...page }, context, info) =>
      listPublicConversations(
        context.deps,
        viewerOf(context),
        search ?? null,
        page,
        queryFromInfo({ context, info, typeName: 'Conversation', paths: [['nodes'], ['edges', 'node']] }),
      ),
  }),
);

builder.queryField('conversation', (t) =>
  t.prismaField({
    type: Conversation,
    description: 'Null when it does not exist or the viewer may not see it: the two cannot be told apart.',
    args: { id: t.arg.id({ required: true }) },
    resolve: (query, _root, args, context) =>
      context.deps.database.db.conversation.findUnique({
        ...query,
        where: { ...visibleTo(viewerOf(context).userId), id: idOf('Conversation', args.id, 'id') },
      }),
  }),
);

const OpenDirectConversationInput = builder.inputType('OpenDirectConversationInput', {
  fields: (t) => ({ userId: t.id({ required: true }) }),
});
const OpenDirectConversationPayload = builder.simpleObject('OpenDirectConversationPayload', {
  fields: (t) => ({ conversation: t.field({ type: Conversation, nullable: false }) }),
});

builder.mutationFields((t) => ({
  openDirectConversation: t.field({
    type: OpenDirectConversationPayload,
    description: 'The one direct conversation between the viewer and that person: made on first use.',
    args: { input: t.arg({ type: OpenDirectConversationInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const userId = idOf('User', input.userId, 'input.userId');
      return { conversation: await openDirectConversation(context.deps, viewer, userId) };
    },
  }),
}));
