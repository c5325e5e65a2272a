import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { renewSocket, signedInPayload } from '../session/session.schema.js';
import { changePassword, requestPasswordReset, resetPassword } from './password.service.js';

const newPassword = 'The new password: 8 to 72 bytes in UTF-8.';

const ChangePasswordInput = builder.inputType('ChangePasswordInput', {
  fields: (t) => ({
    currentPassword: t.string({ required: true, description: "The viewer's current password." }),
    newPassword: t.string({ required: true, description: newPassword }),
  }),
});

const RequestPasswordResetInput = builder.inputType('RequestPasswordResetInput', {
  fields: (t) => ({ email: t.string({ required: true, description: 'The email address of the account.' }) }),
});

const ResetPasswordInput = builder.inputType('ResetPasswordInput', {
  fields: (t) => ({
    token: t.string({ required: true, description: 'The token from the email.' }),
    newPassword: t.string({ required: true, description: newPassword }),
  }),
});

const RequestPasswordResetPayload = builder.simpleObject('RequestPasswordResetPayload', {
  fields: (t) => ({
    accepted: t.boolean({ nullable: false, description: 'Always true. It does not show whether the account exists.' }),
  }),
});

const ChangePasswordPayload = signedInPayload('ChangePasswordPayload');
const ResetPasswordPayload = signedInPayload('ResetPasswordPayload');

builder.mutationFields((t) => ({
  changePassword: t.field({
    type: ChangePasswordPayload,
    description:
      "Changes the viewer's password, ends all other sessions and closes their WebSockets. The current session continues with new tokens; replace the old ones, because the old refresh token is invalid. A wrong current password is reported as BAD_USER_INPUT with the field `input.currentPassword`.",
    args: { input: t.arg({ type: ChangePasswordInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      return renewSocket(context, await changePassword(context.deps, viewer, input));
    },
  }),
  requestPasswordReset: t.field({
    type: RequestPasswordResetPayload,
    description:
      'Sends an email with a token for `resetPassword` if the address belongs to an account. The response and its timing are the same for every address, so that nobody can find out who has an account. The number of emails for one account within a period is limited.',
    args: { input: t.arg({ type: RequestPasswordResetInput, required: true }) },
    resolve: (_root, { input }, { deps }) => requestPasswordReset(deps, input),
  }),
  resetPassword: t.field({
    type: ResetPasswordPayload,
    description:
      'Sets a new password with a token from an email, ends all sessions of the user, closes their WebSockets and creates a new session. A token that is unknown, expired or already used is reported as BAD_USER_INPUT with the field `input.token`.',
    args: { input: t.arg({ type: ResetPasswordInput, required: true }) },
    resolve: (_root, { input }, { deps }) => resetPassword(deps, input),
  }),
}));
