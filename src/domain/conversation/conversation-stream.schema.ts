import { encodeGlobalId } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { givesSource, shared } from '../../graphql/sharing.js';
import { loadUser, User } from '../user/user.schema.js';
import { Conversation, Membership } from './conversation.schema.js';
import {
  type ConversationEvent as ConversationEventShape,
  streamConversations,
} from './conversation-stream.service.js';

const ConversationEventType = builder.enumType('ConversationEventType', {
  description: 'What happened; a hint. Treat an unknown one as "something newer".',
  values: {
    JOINED: { description: 'The viewer is in it now.' },
    UPDATED: { description: 'Title, description, picture, visibility.' },
    MEMBER_JOINED: {},
    MEMBER_UPDATED: {},
    MEMBER_LEFT: {},
    LEFT: { description: 'The viewer is no longer in it: drop it.' },
    CAUGHT_UP: { description: 'All that was missed has come; from here on it is live.' },
    CHECKPOINT: { description: 'Nothing happened; a fresh cursor to keep.' },
  },
});

const changeOf = (event: ConversationEventShape) => ('change' in event ? event.change : undefined);

const ConversationEvent = builder.objectRef<ConversationEventShape>('ConversationEvent').implement({
  description: 'A change of a conversation or of who is in it: an upsert of what it carries.',
  extensions: shared('type', 'cursor', 'conversationId', 'conversation', 'membership', 'userId', 'actor'),
  fields: (t) => ({
    type: t.expose('type', { type: ConversationEventType, nullable: false }),
    cursor: t.exposeString('cursor', { nullable: false, description: 'Keep the last one: it is what `after` takes.' }),
    conversationId: t.id({
      resolve: (event) => {
        const change = changeOf(event);
        return change ? encodeGlobalId('Conversation', change.conversationId) : null;
      },
    }),
    conversation: t.field({
      type: Conversation,
      description: 'Null once the viewer has left it.',
      resolve: (event) => (event.type === 'LEFT' ? null : (changeOf(event)?.data.conversation ?? null)),
    }),
    membership: t.field({
      type: Membership,
      description: 'Who joined or changed.',
      extensions: givesSource<ConversationEventShape>((event) => changeOf(event)?.data.membership ?? null),
      resolve: (event) => changeOf(event)?.data.membership ?? null,
    }),
    userId: t.id({
      description: 'Who left.',
      resolve: (event) => {
        const change = event.type === 'LEFT' || event.type === 'MEMBER_LEFT' ? changeOf(event) : undefined;
        return change?.subjectId == null ? null : encodeGlobalId('User', change.subjectId);
      },
    }),
    actor: t.field({
      type: User,
      description: 'Who made the change.',
      resolve: (event, _args, context) => {
        const actorId = changeOf(event)?.actorId;
        return actorId == null ? null : loadUser(context, actorId);
      },
    }),
  }),
});

builder.subscriptionField('conversations', (t) =>
  t.field({
    type: ConversationEvent,
    nullable: false,
    description:
      "The viewer's list of conversations, and who is in them. With `after`, a cursor of one of its events or `viewer.syncCursor`, first comes what changed since, then CAUGHT_UP, then life; without it begins with CAUGHT_UP.",
    args: { after: t.arg.string() },
    subscribe: (_root, { after }, context) => streamConversations(context.deps, viewerOf(context), context, after),
    resolve: (event) => event,
  }),
);
