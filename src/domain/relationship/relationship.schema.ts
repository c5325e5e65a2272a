import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { shared } from '../../graphql/sharing.js';
import { loadUser, User } from '../user/user.schema.js';
import { type ContactEvent as ContactEventShape, streamContacts } from './relationship.stream.js';

const ContactEventType = builder.enumType('ContactEventType', {
  description:
    'What happened, as a hint: the event carries the present state. Treat a value that you do not know as "something has changed".',
  values: {
    CONTACT_ADDED: { description: 'The viewer has added the user to their contacts.' },
    CONTACT_REMOVED: {
      description: 'The viewer has removed the user from their contacts, or the user has deleted their account.',
    },
    BLOCKED: { description: 'The viewer has blocked the user, which also removes the user from the contacts.' },
    UNBLOCKED: { description: 'The viewer has unblocked the user, or the user has deleted their account.' },
    CAUGHT_UP: {
      description: 'Everything that was missed has been delivered. Without `after`, fetch both lists now.',
    },
    CHECKPOINT: { description: 'Nothing has happened. The event only carries a newer cursor.' },
  },
});

const changeOf = (event: ContactEventShape) => ('change' in event ? event.change : undefined);

const ContactEvent = builder.objectRef<ContactEventShape>('ContactEvent').implement({
  description: "A change of the viewer's contacts or blocked users: an upsert of what it carries.",
  extensions: shared('type', 'cursor', 'replayed', 'changeSeq', 'user'),
  fields: (t) => ({
    type: t.expose('type', {
      type: ContactEventType,
      nullable: false,
      description: 'What happened, as a hint: the event carries the present state.',
    }),
    cursor: t.exposeString('cursor', {
      nullable: false,
      description: 'The position of the event. Store the latest one: the argument `after` accepts it.',
    }),
    replayed: t.exposeBoolean('replayed', {
      nullable: false,
      description: 'True when the event was missed and is delivered before CAUGHT_UP.',
    }),
    changeSeq: t.int({
      description:
        "The number of the change in the viewer's own log, which also numbers the events of `viewerChanges`. Null for CAUGHT_UP and CHECKPOINT.",
      resolve: (event) => changeOf(event)?.changeSeq ?? null,
    }),
    user: t.field({
      type: User,
      description:
        'The user who was added, removed, blocked or unblocked, with the present viewerIsContact and viewerHasBlocked. Null for CAUGHT_UP and CHECKPOINT.',
      resolve: (event, _args, context) => {
        const userId = changeOf(event)?.subjectId;
        return userId == null ? null : loadUser(context, userId);
      },
    }),
  }),
});

builder.subscriptionField('contacts', (t) =>
  t.field({
    type: ContactEvent,
    nullable: false,
    description:
      "Changes of the viewer's contacts and blocked users, made on any of their devices. With `after` (a cursor of one of its events, or `viewer.syncCursor`) it first delivers what has changed since, then CAUGHT_UP, then live events. Without `after` it begins with CAUGHT_UP.",
    args: {
      after: t.arg.string({
        description:
          'The latest cursor that the client has stored. When the server answers that it has expired, fetch both lists again.',
      }),
    },
    subscribe: (_root, { after }, context) => streamContacts(context.deps, viewerOf(context), context, after),
    resolve: (event) => event,
  }),
);
