import { addViewerMutation, payloadOf } from '../../graphql/mutation.js';
import { Conversation, ConversationVisibility, HistoryVisibility } from '../conversation/conversation.schema.js';
import { createGroup } from './group.service.js';

addViewerMutation('createGroup', {
  description:
    'Creates a group with the viewer as its owner. With a `clientGroupId` it is idempotent: repeating the same input returns the first group, and a different input with the same key is a CONFLICT.',
  input: (t) => ({
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
  ids: { memberIds: 'User' },
  payload: payloadOf((t) => ({
    conversation: t.field({ type: Conversation, description: 'The new group.', nullable: false }),
    wasCreated: t.boolean({
      nullable: false,
      description:
        'Whether this call created the group. It is false if an earlier call with the same `clientGroupId` did.',
    }),
  })),
  run: createGroup,
});
