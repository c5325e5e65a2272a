import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { shared } from '../../graphql/sharing.js';
import { loadUser, User } from '../user/user.schema.js';
import { type ContactEvent as ContactEventShape, streamContacts } from './standing.service.js';

const ContactEventType = builder.enumType('ContactEventType', {
  description:
    "What changed in the viewer's contacts or blocked users. Treat an unknown value as a change that a newer server introduced, and apply the event's data anyway.",
  values: {
    CONTACT_ADDED: { description: 'The viewer added a contact.' },
    CONTACT_REMOVED: { description: 'The viewer removed a contact, or the contact deleted their account.' },
    BLOCKED: { description: 'The viewer blocked a user, who is therefore no longer a contact.' },
    UNBLOCKED: { description: 'The viewer unblocked a user, or a blocked user deleted their account.' },
    CAUGHT_UP: { description: 'The stream is live: it delivers every later change. Fetch both lists now.' },
  },
});

const ContactEvent = builder.objectRef<ContactEventShape>('ContactEvent').implement({
  description: "A change of the viewer's contacts or blocked users. Apply it as an upsert of the user that it carries.",
  extensions: shared('type', 'user'),
  fields: (t) => ({
    type: t.expose('type', { type: ContactEventType, description: 'The kind of change.', nullable: false }),
    user: t.field({
      type: User,
      description:
        'The user concerned, with the current values of `viewerIsContact` and `viewerHasBlocked`. It is null for CAUGHT_UP.',
      resolve: ({ aboutId }, _args, context) => (aboutId === null ? null : loadUser(context, aboutId)),
    }),
  }),
});

builder.subscriptionField('contacts', (t) =>
  t.field({
    type: ContactEvent,
    nullable: false,
    description:
      "Changes of the viewer's contacts and blocked users, made on any of their devices. This stream cannot be resumed. It begins with CAUGHT_UP; a client that fetches both lists then misses nothing.",
    subscribe: (_root, _args, context) => streamContacts(context.deps, viewerOf(context), context),
    resolve: (event) => event,
  }),
);
