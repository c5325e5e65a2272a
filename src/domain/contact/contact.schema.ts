import { idOf } from '../../core/ids.js';
import type { PageEdge } from '../../core/page.js';
import type { Contact, User as UserRow } from '../../generated/prisma/client.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { viewerOf } from '../../graphql/context.js';
import { asksDatabase } from '../../graphql/costs.js';
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
    description: "Whether the user is one of the viewer's contacts.",
    resolve: async ({ id: userId }, _args, context) =>
      (await relationshipLookup.of(context.deps)({ viewerId: viewerOf(context).userId, userId })).isContact,
  }),
);

const contactInput = (name: string, description: string) =>
  builder.inputType(name, { fields: (t) => ({ userId: t.id({ required: true, description }) }) });
const AddContactInput = contactInput('AddContactInput', 'The user to add.');
const AddContactPayload = builder.simpleObject('AddContactPayload', {
  fields: (t) => ({
    contact: t.field({ type: User, nullable: false, description: 'The user who was added.' }),
    contactEdge: t.field({
      type: ContactEdge,
      nullable: false,
      description:
        'The user as an item of `viewer.contacts`, to insert into that list. If the user was a contact already, it is the existing item.',
    }),
  }),
});
const RemoveContactInput = contactInput('RemoveContactInput', 'The user to remove.');
const RemoveContactPayload = builder.simpleObject('RemoveContactPayload', {
  fields: (t) => ({ contact: t.field({ type: User, nullable: false, description: 'The user who was removed.' }) }),
});

builder.mutationFields((t) => ({
  addContact: t.field({
    type: AddContactPayload,
    description:
      "Adds a user to the viewer's contacts. Adding an existing contact has no effect. The other user is not notified. At most `serverInfo.limits.contactsMax` contacts are allowed.",
    args: { input: t.arg({ type: AddContactInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const userId = idOf('User', input.userId, 'input.userId');
      const edge = await addContact(context.deps, viewerOf(context), userId);
      return { contact: edge.node.user, contactEdge: edgeOf(edge) };
    },
  }),
  removeContact: t.field({
    type: RemoveContactPayload,
    description:
      "Removes a user from the viewer's contacts. It has no effect if the user is not a contact. The other user is not notified.",
    args: { input: t.arg({ type: RemoveContactInput, required: true }) },
    resolve: async (_root, { input }, context) => ({
      contact: await removeContact(context.deps, viewerOf(context), idOf('User', input.userId, 'input.userId')),
    }),
  }),
}));
