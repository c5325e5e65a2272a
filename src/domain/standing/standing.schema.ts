import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { shared } from '../../graphql/sharing.js';
import { loadUser, User } from '../user/user.schema.js';
import { type ContactEvent as ContactEventShape, streamContacts } from './standing.service.js';

const ContactEventType = builder.enumType('ContactEventType', {
  description: 'What the viewer did; a hint. Treat an unknown one as "something newer".',
  values: {
    CONTACT_ADDED: {},
    CONTACT_REMOVED: { description: 'Or they have deleted their account.' },
    BLOCKED: { description: 'They are off the contacts, too.' },
    UNBLOCKED: { description: 'Or they have deleted their account.' },
    CAUGHT_UP: { description: 'From here on every change comes: fetch both lists now.' },
  },
});

const ContactEvent = builder.objectRef<ContactEventShape>('ContactEvent').implement({
  description: "A change of the viewer's contacts or of whom they have blocked: an upsert of what it carries.",
  extensions: shared('type', 'user'),
  fields: (t) => ({
    type: t.expose('type', { type: ContactEventType, nullable: false }),
    user: t.field({
      type: User,
      description: 'Whom it is about: with viewerIsContact and viewerHasBlocked as they are now. Null for CAUGHT_UP.',
      resolve: ({ aboutId }, _args, context) => (aboutId === null ? null : loadUser(context, aboutId)),
    }),
  }),
});

builder.subscriptionField('contacts', (t) =>
  t.field({
    type: ContactEvent,
    nullable: false,
    description:
      "The viewer's contacts and whom they have blocked, as that changes on any of their devices. Nothing of it is kept for who is away: it begins with CAUGHT_UP, and who fetches both lists at that misses nothing.",
    subscribe: (_root, _args, context) => streamContacts(context.deps, viewerOf(context), context),
    resolve: (event) => event,
  }),
);
