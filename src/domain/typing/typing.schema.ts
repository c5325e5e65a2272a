import { encodeGlobalId, idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { addViewerMutation, payloadOf } from '../../graphql/mutation.js';
import { shared } from '../../graphql/sharing.js';
import { User } from '../user/user.schema.js';
import { setTyping, streamTyping, type TypingEvent as TypingEventShape } from './typing.service.js';

addViewerMutation('setTyping', {
  description:
    'Reports whether the viewer is typing. Repeat it every few seconds while the user types. Typing ends automatically after `serverInfo.limits.typingTtlMs`, when a message is sent and when the client disconnects. Calls that are repeated within half of that time are not delivered to other members.',
  input: (t) => ({
    conversationId: t.id({ required: true, description: 'The conversation in which the viewer is typing.' }),
    isTyping: t.boolean({ required: true, description: 'Whether the viewer is typing.' }),
  }),
  ids: { conversationId: 'Conversation' },
  payload: payloadOf((t) => ({
    accepted: t.boolean({
      nullable: false,
      description:
        'Whether other members can see that the viewer is typing. It is false if the viewer is INVISIBLE, and in conversations with more than `serverInfo.limits.typingMaxMembers` members.',
    }),
  })),
  run: async (deps, viewer, input) => ({ accepted: await setTyping(deps, viewer, input) }),
});

const TypingEvent = builder.objectRef<TypingEventShape>('TypingEvent').implement({
  description: 'A change of whether a member is typing.',
  extensions: shared('conversationId', 'user', 'isTyping', 'expiresAt'),
  fields: (t) => ({
    conversationId: t.id({
      nullable: false,
      description: 'The id of the conversation.',
      resolve: ({ conversationId }) => encodeGlobalId('Conversation', conversationId),
    }),
    user: t.field({ type: User, description: 'The member.', nullable: false, resolve: ({ user }) => user }),
    isTyping: t.exposeBoolean('isTyping', { nullable: false, description: 'Whether the member is typing.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: false,
      description: 'When typing ends unless another event extends it.',
    }),
  }),
});

builder.subscriptionField('typing', (t) =>
  t.field({
    type: TypingEvent,
    nullable: false,
    description:
      "Which other members start and stop typing, in one conversation or in all of the viewer's conversations. This stream cannot be resumed.",
    args: { conversationId: t.arg.id({ description: 'Only typing in this conversation.' }) },
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
