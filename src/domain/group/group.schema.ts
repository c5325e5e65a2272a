import { idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { Conversation, ConversationVisibility, HistoryVisibility } from '../conversation/conversation.schema.js';
import { createGroup } from './group.service.js';

const CreateGroupInput = builder.inputType('CreateGroupInput', {
  fields: (t) => ({
    title: t.string({ required: true, description: '1 to 100 characters.' }),
    description: t.string({ description: 'Up to 1000 characters.' }),
    visibility: t.field({ type: ConversationVisibility, defaultValue: 'PRIVATE' }),
    historyVisibility: t.field({ type: HistoryVisibility, defaultValue: 'ALL' }),
    memberIds: t.idList({
      description:
        "People to begin with, at most `serverInfo.limits.groupAddMax`; the creator's own id counts for nothing.",
    }),
    clientGroupId: t.string({
      description: "The creator's own key, up to 128 characters: a retry with it never creates twice.",
    }),
  }),
});
const CreateGroupPayload = builder.simpleObject('CreateGroupPayload', {
  fields: (t) => ({ conversation: t.field({ type: Conversation, nullable: false }) }),
});

builder.mutationFields((t) => ({
  createGroup: t.field({
    type: CreateGroupPayload,
    description:
      'Makes a group whose owner is the viewer. Idempotent by clientGroupId: the same input again returns the first group; another input with it is a CONFLICT.',
    args: { input: t.arg({ type: CreateGroupInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const memberIds = (input.memberIds ?? []).map((id, index) => idOf('User', id, `input.memberIds.${index}`));
      return { conversation: await createGroup(context.deps, viewer, { ...input, memberIds }) };
    },
  }),
}));
