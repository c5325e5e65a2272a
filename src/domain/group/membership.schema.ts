import { encodeGlobalId, idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { isPublic } from '../conversation/conversation.policy.js';
import {
  Conversation,
  ConversationVisibility,
  HistoryVisibility,
  MemberRole,
  Membership,
} from '../conversation/conversation.schema.js';
import {
  addMembers,
  joinConversation,
  leaveConversation,
  removeMember,
  setMemberRole,
  updateGroup,
} from './membership.service.js';

const AddMembersInput = builder.inputType('AddMembersInput', {
  fields: (t) => ({
    conversationId: t.id({ required: true }),
    userIds: t.idList({ required: true, description: 'At most `serverInfo.limits.groupAddMax` at once.' }),
  }),
});
const AddMembersPayload = builder.simpleObject('AddMembersPayload', {
  fields: (t) => ({
    conversation: t.field({ type: Conversation, nullable: false }),
    skippedUserIds: t.idList({
      nullable: { list: false, items: false },
      description: 'Who could not be added, and is not told why.',
    }),
  }),
});

const RemoveMemberInput = builder.inputType('RemoveMemberInput', {
  fields: (t) => ({ conversationId: t.id({ required: true }), userId: t.id({ required: true }) }),
});
const RemoveMemberPayload = builder.simpleObject('RemoveMemberPayload', {
  fields: (t) => ({
    conversationId: t.id({ nullable: false }),
    conversation: t.field({ type: Conversation, nullable: true }),
    userId: t.id({ nullable: false }),
  }),
});

const UpdateGroupInput = builder.inputType('UpdateGroupInput', {
  fields: (t) => ({
    conversationId: t.id({ required: true }),
    title: t.string({ description: '1 to 100 characters.' }),
    description: t.string({ description: 'Up to 1000 characters.' }),
    imageUrl: t.string({ description: 'Of http or https, up to 2000 characters.' }),
    visibility: t.field({ type: ConversationVisibility }),
    historyVisibility: t.field({
      type: HistoryVisibility,
      description: 'Of who joins from now on: what somebody sees already, they go on seeing.',
    }),
  }),
});
const UpdateGroupPayload = builder.simpleObject('UpdateGroupPayload', {
  fields: (t) => ({ conversation: t.field({ type: Conversation, nullable: false }) }),
});

const SetMemberRoleInput = builder.inputType('SetMemberRoleInput', {
  fields: (t) => ({
    conversationId: t.id({ required: true }),
    userId: t.id({ required: true }),
    role: t.field({ type: MemberRole, required: true }),
  }),
});
const SetMemberRolePayload = builder.simpleObject('SetMemberRolePayload', {
  fields: (t) => ({ membership: t.field({ type: Membership, nullable: false }) }),
});

const JoinConversationInput = builder.inputType('JoinConversationInput', {
  fields: (t) => ({ conversationId: t.id({ required: true }) }),
});
const JoinConversationPayload = builder.simpleObject('JoinConversationPayload', {
  fields: (t) => ({ conversation: t.field({ type: Conversation, nullable: false }) }),
});

const LeaveConversationInput = builder.inputType('LeaveConversationInput', {
  fields: (t) => ({ conversationId: t.id({ required: true }) }),
});
const LeaveConversationPayload = builder.simpleObject('LeaveConversationPayload', {
  fields: (t) => ({
    conversationId: t.id({ nullable: false }),
    conversation: t.field({
      type: Conversation,
      nullable: true,
      description: 'Null when the viewer can no longer see it.',
    }),
  }),
});

builder.mutationFields((t) => ({
  addMembers: t.field({
    type: AddMembersPayload,
    description: 'By owners and admins of a group. Who is in it already stays as they are.',
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
      'Owners of a group remove anyone else, admins those who are neither; their streams of it end. Who is not in it is out: that is no error.',
    args: { input: t.arg({ type: RemoveMemberInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const conversationId = idOf('Conversation', input.conversationId, 'input.conversationId');
      const userId = idOf('User', input.userId, 'input.userId');
      const conversation = await removeMember(context.deps, viewer, { conversationId, userId });
      return { conversationId: input.conversationId, conversation, userId: input.userId };
    },
  }),
  updateGroup: t.field({
    type: UpdateGroupPayload,
    description:
      'By owners and admins; `visibility` and `historyVisibility` by owners. An absent field keeps, an explicit null clears a description or a picture.',
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
      'By owners, of anyone, themselves too as long as there is another owner (else CONFLICT of `input.role`).',
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
    description: 'A public group. Who is in it already stays as they are.',
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
      "The last owner's place goes to who has been there longest, admins first; to a bot only where there is no person, to who is suspended only where there is nobody else.",
    args: { input: t.arg({ type: LeaveConversationInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const conversationId = idOf('Conversation', input.conversationId, 'input.conversationId');
      const conversation = await leaveConversation(context.deps, viewer, conversationId);
      return { conversationId: input.conversationId, conversation: isPublic(conversation) ? conversation : null };
    },
  }),
}));
