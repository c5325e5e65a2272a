import { addMutation, addViewerMutation, payloadOf } from '../../graphql/mutation.js';
import { renewSocket, signedInPayload } from '../session/session.schema.js';
import { changePassword, requestPasswordReset, resetPassword } from './password.service.js';

const newPassword = 'The new password: 8 to 72 bytes in UTF-8.';

addViewerMutation('changePassword', {
  description:
    "Changes the viewer's password, ends all other sessions and closes their WebSockets. The current session continues with new tokens; replace the old ones, because the old refresh token is invalid. A wrong current password is reported as BAD_USER_INPUT with the field `input.currentPassword`.",
  input: (t) => ({
    currentPassword: t.string({ required: true, description: "The viewer's current password." }),
    newPassword: t.string({ required: true, description: newPassword }),
  }),
  payload: signedInPayload,
  run: async (deps, viewer, input, context) => renewSocket(context, await changePassword(deps, viewer, input)),
});

addMutation('requestPasswordReset', {
  description:
    'Sends an email with a token for `resetPassword` if the address belongs to an account. The response and its timing are the same for every address, so that nobody can find out who has an account. The number of emails for one account within a period is limited.',
  input: (t) => ({ email: t.string({ required: true, description: 'The email address of the account.' }) }),
  payload: payloadOf((t) => ({
    accepted: t.boolean({ nullable: false, description: 'Always true. It does not show whether the account exists.' }),
  })),
  run: ({ deps }, input) => requestPasswordReset(deps, input),
});

addMutation('resetPassword', {
  description:
    'Sets a new password with a token from an email, ends all sessions of the user, closes their WebSockets and creates a new session. A token that is unknown, expired or already used is reported as BAD_USER_INPUT with the field `input.token`.',
  input: (t) => ({
    token: t.string({ required: true, description: 'The token from the email.' }),
    newPassword: t.string({ required: true, description: newPassword }),
  }),
  payload: signedInPayload,
  run: ({ deps }, input) => resetPassword(deps, input),
});
