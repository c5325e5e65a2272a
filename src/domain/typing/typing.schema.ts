import { encodeGlobalId, idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { shared } from '../../graphql/sharing.js';
import { User } from '../user/user.schema.js';
import { setTyping, streamTyping, type TypingEvent as TypingEventShape } from './typing.service.js';

const SetTypingInput = builder.inputType('SetTypingInput', {
  fields: (t) => ({ conversationId: t.id({ required: true }), isTyping: t.boolean({ required: true }) }),
});
const SetTypingPayload = builder.simpleObject('SetTypingPayload', {
  fields: (t) => ({
    accepted: t.boolean({
      nullable: false,
      description:
        'Whether others are told: not of who is INVISIBLE, and not in conversations above TYPING_MAX_MEMBERS.',
    }),
  }),
});

builder.mutationField('setTyping', (t) =>
  t.field({
    type: SetTypingPayload,
    description:
      'To be said every few seconds while it is so. It ends by itself after TYPING_TTL (6 s), on sending and on disconnecting; what is said more often than every half of that is told no more often.',
    args: { input: t.arg({ type: SetTypingInput, required: true }) },
    resolve: async (_root, { input: { conversationId, isTyping } }, context) => ({
      accepted: await setTyping(context.deps, viewerOf(context), {
        conversationId: idOf('Conversation', conversationId, 'input.conversationId'),
        isTyping,
      }),
    }),
  }),
);

const TypingEvent = builder.objectRef<TypingEventShape>('TypingEvent').implement({
  extensions: shared('conversationId', 'user', 'isTyping', 'expiresAt'),
  fields: (t) => ({
    conversationId: t.id({
      nullable: false,
      resolve: ({ conversationId }) => encodeGlobalId('Conversation', conversationId),
    }),
    user: t.field({ type: User, nullable: false, resolve: ({ user }) => user }),
    isTyping: t.exposeBoolean('isTyping', { nullable: false }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: false,
      description: 'When it ends unless renewed.',
    }),
  }),
});

builder.subscriptionField('typing', (t) =>
  t.field({
    type: TypingEvent,
    nullable: false,
    description: 'Who of the others types, in one conversation or in all of the viewer’s. Nothing of it is kept.',
    args: { conversationId: t.arg.id() },
    subscribe: (_root, { conversationId }, context) =>
      streamTyping(
        context.deps,
        viewerOf(context),
        context,
        conversationId == null ? null : idOf('Conversation', conversationId, 'conversationId'),
      ),
    resolve: (event) => event,
  }),
);
