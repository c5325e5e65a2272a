import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { renewSocket, signedInPayload } from '../session/session.schema.js';
import { changePassword, requestPasswordReset, resetPassword } from './password.service.js';

const newPassword = '8 to 72 bytes in UTF-8.';

const ChangePasswordInput = builder.inputType('ChangePasswordInput', {
  fields: (t) => ({
    currentPassword: t.string({ required: true }),
    newPassword: t.string({ required: true, description: newPassword }),
  }),
});

const RequestPasswordResetInput = builder.inputType('RequestPasswordResetInput', {
  fields: (t) => ({ email: t.string({ required: true }) }),
});

const ResetPasswordInput = builder.inputType('ResetPasswordInput', {
  fields: (t) => ({
    token: t.string({ required: true, description: 'From the mail.' }),
    newPassword: t.string({ required: true, description: newPassword }),
  }),
});

const RequestPasswordResetPayload = builder.simpleObject('RequestPasswordResetPayload', {
  fields: (t) => ({ accepted: t.boolean({ nullable: false }) }),
});

const ChangePasswordPayload = signedInPayload('ChangePasswordPayload');
const ResetPasswordPayload = signedInPayload('ResetPasswordPayload');

builder.mutationFields((t) => ({
  changePassword: t.field({
    type: ChangePasswordPayload,
    description:
      "Ends all other sessions of the viewer's, their live sockets too. This one stays and gets new tokens: keep them in place of the old ones, whose refresh token is no good any more. A wrong current password is BAD_USER_INPUT of `input.currentPassword`.",
    args: { input: t.arg({ type: ChangePasswordInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      return renewSocket(context, await changePassword(context.deps, viewer, input));
    },
  }),
  requestPasswordReset: t.field({
    type: RequestPasswordResetPayload,
    description:
      'Always accepted, and as fast, so that nobody learns who has an account. Whoever has gets a mail with a token for `resetPassword`; an account is sent only so many in a time.',
    args: { input: t.arg({ type: RequestPasswordResetInput, required: true }) },
    resolve: (_root, { input }, { deps }) => requestPasswordReset(deps, input),
  }),
  resetPassword: t.field({
    type: ResetPasswordPayload,
    description:
      "Sets a new password with the token of a mail, once: ends all of the person's sessions, their live sockets too, and signs in anew. A token that is used, expired or unknown is BAD_USER_INPUT of `input.token`.",
    args: { input: t.arg({ type: ResetPasswordInput, required: true }) },
    resolve: (_root, { input }, { deps }) => resetPassword(deps, input),
  }),
}));
