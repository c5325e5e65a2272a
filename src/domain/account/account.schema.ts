import { encodeGlobalId } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { deleteAccount } from './account.service.js';

const DeleteAccountInput = builder.inputType('DeleteAccountInput', {
  fields: (t) => ({
    password: t.string({ description: "The viewer's password. Accounts without a password do not need it." }),
  }),
});
const DeleteAccountPayload = builder.simpleObject('DeleteAccountPayload', {
  fields: (t) => ({ userId: t.id({ nullable: false, description: 'The id of the deleted user.' }) }),
});

builder.mutationField('deleteAccount', (t) =>
  t.field({
    type: DeleteAccountPayload,
    description:
      "Deletes the viewer's account permanently. All sessions end, the name is replaced by a placeholder and becomes available to others, and the user leaves all groups; if they were the only owner of a group, another member becomes owner. The configuration of the service determines whether their messages are kept.",
    args: { input: t.arg({ type: DeleteAccountInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      await deleteAccount(context.deps, viewer, input);
      return { userId: encodeGlobalId('User', viewer.userId) };
    },
  }),
);
