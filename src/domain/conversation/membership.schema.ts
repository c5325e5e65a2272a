import { encodeGlobalId, idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { isPublic } from './conversation.policy.js';
import { Conversation } from './conversation.schema.js';
import { addMembers, leaveConversation, removeMember } from './membership.service.js';

const AddMembersInput = builder.inputType('AddMembersInput', {
  fields: (t) => ({
    conversationId: t.id({ required: true }),
    userIds: t.idList({ required: true, description: 'At most `serverInfo.limits.pageMax` at once.' }),
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
  leaveConversation: t.field({
    type: LeaveConversationPayload,
    description: "The last owner's place goes to who has been there longest, admins first.",
    args: { input: t.arg({ type: LeaveConversationInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const conversationId = idOf('Conversation', input.conversationId, 'input.conversationId');
      const conversation = await leaveConversation(context.deps, viewer, conversationId);
      return { conversationId: input.conversationId, conversation: isPublic(conversation) ? conversation : null };
    },
  }),
}));
