import { encodeGlobalId } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { addViewerMutation, payloadOf } from '../../graphql/mutation.js';
import { isPublic } from '../conversation/conversation.policy.js';
import {
  Conversation,
  ConversationVisibility,
  HistoryVisibility,
  loadViewerSide,
  MemberRole,
  Membership,
} from '../conversation/conversation.schema.js';
import { canAddMembers, canJoin, canUpdate, hasChangingMembers } from '../conversation/membership.policy.js';
import {
  addMembers,
  joinConversation,
  leaveConversation,
  removeMember,
  setMemberRole,
  updateGroup,
} from './membership.service.js';

builder.prismaObjectFields(Conversation, (t) => ({
  viewerCanUpdate: t.boolean({
    nullable: false,
    description:
      'Whether the viewer can change the title, description and picture with `updateGroup`: they are an owner or admin of the group. Only owners can change `visibility` and `historyVisibility`.',
    resolve: async (conversation, _args, context) => {
      const { membership } = await loadViewerSide(context, conversation);
      return membership !== null && hasChangingMembers(conversation) && canUpdate(membership);
    },
  }),
  viewerCanAddMembers: t.boolean({
    nullable: false,
    description:
      'Whether the viewer can add members: they are an owner or admin of the group. Limits on the number of members are not considered.',
    resolve: async (conversation, _args, context) => {
      const { membership } = await loadViewerSide(context, conversation);
      return membership !== null && hasChangingMembers(conversation) && canAddMembers(membership);
    },
  }),
  viewerCanJoin: t.boolean({
    nullable: false,
    description:
      'Whether the viewer can join: the group is public, and they are not a member yet. Limits on the number of members and of groups are not considered.',
    resolve: async (conversation, _args, context) =>
      canJoin(conversation, (await loadViewerSide(context, conversation)).membership),
  }),
}));

addViewerMutation('addMembers', {
  description:
    'Adds users to a group. Only owners and admins are allowed to do this. Existing members are not affected.',
  input: (t) => ({
    conversationId: t.id({ required: true, description: 'The group to add members to.' }),
    userIds: t.idList({ required: true, description: 'The users to add, at most `serverInfo.limits.groupAddMax`.' }),
  }),
  ids: { conversationId: 'Conversation', userIds: 'User' },
  payload: payloadOf((t) => ({
    conversation: t.field({ type: Conversation, description: 'The group after the change.', nullable: false }),
    skippedUserIds: t.idList({
      nullable: { list: false, items: false },
      description: 'The users that could not be added. The reason is not disclosed.',
    }),
  })),
  run: async (deps, viewer, input) => {
    const { conversation, skippedUserIds } = await addMembers(deps, viewer, input);
    return { conversation, skippedUserIds: skippedUserIds.map((id) => encodeGlobalId('User', id)) };
  },
});

addViewerMutation('removeMember', {
  description:
    'Removes a member from a group and ends their subscriptions to it. Owners can remove everyone else; admins can only remove members who are neither owner nor admin. It has no effect if the user is not a member.',
  input: (t) => ({
    conversationId: t.id({ required: true, description: 'The group.' }),
    userId: t.id({ required: true, description: 'The member to remove.' }),
  }),
  ids: { conversationId: 'Conversation', userId: 'User' },
  payload: payloadOf((t) => ({
    conversationId: t.id({ nullable: false, description: 'The id of the group.' }),
    conversation: t.field({
      type: Conversation,
      description: 'The group after the change. It is currently always set.',
      nullable: true,
    }),
    userId: t.id({ nullable: false, description: 'The id of the removed user.' }),
    membershipId: t.id({
      nullable: true,
      description:
        'The id of the membership that ended: remove it from the cache. It is null if the user was not a member.',
    }),
  })),
  run: async (deps, viewer, input) => {
    const { conversation, membershipId } = await removeMember(deps, viewer, input);
    return {
      conversationId: encodeGlobalId('Conversation', input.conversationId),
      conversation,
      userId: encodeGlobalId('User', input.userId),
      membershipId: membershipId && encodeGlobalId('Membership', membershipId),
    };
  },
});

addViewerMutation('updateGroup', {
  description:
    'Changes the settings of a group. Owners and admins can change the title, description and picture; only owners can change `visibility` and `historyVisibility`. Omitted fields remain unchanged; an explicit null removes the description or the picture.',
  input: (t) => ({
    conversationId: t.id({ required: true, description: 'The group to change.' }),
    title: t.string({ description: 'The title: 1 to 100 characters.' }),
    description: t.string({ description: 'The description: up to 1000 characters.' }),
    imageUrl: t.string({
      description: 'An http or https URL of the picture, up to 2000 characters. Null also removes an uploaded picture.',
    }),
    imageAttachmentId: t.id({
      description:
        'An upload of the viewer of kind IMAGE that becomes the picture, in place of `imageUrl`, like `UpdateProfileInput.avatarAttachmentId`.',
    }),
    visibility: t.field({ type: ConversationVisibility, description: 'Who can find and join the group.' }),
    historyVisibility: t.field({
      type: HistoryVisibility,
      description:
        'Whether members who join from now on can read earlier messages. Existing members keep their access.',
    }),
  }),
  ids: { conversationId: 'Conversation', imageAttachmentId: 'Attachment' },
  payload: payloadOf((t) => ({
    conversation: t.field({ type: Conversation, description: 'The group after the change.', nullable: false }),
  })),
  run: async (deps, viewer, input) => ({ conversation: await updateGroup(deps, viewer, input) }),
});

addViewerMutation('setMemberRole', {
  description:
    'Changes the role of a member. Only owners are allowed to do this. Owners can change their own role if there is another owner; otherwise the error is CONFLICT with the field `input.role`.',
  input: (t) => ({
    conversationId: t.id({ required: true, description: 'The group.' }),
    userId: t.id({ required: true, description: 'The member whose role changes.' }),
    role: t.field({ type: MemberRole, description: 'The new role.', required: true }),
  }),
  ids: { conversationId: 'Conversation', userId: 'User' },
  payload: payloadOf((t) => ({
    membership: t.field({ type: Membership, description: 'The membership with the new role.', nullable: false }),
  })),
  run: async (deps, viewer, input) => ({ membership: await setMemberRole(deps, viewer, input) }),
});

addViewerMutation('joinConversation', {
  description: 'Adds the viewer to a public group. It has no effect if the viewer is already a member.',
  input: (t) => ({ conversationId: t.id({ required: true, description: 'The public group to join.' }) }),
  ids: { conversationId: 'Conversation' },
  payload: payloadOf((t) => ({
    conversation: t.field({ type: Conversation, description: 'The group after the change.', nullable: false }),
  })),
  run: async (deps, viewer, { conversationId }) => ({
    conversation: await joinConversation(deps, viewer, conversationId),
  }),
});

addViewerMutation('leaveConversation', {
  description:
    'Removes the viewer from a group. If the viewer is the only owner, the member with the longest membership becomes owner: admins take precedence over other members, people over bots, and suspended users come last.',
  input: (t) => ({ conversationId: t.id({ required: true, description: 'The group to leave.' }) }),
  ids: { conversationId: 'Conversation' },
  payload: payloadOf((t) => ({
    conversationId: t.id({ nullable: false, description: 'The id of the group.' }),
    conversation: t.field({
      type: Conversation,
      nullable: true,
      description: 'The group after the change. It is null if the viewer can no longer see it.',
    }),
    membershipId: t.id({
      nullable: true,
      description:
        "The id of the viewer's membership, which has ended: remove it from the cache. It is currently always set.",
    }),
  })),
  run: async (deps, viewer, input) => {
    const { conversation, membershipId } = await leaveConversation(deps, viewer, input.conversationId);
    return {
      conversationId: encodeGlobalId('Conversation', input.conversationId),
      conversation: isPublic(conversation) ? conversation : null,
      membershipId: membershipId && encodeGlobalId('Membership', membershipId),
    };
  },
});
