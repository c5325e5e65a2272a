import { encodeGlobalId } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import {
  afterArg,
  changeOf,
  conversationIdOf,
  defineEventTypes,
  defineStreamEvent,
  durableStream,
} from '../../graphql/durable-stream.js';
import { givesSource } from '../../graphql/sharing.js';
import { loadUser, User } from '../user/user.schema.js';
import { Conversation, Membership } from './conversation.schema.js';
import {
  type ConversationEvent as ConversationEventShape,
  streamConversations,
} from './conversation-stream.service.js';

const ConversationEvent = defineStreamEvent<ConversationEventShape>('ConversationEvent', {
  description: 'A change of a conversation or of its members. Apply it as an upsert of the objects that it carries.',
  changeSeq:
    'The number of this change in its conversation. Later changes have higher numbers; an event that is delivered again has the same number.',
  shared: ['conversationId', 'conversation', 'membership', 'userId', 'membershipId', 'actor'],
});

defineEventTypes(ConversationEvent, 'ConversationEventType', {
  description: 'What changed in a conversation.',
  values: {
    JOINED: { description: 'The viewer became a member of the conversation.' },
    UPDATED: { description: 'The title, description, picture or a visibility setting changed.' },
    MEMBER_JOINED: { description: 'Another user became a member.' },
    MEMBER_UPDATED: { description: 'The role or the profile of a member changed.' },
    MEMBER_LEFT: { description: 'Another member left or was removed.' },
    LEFT: { description: "The viewer is no longer a member. Remove the conversation from the client's data." },
  },
});

builder.objectFields(ConversationEvent, (t) => ({
  conversationId: t.id({
    description: 'The id of the conversation. It is null for CAUGHT_UP and CHECKPOINT.',
    resolve: conversationIdOf,
  }),
  conversation: t.field({
    type: Conversation,
    description: 'The conversation after the change. It is null for LEFT, CAUGHT_UP and CHECKPOINT.',
    resolve: (event) => (event.type === 'LEFT' ? null : (changeOf(event)?.data.conversation ?? null)),
  }),
  membership: t.field({
    type: Membership,
    description:
      'The membership of the user who joined or whose membership or profile changed. It is null for all other changes, and if that user is no longer a member.',
    extensions: givesSource<ConversationEventShape>((event) => changeOf(event)?.data.membership ?? null),
    resolve: (event) => {
      const { membership = null, conversation } = changeOf(event)?.data ?? {};
      return membership && { ...membership, conversation };
    },
  }),
  userId: t.id({
    description: 'The id of the user who left, for MEMBER_LEFT and LEFT. It is null for all other types.',
    resolve: (event) => {
      const change = event.type === 'LEFT' || event.type === 'MEMBER_LEFT' ? changeOf(event) : undefined;
      return change?.subjectId == null ? null : encodeGlobalId('User', change.subjectId);
    },
  }),
  membershipId: t.id({
    description:
      'The id of the membership that ended, for LEFT and MEMBER_LEFT: remove it from the cache. It is null for all other types, and for changes that a server of an older version recorded.',
    resolve: (event) => {
      const id = changeOf(event)?.membershipId;
      return id == null ? null : encodeGlobalId('Membership', id);
    },
  }),
  actor: t.field({
    type: User,
    description:
      'The user who made the change. It is null for CAUGHT_UP and CHECKPOINT, and if the cause is not disclosed.',
    resolve: (event, _args, context) => {
      const actorId = changeOf(event)?.actorId;
      return actorId == null ? null : loadUser(context, actorId);
    },
  }),
}));

builder.subscriptionField('conversations', (t) =>
  t.field({
    ...durableStream(ConversationEvent, "Changes of the viewer's conversations and of their members."),
    args: afterArg,
    subscribe: (_root, { after }, context) => streamConversations(context.deps, viewerOf(context), context, after),
  }),
);
