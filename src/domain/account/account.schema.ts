import { encodeGlobalId } from '../../core/ids.js';
import { addViewerMutation, payloadOf } from '../../graphql/mutation.js';
import { deleteAccount } from './account.service.js';

addViewerMutation('deleteAccount', {
  description:
    "Deletes the viewer's account permanently. All sessions end, the name is replaced by a placeholder and becomes available to others, and the user leaves all groups; if they were the only owner of a group, another member becomes owner. The configuration of the service determines whether their messages are kept.",
  input: (t) => ({
    password: t.string({ description: "The viewer's password. Accounts without a password do not need it." }),
  }),
  payload: payloadOf((t) => ({ userId: t.id({ nullable: false, description: 'The id of the deleted user.' }) })),
  run: async (deps, viewer, input) => {
    await deleteAccount(deps, viewer, input);
    return { userId: encodeGlobalId('User', viewer.userId) };
  },
});
