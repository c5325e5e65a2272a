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
  description:
    "What changed in a conversation. Treat an unknown value as a change that a newer server introduced, and apply the event's data anyway.",
  values: {
    JOINED: { description: 'The viewer became a member of the conversation.' },
    UPDATED: { description: 'The title, description, picture or a visibility setting changed.' },
    MEMBER_JOINED: { description: 'Another user became a member.' },
    MEMBER_UPDATED: { description: 'The role or the profile of a member changed.' },
    MEMBER_LEFT: { description: 'Another member left or was removed.' },
    LEFT: { description: "The viewer is no longer a member. Remove the conversation from the client's data." },
    CAUGHT_UP: { description: 'All missed events have been delivered. The following events are live.' },
    CHECKPOINT: { description: 'Nothing changed. The event only carries a newer cursor to store.' },
  },
});

const changeOf = (event: ConversationEventShape) => ('change' in event ? event.change : undefined);

const ConversationEvent = builder.objectRef<ConversationEventShape>('ConversationEvent').implement({
  description: 'A change of a conversation or of its members. Apply it as an upsert of the objects that it carries.',
  extensions: shared(
    'type',
    'cursor',
    'conversationId',
    'conversation',
    'membership',
    'userId',
    'membershipId',
    'actor',
    'changeSeq',
    'replayed',
  ),
  fields: (t) => ({
    type: t.expose('type', { type: ConversationEventType, description: 'The kind of change.', nullable: false }),
    cursor: t.exposeString('cursor', {
      nullable: false,
      description:
        'The position in the stream after this event. Store the latest one and pass it as `after` to resume.',
    }),
    conversationId: t.id({
      description: 'The id of the conversation. It is null for CAUGHT_UP and CHECKPOINT.',
      resolve: (event) => {
        const change = changeOf(event);
        return change ? encodeGlobalId('Conversation', change.conversationId) : null;
      },
    }),
    conversation: t.field({
      type: Conversation,
      description: 'The conversation after the change. It is null for LEFT, CAUGHT_UP and CHECKPOINT.',
      resolve: (event) => (event.type === 'LEFT' ? null : (changeOf(event)?.data.conversation ?? null)),
    }),
    membership: t.field({
      type: Membership,
      description: 'The membership of the user who joined or whose membership or profile changed.',
      extensions: givesSource<ConversationEventShape>((event) => changeOf(event)?.data.membership ?? null),
      resolve: (event) => {
        const { membership = null, conversation } = changeOf(event)?.data ?? {};
        return membership && { ...membership, conversation };
      },
    }),
    userId: t.id({
      description: 'The id of the user who left, for MEMBER_LEFT and LEFT.',
      resolve: (event) => {
        const change = event.type === 'LEFT' || event.type === 'MEMBER_LEFT' ? changeOf(event) : undefined;
        return change?.subjectId == null ? null : encodeGlobalId('User', change.subjectId);
      },
    }),
    membershipId: t.id({
      description:
        'The id of the membership that ended, for LEFT and MEMBER_LEFT: remove it from the cache. It is null for all other types, and for what a server of an older version recorded.',
      resolve: (event) => {
        const id = changeOf(event)?.membershipId;
        return id == null ? null : encodeGlobalId('Membership', id);
      },
    }),
    changeSeq: t.int({
      description:
        'The number of this change in its conversation. It grows with each change; an event that is delivered again has the same number. It is null for CAUGHT_UP and CHECKPOINT.',
      resolve: (event) => changeOf(event)?.changeSeq ?? null,
    }),
    replayed: t.exposeBoolean('replayed', {
      nullable: false,
      description: 'True for changes that were missed, which are delivered before CAUGHT_UP.',
    }),
    actor: t.field({
      type: User,
      description: 'The user who made the change.',
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
      "Changes of the viewer's conversations and of their members. With `after`, it delivers the missed changes first, then CAUGHT_UP, then live events. Without it, it begins with CAUGHT_UP.",
    args: { after: t.arg.string({ description: 'The cursor of an event of this stream, or `viewer.syncCursor`.' }) },
    subscribe: (_root, { after }, context) => streamConversations(context.deps, viewerOf(context), context, after),
    resolve: (event) => event,
  }),
);
