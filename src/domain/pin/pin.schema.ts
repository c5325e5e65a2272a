import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { atMost } from '../../graphql/costs.js';
import { defineLoader } from '../../graphql/loader.js';
import { addViewerMutation, type InputFields } from '../../graphql/mutation.js';
import { keyedBy, sharedField } from '../../graphql/sharing.js';
import { canSend } from '../conversation/conversation.policy.js';
import { Conversation, loadConversation, loadViewerSide } from '../conversation/conversation.schema.js';
import { canModerate } from '../conversation/membership.policy.js';
import { loadCanSend, loadModerating, Message, messagePayload, type Preloaded } from '../message/message.schema.js';
import { canPin, canPinIn } from './pin.policy.js';
import { pinMessage, unpinMessage } from './pin.service.js';
import { findPinned } from './pin.store.js';

builder.prismaObjectField(Message, 'pinnedAt', (t) =>
  t.expose('pinnedAt', {
    type: 'DateTime',
    description: 'When the message was pinned, or null if it is not pinned. Later pins have later times.',
    extensions: sharedField,
  }),
);

builder.prismaObjectField(Message, 'viewerCanPin', (t) =>
  t.boolean({
    nullable: false,
    description:
      'Whether the viewer can pin and unpin the message: it is neither deleted nor a system message, and `viewerCanPin` of the conversation is true. The limit on the number of pinned messages is not considered.',
    extensions: keyedBy<Preloaded | null>((message, viewerId) => {
      const { kind, moderatorIds } = message?.conversation ?? {};
      // If the moderators are not loaded, the value has to be computed for each viewer.
      return kind === 'GROUP' && moderatorIds ? String(moderatorIds.includes(viewerId)) : viewerId;
    }),
    async resolve(message: Preloaded, _args, context) {
      const conversation = message.conversation ?? (await loadConversation(context, message.conversationId));
      const [sends, moderates] = await Promise.all([loadCanSend(context, message), loadModerating(context, message)]);
      return conversation !== null && canPin(message, conversation, { sends, moderates });
    },
  }),
);

builder.prismaObjectField(Conversation, 'viewerCanPin', (t) =>
  t.boolean({
    nullable: false,
    description:
      'Whether the viewer can pin and unpin messages: they are an owner or admin of the group, or `viewerCanSend` is true in a direct conversation. The limit on the number of pinned messages is not considered.',
    async resolve(conversation, _args, context) {
      const { membership, counterpart } = await loadViewerSide(context, conversation);
      const moderates = membership !== null && canModerate(conversation, membership);
      return canPinIn(conversation, { sends: canSend(membership, counterpart), moderates });
    },
  }),
);

/** Loads the pinned messages of all conversations of a list in one statement. */
const loadPinned = defineLoader((context, ids) =>
  findPinned(context.deps.database.db, viewerOf(context).userId, ids, context.deps.config.pinsMax),
);

builder.prismaObjectField(Conversation, 'pinnedMessages', (t) =>
  t.field({
    type: [Message],
    extensions: atMost('pinsMax'),
    nullable: { list: false, items: false },
    description:
      'The pinned messages, most recently pinned first, at most `serverInfo.limits.pinsMax`. The list is empty if the viewer is not a member. Events of the `messages` stream keep it current: a message is pinned while its `pinnedAt` is set.',
    resolve: async ({ id }, _args, context) => (await loadPinned(context, id)) ?? [],
  }),
);

const pinInput = (t: InputFields) => ({ messageId: t.id({ required: true, description: 'The message.' }) });

addViewerMutation('pinMessage', {
  description:
    'Pins a message. Pinning a pinned message has no effect. In a group, only owners and admins are allowed to do this; in a direct conversation, both users are.',
  input: pinInput,
  ids: { messageId: 'Message' },
  payload: messagePayload,
  run: async (deps, viewer, { messageId }) => ({ message: await pinMessage(deps, viewer, messageId) }),
});

addViewerMutation('unpinMessage', {
  description:
    'Unpins a message. It has no effect if the message is not pinned. The same users as for `pinMessage` are allowed to do this.',
  input: pinInput,
  ids: { messageId: 'Message' },
  payload: messagePayload,
  run: async (deps, viewer, { messageId }) => ({ message: await unpinMessage(deps, viewer, messageId) }),
});
