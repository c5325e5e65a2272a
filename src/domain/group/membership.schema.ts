import { encodeGlobalId, idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
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

const AddMembersInput = builder.inputType('AddMembersInput', {
  fields: (t) => ({
    conversationId: t.id({ required: true, description: 'The group to add members to.' }),
    userIds: t.idList({ required: true, description: 'The users to add, at most `serverInfo.limits.groupAddMax`.' }),
  }),
});
const AddMembersPayload = builder.simpleObject('AddMembersPayload', {
  fields: (t) => ({
    conversation: t.field({ type: Conversation, description: 'The group after the change.', nullable: false }),
    skippedUserIds: t.idList({
      nullable: { list: false, items: false },
      description: 'The users that could not be added. The reason is not disclosed.',
    }),
  }),
});

const RemoveMemberInput = builder.inputType('RemoveMemberInput', {
  fields: (t) => ({
    conversationId: t.id({ required: true, description: 'The group.' }),
    userId: t.id({ required: true, description: 'The member to remove.' }),
  }),
});
const RemoveMemberPayload = builder.simpleObject('RemoveMemberPayload', {
  fields: (t) => ({
    conversationId: t.id({ nullable: false, description: 'The id of the group.' }),
    conversation: t.field({ type: Conversation, description: 'The group after the change.', nullable: true }),
    userId: t.id({ nullable: false, description: 'The id of the removed user.' }),
    membershipId: t.id({
      nullable: true,
      description:
        'The id of the membership that ended: remove it from the cache. It is null if the user was not a member.',
    }),
  }),
});

const UpdateGroupInput = builder.inputType('UpdateGroupInput', {
  fields: (t) => ({
    conversationId: t.id({ required: true, description: 'The group to change.' }),
    title: t.string({ description: 'The title: 1 to 100 characters.' }),
    description: t.string({ description: 'The description: up to 1000 characters.' }),
    imageUrl: t.string({ description: 'An http or https URL of the picture, up to 2000 characters.' }),
    visibility: t.field({ type: ConversationVisibility, description: 'Who can find and join the group.' }),
    historyVisibility: t.field({
      type: HistoryVisibility,
      description:
        'Whether members who join from now on can read earlier messages. Existing members keep their access.',
    }),
  }),
});
const UpdateGroupPayload = builder.simpleObject('UpdateGroupPayload', {
  fields: (t) => ({
    conversation: t.field({ type: Conversation, description: 'The group after the change.', nullable: false }),
  }),
});

const SetMemberRoleInput = builder.inputType('SetMemberRoleInput', {
  fields: (t) => ({
    conversationId: t.id({ required: true, description: 'The group.' }),
    userId: t.id({ required: true, description: 'The member whose role changes.' }),
    role: t.field({ type: MemberRole, description: 'The new role.', required: true }),
  }),
});
const SetMemberRolePayload = builder.simpleObject('SetMemberRolePayload', {
  fields: (t) => ({
    membership: t.field({ type: Membership, description: 'The membership with the new role.', nullable: false }),
  }),
});

const JoinConversationInput = builder.inputType('JoinConversationInput', {
  fields: (t) => ({ conversationId: t.id({ required: true, description: 'The public group to join.' }) }),
});
const JoinConversationPayload = builder.simpleObject('JoinConversationPayload', {
  fields: (t) => ({
    conversation: t.field({ type: Conversation, description: 'The group after the change.', nullable: false }),
  }),
});

const LeaveConversationInput = builder.inputType('LeaveConversationInput', {
  fields: (t) => ({ conversationId: t.id({ required: true, description: 'The group to leave.' }) }),
});
const LeaveConversationPayload = builder.simpleObject('LeaveConversationPayload', {
  fields: (t) => ({
    conversationId: t.id({ nullable: false, description: 'The id of the group.' }),
    conversation: t.field({
      type: Conversation,
      nullable: true,
      description: 'The group after the change. It is null if the viewer can no longer see it.',
    }),
    membershipId: t.id({
      nullable: true,
      description: "The id of the viewer's membership, which has ended: remove it from the cache.",
    }),
  }),
});

builder.mutationFields((t) => ({
  addMembers: t.field({
    type: AddMembersPayload,
    description:
      'Adds users to a group. Only owners and admins are allowed to do this. Existing members are not affected.',
    args: { input: t.arg({ type: AddMembersInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const conversationId = idOf('Conversation', input.conversationId, 'input.conversationId');
      const userIds = input.userIds.map((id, index) => idOf('User', id, `input.userIds.${index}`));
      const { conversation, skippedUserIds } = await addMembers(context.deps, viewer, { conversationId, userIds });
      return { conversation, skippedUserIds: skippedUserIds.map((id) => encodeGlobalId('User', id)) };
    },
  }),
  removeMember: t.field({
    type: RemoveMemberPayload,
    description:
      'Removes a member from a group and ends their subscriptions to it. Owners can remove everyone else; admins can only remove members who are neither owner nor admin. It has no effect if the user is not a member.',
    args: { input: t.arg({ type: RemoveMemberInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const conversationId = idOf('Conversation', input.conversationId, 'input.conversationId');
      const userId = idOf('User', input.userId, 'input.userId');
      const { conversation, membershipId } = await removeMember(context.deps, viewer, { conversationId, userId });
      return {
        conversationId: input.conversationId,
        conversation,
        userId: input.userId,
        membershipId: membershipId && encodeGlobalId('Membership', membershipId),
      };
    },
  }),
  updateGroup: t.field({
    type: UpdateGroupPayload,
    description:
      'Changes the settings of a group. Owners and admins can change the title, description and picture; only owners can change `visibility` and `historyVisibility`. Omitted fields remain unchanged; an explicit null removes the description or the picture.',
    args: { input: t.arg({ type: UpdateGroupInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const conversationId = idOf('Conversation', input.conversationId, 'input.conversationId');
      const { title, description, imageUrl, visibility, historyVisibility } = input;
      const update = { conversationId, title, description, imageUrl, visibility, historyVisibility };
      return { conversation: await updateGroup(context.deps, viewer, update) };
    },
  }),
  setMemberRole: t.field({
    type: SetMemberRolePayload,
    description:
      'Changes the role of a member. Only owners are allowed to do this. Owners can change their own role if there is another owner; otherwise the error is CONFLICT with the field `input.role`.',
    args: { input: t.arg({ type: SetMemberRoleInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const conversationId = idOf('Conversation', input.conversationId, 'input.conversationId');
      const userId = idOf('User', input.userId, 'input.userId');
      const { role } = input;
      return { membership: await setMemberRole(context.deps, viewer, { conversationId, userId, role }) };
    },
  }),
  joinConversation: t.field({
    type: JoinConversationPayload,
    description: 'Adds the viewer to a public group. It has no effect if the viewer is already a member.',
    args: { input: t.arg({ type: JoinConversationInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const conversationId = idOf('Conversation', input.conversationId, 'input.conversationId');
      return { conversation: await joinConversation(context.deps, viewer, conversationId) };
    },
  }),
  leaveConversation: t.field({
    type: LeaveConversationPayload,
    description:
      'Removes the viewer from a group. If the viewer is the only owner, the member with the longest membership becomes owner: admins take precedence over other members, people over bots, and suspended users come last.',
    args: { input: t.arg({ type: LeaveConversationInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const conversationId = idOf('Conversation', input.conversationId, 'input.conversationId');
      const { conversation, membershipId } = await leaveConversation(context.deps, viewer, conversationId);
      return {
        conversationId: input.conversationId,
        conversation: isPublic(conversation) ? conversation : null,
        membershipId: membershipId && encodeGlobalId('Membership', membershipId),
      };
    },
  }),
}));
