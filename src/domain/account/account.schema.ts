import { encodeGlobalId } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { deleteAccount } from './account.service.js';

const DeleteAccountInput = builder.inputType('DeleteAccountInput', {
  fields: (t) => ({ password: t.string({ description: "The viewer's; not needed of accounts that have none." }) }),
});
const DeleteAccountPayload = builder.simpleObject('DeleteAccountPayload', {
  fields: (t) => ({ userId: t.id({ nullable: false }) }),
});

builder.mutationField('deleteAccount', (t) =>
  t.field({
    type: DeleteAccountPayload,
    description:
      'For good: the name becomes a placeholder and is free for others, all sessions end, and groups are left (a last owner hands over). Messages stay or go, as the service is configured.',
    args: { input: t.arg({ type: DeleteAccountInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      await deleteAccount(context.deps, viewer, input);
      return { userId: encodeGlobalId('User', viewer.userId) };
    },
  }),
);
