import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import {
  afterArg,
  changeOf,
  defineEventTypes,
  defineStreamEvent,
  durableStream,
} from '../../graphql/durable-stream.js';
import { loadUser, User } from '../user/user.schema.js';
import { type ContactEvent as ContactEventShape, streamContacts } from './relationship.stream.js';

const ContactEvent = defineStreamEvent<ContactEventShape>('ContactEvent', {
  description: "A change of the viewer's contacts or blocked users. Apply it as an upsert of the user that it carries.",
  changeSeq:
    "The number of the change among all changes of the viewer's own data, which the streams `contacts`, `notifications` and `viewerChanges` share.",
  shared: ['user'],
});

defineEventTypes(ContactEvent, 'ContactEventType', {
  description: 'What changed, as a hint.',
  values: {
    CONTACT_ADDED: { description: 'The viewer has added the user to their contacts.' },
    CONTACT_REMOVED: {
      description: 'The viewer has removed the user from their contacts, or the user has deleted their account.',
    },
    BLOCKED: { description: 'The viewer has blocked the user, which also removes the user from the contacts.' },
    UNBLOCKED: { description: 'The viewer has unblocked the user, or the user has deleted their account.' },
  },
  caughtUp: 'A client that subscribed without `after` fetches both lists now.',
});

builder.objectField(ContactEvent, 'user', (t) =>
  t.field({
    type: User,
    description:
      'The user who was added, removed, blocked or unblocked, with the current `viewerIsContact` and `viewerHasBlocked`. It is null for CAUGHT_UP and CHECKPOINT.',
    resolve: (event, _args, context) => {
      const userId = changeOf(event)?.subjectId;
      return userId == null ? null : loadUser(context, userId);
    },
  }),
);

builder.subscriptionField('contacts', (t) =>
  t.field({
    ...durableStream(
      ContactEvent,
      "Changes of the viewer's contacts and blocked users, made on any of their devices. If a cursor has expired, fetch both lists again.",
    ),
    args: afterArg,
    subscribe: (_root, { after }, context) => streamContacts(context.deps, viewerOf(context), context, after),
  }),
);
