import { idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { viewerOf } from '../../graphql/context.js';
import { asksDatabase } from '../../graphql/costs.js';
import { relationshipLookup } from '../user/reach.store.js';
import { User, Viewer } from '../user/user.schema.js';
import { addContact, countContacts, pageOfContacts, removeContact } from './contact.service.js';

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
  {
    name: 'ContactEdge',
    fields: (t) => ({
      addedAt: t.expose('addedAt' as never, {
        type: 'DateTime',
        description: 'When the viewer added this contact.',
        nullable: false,
      }),
    }),
  },
);

builder.prismaObjectField(Viewer, 'contacts', (t) =>
  t.field({
    type: ContactConnection,
    description: "The viewer's contacts, most recently added first.",
    args: forwardArgs,
    resolve: async (_viewer, args, context) => {
      const { edges, pageInfo } = await pageOfContacts(context.deps, viewerOf(context), args);
      return { pageInfo, edges: edges.map(({ cursor, node: { user, addedAt } }) => ({ cursor, node: user, addedAt })) };
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
const contactPayload = (name: string, description: string) =>
  builder.simpleObject(name, { fields: (t) => ({ contact: t.field({ type: User, nullable: false, description }) }) });
const AddContactInput = contactInput('AddContactInput', 'The user to add.');
const AddContactPayload = contactPayload('AddContactPayload', 'The user who was added.');
const RemoveContactInput = contactInput('RemoveContactInput', 'The user to remove.');
const RemoveContactPayload = contactPayload('RemoveContactPayload', 'The user who was removed.');

builder.mutationFields((t) => ({
  addContact: t.field({
    type: AddContactPayload,
    description:
      "Adds a user to the viewer's contacts. Adding an existing contact has no effect. The other user is not notified. At most `serverInfo.limits.contactsMax` contacts are allowed.",
    args: { input: t.arg({ type: AddContactInput, required: true }) },
    resolve: async (_root, { input }, context) => ({
      contact: await addContact(context.deps, viewerOf(context), idOf('User', input.userId, 'input.userId')),
    }),
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
