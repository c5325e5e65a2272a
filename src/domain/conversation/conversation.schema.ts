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
import { type Context, viewerOf } from '../../graphql/context.js';
import { defineListLoader, defineLoader } from '../../graphql/loader.js';
import { addViewerMutation, payloadOf } from '../../graphql/mutation.js';
import { shared } from '../../graphql/sharing.js';
import { pictureUrl } from '../user/picture.js';
import { relationshipLookup } from '../user/reach.store.js';
import { loadUser, User, Viewer } from '../user/user.schema.js';
import { dataOf, ViewerChangeEvent } from '../viewer-changes/viewer-changes.schema.js';
import { type Counterpart, canSend } from './conversation.policy.js';
import {
  findConversation,
  listConversations,
  listMembers,
  listPublicConversations,
  openDirectConversation,
} from './conversation.service.js';
import {
  directKeyOf,
  findByDirectKeys,
  findByIds,
  findMembers,
  findMembershipsOf,
  findVisible,
  findVisibleMemberships,
  type MembersPage,
  otherOf,
  readabilityLookup,
} from './conversation.store.js';
import { MEMBERSHIP_SETTINGS } from './membership-settings.js';

export type { ConversationRow };

const ConversationKind = builder.enumType('ConversationKind', {
  description: 'The kind of a conversation.',
  values: {
    DIRECT: { description: 'A conversation between two users.' },
    GROUP: {
      description:
        'A conversation with a title, roles and any number of members up to `serverInfo.limits.groupMaxMembers`.',
    },
  },
});
export const ConversationVisibility = builder.enumType('ConversationVisibility', {
  description: 'Who can find and join a conversation.',
  values: {
    PRIVATE: { description: 'Only members can see the conversation.' },
    PUBLIC: { description: 'Every user can find and join the conversation.' },
  },
});
export const HistoryVisibility = builder.enumType('HistoryVisibility', {
  description: 'Whether new members can read messages sent before they joined.',
  values: {
    ALL: { description: 'New members can read all messages.' },
    SINCE_JOINED: { description: 'New members can only read messages sent after they joined.' },
  },
});
export const MemberRole = builder.enumType('MemberRole', {
  description: 'The role of a member in a group.',
  values: {
    OWNER: {
      description:
        'Owners can change all settings and roles of the group. A group always has at least one owner. Both members of a direct conversation have the role MEMBER.',
    },
    ADMIN: {
      description:
        'Admins can add members, remove members who are neither owner nor admin, change the title, description and picture, and delete or pin messages.',
    },
    MEMBER: { description: 'Members can read and send messages.' },
  },
});

/** A membership with the rows that an event contains, so that they need not be read again. */
type LoadedMembership = MembershipRow & { user?: UserRow; conversation?: ConversationRow };

export const Membership = builder.prismaNode('Membership', {
  id: { field: 'id' },
  nullable: true,
  // An id that the viewer must not see is replaced by one that does not exist.
  findUnique: async (id, context) => ({ id: (await loadIsVisibleMembership(context, id)) ? id : NOBODYS_ID }),
  description: "A user's membership in a conversation.",
  extensions: shared('id', 'conversationId', 'conversation', 'user', 'role', 'joinedAt'),
  fields: (t) => ({
    conversationId: t.globalID({
      nullable: false,
      description: 'The id of the conversation.',
      resolve: ({ conversationId }) => ({ type: 'Conversation', id: conversationId }),
    }),
    user: t.field({
      type: User,
      description: 'The user.',
      nullable: false,
      resolve: (membership: LoadedMembership, _args, context) =>
        membership.user ?? loadUser(context, membership.userId).then((user) => user ?? gone('User')),
    }),
    role: t.expose('role', { type: MemberRole, description: "The user's role in the conversation.", nullable: false }),
    joinedAt: t.expose('joinedAt', {
      type: 'DateTime',
      description: 'When the user became a member.',
      nullable: false,
    }),
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

/** Reads the memberships of one user in all conversations of a list with one statement. */
const loadMembership = defineListLoader((context, ids, userId: string) =>
  findMembershipsOf(context.deps.database.sql, viewerOf(context).userId, userId, ids),
);

/** Reads the same page of members of all conversations of a list with one statement. */
const loadMembers = defineListLoader((context, ids, page: MembersPage) =>
  findMembers(context.deps.database.sql, ids, page),
);

export const Conversation = builder.prismaNode('Conversation', {
  id: { field: 'id' },
  nullable: true,
  // An id that the viewer must not see is replaced by one that does not exist.
  findUnique: async (id, context) => ({ id: (await loadIsVisible(context, id)) ? id : NOBODYS_ID }),
  description: 'A direct conversation between two users, or a group.',
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
    kind: t.expose('kind', {
      type: ConversationKind,
      description: 'Whether this is a direct conversation or a group.',
      nullable: false,
    }),
    visibility: t.expose('visibility', {
      type: ConversationVisibility,
      description:
        'Whether users who are not members can find and join this group. Direct conversations are always PRIVATE.',
      nullable: false,
    }),
    historyVisibility: t.expose('historyVisibility', {
      type: HistoryVisibility,
      description: 'Whether new members can read messages sent before they joined.',
      nullable: false,
    }),
    title: t.exposeString('title', {
      description:
        "The title of a group. It is null for a direct conversation, for which clients show the counterpart's name.",
    }),
    description: t.exposeString('description', {
      description: 'The description of a group, or null if there is none.',
    }),
    imageUrl: t.string({
      description:
        "The URL of a group's picture, or null if there is none. It can be opened without a token, like `User.avatarUrl`.",
      resolve: ({ imageUrl }, _args, { deps }) => pictureUrl(deps, imageUrl),
    }),
    counterpart: t.field({
      type: User,
      description: 'The other user of a direct conversation. It is null for a group.',
      resolve: ({ directKey }, _args, context) =>
        directKey === null ? null : loadUser(context, otherOf(directKey, viewerOf(context).userId)),
    }),
    createdAt: t.expose('createdAt', {
      type: 'DateTime',
      description: 'When the conversation was created.',
      nullable: false,
    }),
    lastActivityAt: t.expose('lastActivityAt', {
      type: 'DateTime',
      nullable: false,
      description: 'When the newest message was sent, or, if there are no messages, when the conversation was created.',
    }),
    memberCount: t.exposeInt('memberCount', { nullable: false, description: 'The number of members.' }),
    members: t.field({
      type: MembershipConnection,
      description: 'The members, in the order in which they joined.',
      args: {
        search: t.arg.string({
          description:
            'Only members whose username, or a word of whose display name, begins with this text, as in `users`. Omit it for all members.',
        }),
        role: t.arg({ type: MemberRole, description: 'Only members with this role.' }),
        ...forwardArgs,
      },
      resolve: (conversation, { search, role, ...args }, context) =>
        listMembers(
          context.deps,
          viewerOf(context),
          conversation,
          { search: search ?? null, role: role ?? null },
          args,
          (id, page) => loadMembers(context, id, page),
        ),
    }),
    membership: t.field({
      type: Membership,
      description:
        'The membership of a user. It is null if the user is not a member, and if the viewer cannot see the members.',
      args: { userId: t.arg.id({ required: true, description: 'The id of the user.' }) },
      resolve: ({ id }, { userId }, context) => loadMembership(context, id, idOf('User', userId, 'userId')),
    }),
    viewerMembership: t.field({
      type: Membership,
      description: "The viewer's own membership. It is null if the viewer is not a member.",
      // Not by a selection of Prisma: it fails for a conversation of an event that the viewer has left in the meantime.
      resolve: ({ id }, _args, context) => loadViewerMembership(context, id),
    }),
    viewerCanSend: t.boolean({
      nullable: false,
      description:
        'Whether the viewer can send messages. In a direct conversation it is false if either user has blocked the other, or if the counterpart is suspended or deleted; the cases cannot be distinguished.',
      resolve: async (conversation, _args, context) => {
        const { membership, counterpart } = await loadViewerSide(context, conversation);
        return canSend(membership, counterpart);
      },
    }),
  }),
});

/** The viewer's membership in a conversation; null if they are not a member. */
export async function loadViewerMembership(context: Context, conversationId: string): Promise<MembershipRow | null> {
  const key = { conversationId, userId: viewerOf(context).userId };
  return (await readabilityLookup.of(context.deps)(key))?.membership ?? null;
}

/** The viewer's side of a conversation, for the policies. */
export async function loadViewerSide(
  context: Context,
  { id: conversationId, directKey }: Pick<ConversationRow, 'id' | 'directKey'>,
): Promise<{ membership: MembershipRow | null; counterpart: Counterpart | null }> {
  const { userId } = viewerOf(context);
  const [readability, relationship] = await Promise.all([
    readabilityLookup.of(context.deps)({ conversationId, userId }),
    directKey === null
      ? null
      : relationshipLookup.of(context.deps)({ viewerId: userId, userId: otherOf(directKey, userId) }),
  ]);
  return {
    membership: readability?.membership ?? null,
    counterpart: relationship && { isReachable: relationship.canWrite },
  };
}

/** Loads a conversation by the id of its row, for objects whose access was already authorized. */
export const loadConversation = defineLoader((context, ids) => findByIds(context.deps.database.db, ids));

builder.prismaObjectField(Membership, 'conversation', (t) =>
  t.field({
    type: Conversation,
    description: 'The conversation.',
    nullable: false,
    resolve: (membership: LoadedMembership, _args, context) =>
      membership.conversation ??
      loadConversation(context, membership.conversationId).then((conversation) => conversation ?? gone('Conversation')),
  }),
);

builder.objectField(ViewerChangeEvent, 'membership', (t) =>
  t.field({
    type: Membership,
    description:
      "The viewer's own membership after the change, for MEMBERSHIP_SETTINGS. It is null for all other types.",
    async resolve(event, _args, context) {
      const membership = dataOf<MembershipRow>(event, MEMBERSHIP_SETTINGS)?.data;
      // An event can wait for a slow client, and the viewer can have left the conversation meanwhile.
      return membership && (await loadViewerMembership(context, membership.conversationId)) ? membership : null;
    },
  }),
);

/** Reads the conversations with all users of a list with one statement. */
const loadWithViewer = defineLoader((context, userIds) => {
  const viewerId = viewerOf(context).userId;
  return findByDirectKeys(
    context.deps.database.db,
    userIds.map((userId) => directKeyOf(viewerId, userId)),
  );
});

builder.prismaObjectField(User, 'viewerConversation', (t) =>
  t.field({
    type: Conversation,
    description:
      'The direct conversation between the viewer and the user. It is null if there is none yet; `openDirectConversation` creates it.',
    resolve: ({ id }, _args, context) => loadWithViewer(context, id),
  }),
);

const ConversationConnection = builder.connectionObject(
  { type: Conversation, name: 'ConversationConnection' },
  { name: 'ConversationEdge' },
);

builder.prismaObjectField(Viewer, 'conversations', (t) =>
  t.field({
    type: ConversationConnection,
    description: "The viewer's conversations, ordered by their latest activity, latest first.",
    args: {
      kind: t.arg({ type: ConversationKind, description: 'Only conversations of this kind.' }),
      unreadOnly: t.arg.boolean({
        description:
          'If it is true, only conversations in which the viewer has unread messages (`unreadCount` above 0).',
      }),
      ...forwardArgs,
    },
    resolve: (_viewer, { kind, unreadOnly, ...args }, context, info) =>
      listConversations(
        context.deps,
        viewerOf(context),
        { kind: kind ?? null, unreadOnly: unreadOnly ?? false },
        args,
        queryFromInfo({ context, info, typeName: 'Conversation', paths: [['nodes'], ['edges', 'node']] }),
      ),
  }),
);

builder.queryField('publicConversations', (t) =>
  t.field({
    type: ConversationConnection,
    description: 'Public groups, ordered by their latest activity, latest first.',
    args: {
      search: t.arg.string({
        description:
          'Only groups whose title contains words that begin with these words. Omit it for all public groups.',
      }),
      ...forwardArgs,
    },
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
    description:
      'A conversation by its id. It is null if the conversation does not exist or the viewer cannot see it; the two cases cannot be distinguished.',
    args: { id: t.arg.id({ required: true, description: 'The id of the conversation.' }) },
    resolve: (query, _root, args, context) =>
      findConversation(context.deps, viewerOf(context), idOf('Conversation', args.id, 'id'), query),
  }),
);

addViewerMutation('openDirectConversation', {
  description:
    'Returns the direct conversation between the viewer and another user, and creates it if it does not exist.',
  input: (t) => ({ userId: t.id({ required: true, description: 'The other user.' }) }),
  ids: { userId: 'User' },
  payload: payloadOf((t) => ({
    conversation: t.field({ type: Conversation, description: 'The direct conversation.', nullable: false }),
    wasCreated: t.boolean({
      nullable: false,
      description: 'Whether this call created the conversation. It is false if the conversation existed before.',
    }),
  })),
  run: (deps, viewer, { userId }) => openDirectConversation(deps, viewer, userId),
});
