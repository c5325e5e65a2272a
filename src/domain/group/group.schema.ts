import { idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { Conversation, ConversationVisibility, HistoryVisibility } from '../conversation/conversation.schema.js';
import { createGroup } from './group.service.js';

const CreateGroupInput = builder.inputType('CreateGroupInput', {
  fields: (t) => ({
    title: t.string({ required: true, description: 'The title: 1 to 100 characters.' }),
    description: t.string({ description: 'The description: up to 1000 characters.' }),
    visibility: t.field({
      type: ConversationVisibility,
      description: 'Who can find and join the group.',
      defaultValue: 'PRIVATE',
    }),
    historyVisibility: t.field({
      type: HistoryVisibility,
      description: 'Whether new members can read messages sent before they joined.',
      defaultValue: 'ALL',
    }),
    memberIds: t.idList({
      description:
        'The initial members, at most `serverInfo.limits.groupAddMax`. The creator is always a member and need not be listed.',
    }),
    clientGroupId: t.string({
      description:
        'An idempotency key chosen by the client, up to 128 characters. Retrying with the same key and input never creates a second group.',
    }),
  }),
});
const CreateGroupPayload = builder.simpleObject('CreateGroupPayload', {
  fields: (t) => ({
    conversation: t.field({ type: Conversation, description: 'The new group.', nullable: false }),
    wasCreated: t.boolean({
      nullable: false,
      description:
        'Whether this call created the group. It is false if an earlier call with the same `clientGroupId` did.',
    }),
  }),
});

builder.mutationFields((t) => ({
  createGroup: t.field({
    type: CreateGroupPayload,
    description:
      'Creates a group with the viewer as its owner. With a `clientGroupId` it is idempotent: repeating the same input returns the first group, and a different input with the same key is a CONFLICT.',
    args: { input: t.arg({ type: CreateGroupInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const memberIds = (input.memberIds ?? []).map((id, index) => idOf('User', id, `input.memberIds.${index}`));
      return createGroup(context.deps, viewer, { ...input, memberIds });
    },
  }),
}));
