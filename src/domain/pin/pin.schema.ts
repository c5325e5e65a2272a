import { idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { atMost } from '../../graphql/costs.js';
import { defineLoader } from '../../graphql/loader.js';
import { sharedField } from '../../graphql/sharing.js';
import { Conversation } from '../conversation/conversation.schema.js';
import { Message, messagePayload } from '../message/message.schema.js';
import { pinMessage, unpinMessage } from './pin.service.js';
import { findPinned } from './pin.store.js';

builder.prismaObjectField(Message, 'pinnedAt', (t) =>
  t.expose('pinnedAt', {
    type: 'DateTime',
    description: 'Set while it is pinned; of what was pinned later it is later.',
    extensions: sharedField,
  }),
);

/** One statement for all conversations of a list. */
const loadPinned = defineLoader((context, ids) =>
  findPinned(context.deps.database.db, viewerOf(context).userId, ids, context.deps.config.pinsMax),
);

builder.prismaObjectField(Conversation, 'pinnedMessages', (t) =>
  t.field({
    type: [Message],
    extensions: atMost('pinsMax'),
    nullable: { list: false, items: false },
    description:
      'Latest first, at most `serverInfo.limits.pinsMax`; none to who is not a member. They change with events of `messages`: whose `pinnedAt` is set is pinned.',
    resolve: async ({ id }, _args, context) => (await loadPinned(context, id)) ?? [],
  }),
);

const pinInput = (name: string) =>
  builder.inputType(name, { fields: (t) => ({ messageId: t.id({ required: true }) }) });
const PinMessageInput = pinInput('PinMessageInput');
const UnpinMessageInput = pinInput('UnpinMessageInput');
const PinMessagePayload = messagePayload('PinMessagePayload');
const UnpinMessagePayload = messagePayload('UnpinMessagePayload');

builder.mutationFields((t) => ({
  pinMessage: t.field({
    type: PinMessagePayload,
    description:
      'In a group by its owners and admins, in a direct conversation by either of the two. One that is pinned stays where it is.',
    args: { input: t.arg({ type: PinMessageInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const messageId = idOf('Message', input.messageId, 'input.messageId');
      return { message: await pinMessage(context.deps, viewer, messageId) };
    },
  }),
  unpinMessage: t.field({
    type: UnpinMessagePayload,
    description: 'By whom pinMessage is allowed to. One that is not pinned stays as it is.',
    args: { input: t.arg({ type: UnpinMessageInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const messageId = idOf('Message', input.messageId, 'input.messageId');
      return { message: await unpinMessage(context.deps, viewer, messageId) };
    },
  }),
}));
