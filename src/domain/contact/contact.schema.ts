import type { PageEdge } from '../../core/page.js';
import type { Contact, User as UserRow } from '../../generated/prisma/client.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { viewerOf } from '../../graphql/context.js';
import { asksDatabase } from '../../graphql/costs.js';
import { addViewerMutation, type InputFields, payloadOf } from '../../graphql/mutation.js';
import { relationshipLookup } from '../user/reach.store.js';
import { User, Viewer } from '../user/user.schema.js';
import { addContact, countContacts, pageOfContacts, removeContact } from './contact.service.js';

const ContactEdge = builder.edgeObject({
  type: User,
  name: 'ContactEdge',
  fields: (t) => ({
    addedAt: t.expose('addedAt' as never, {
      type: 'DateTime',
      description: 'When the viewer added this contact.',
      nullable: false,
    }),
  }),
});

const ContactConnection = builder.connectionObject(
  {
    type: User,
    name: 'ContactConnection',
    fields: (t) => ({
      totalCount: t.int({
        nullable: false,
        description: 'The number of all contacts of the viewer.',
        extensions: asksDatabase,
        resolve: (_page, _args, context) => countContacts(context.deps, viewerOf(context)),
      }),
    }),
  },
  ContactEdge,
);

const edgeOf = ({ cursor, node: { user, addedAt } }: PageEdge<Contact & { user: UserRow }>) => ({
  cursor,
  node: user,
  addedAt,
});

builder.prismaObjectField(Viewer, 'contacts', (t) =>
  t.field({
    type: ContactConnection,
    description: "The viewer's contacts, most recently added first.",
    args: forwardArgs,
    resolve: async (_viewer, args, context) => {
      const { edges, pageInfo } = await pageOfContacts(context.deps, viewerOf(context), args);
      return { pageInfo, edges: edges.map(edgeOf) };
    },
  }),
);

builder.prismaObjectField(User, 'viewerIsContact', (t) =>
  t.boolean({
    nullable: false,
    description: "Whether the user is one of the viewer's contacts.",
    resolve: async ({ id: userId }, _args, context) =>
      (await relationshipLookup.of(context.deps)({ viewerId: viewerOf(context).userId, userId })).isContact,
  }),
);

const contactInput = (description: string) => (t: InputFields) => ({ userId: t.id({ required: true, description }) });

addViewerMutation('addContact', {
  description:
    "Adds a user to the viewer's contacts. Adding an existing contact has no effect. The other user is not notified. At most `serverInfo.limits.contactsMax` contacts are allowed.",
  input: contactInput('The user to add.'),
  ids: { userId: 'User' },
  payload: payloadOf((t) => ({
    contact: t.field({ type: User, nullable: false, description: 'The user who was added.' }),
    contactEdge: t.field({
      type: ContactEdge,
      nullable: false,
      description:
        'The user as an item of `viewer.contacts`, to insert into that list. If the user was a contact already, it is the existing item.',
    }),
  })),
  run: async (deps, viewer, { userId }) => {
    const edge = await addContact(deps, viewer, userId);
    return { contact: edge.node.user, contactEdge: edgeOf(edge) };
  },
});

addViewerMutation('removeContact', {
  description:
    "Removes a user from the viewer's contacts. It has no effect if the user is not a contact. The other user is not notified.",
  input: contactInput('The user to remove.'),
  ids: { userId: 'User' },
  payload: payloadOf((t) => ({
    contact: t.field({ type: User, nullable: false, description: 'The user who was removed.' }),
  })),
  run: async (deps, viewer, { userId }) => ({
    contact: await removeContact(deps, viewer, userId),
  }),
});
