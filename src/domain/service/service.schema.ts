import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { addViewerMutation, payloadOf } from '../../graphql/mutation.js';
import { AuthTokens } from '../session/session.schema.js';
import { User, UserKind } from '../user/user.schema.js';
import { createAccessToken, createUser, findByExternalId } from './service.service.js';

builder.queryField('userByExternalId', (t) =>
  t.field({
    type: User,
    description:
      'The user that `createUser` created with this key, or that the identity provider identifies by this `sub` claim. Deleted users are included; their `deletedAt` is set. It is null if there is none. Only the service key is allowed to call this; for others the error is FORBIDDEN.',
    args: {
      externalId: t.arg.string({
        required: true,
        description: 'The key given to `createUser`, or the `sub` claim of the identity provider.',
      }),
    },
    resolve: (_root, { externalId }, context) => findByExternalId(context.deps, viewerOf(context), externalId),
  }),
);

addViewerMutation('createUser', {
  description:
    'Creates an account for one of your own users. It is idempotent: repeating the same input returns the same user. Passwords are not compared. The error is CONFLICT if the input differs from that of an account with the same `externalId`, if that account was deleted, or if the username or email address is taken; `extensions.field` contains the path. Only the service key is allowed to call this; for other callers the error is FORBIDDEN.',
  input: (t) => ({
    username: t.string({
      required: true,
      description: 'The username: 3 to 32 letters, digits, `_`, `.` or `-`. It is unique regardless of case.',
    }),
    displayName: t.string({ required: true, description: 'The name to show to others: up to 80 characters.' }),
    email: t.string({
      description:
        'The email address, which only the user can see. If a password is given, the address must be unique regardless of case.',
    }),
    externalId: t.string({
      required: true,
      description:
        'Your own key for this user, 1 to 128 characters. Retrying with the same key never creates a second user. If an identity provider is configured, this is the `sub` claim of its tokens: a token with this claim signs in as this user.',
    }),
    kind: t.field({ type: UserKind, description: 'Whether the user is a person or a bot.', defaultValue: 'PERSON' }),
    password: t.string({
      description:
        'The password for `login`: 8 to 72 bytes in UTF-8. It requires an email address. Without it, the user can only sign in with tokens.',
    }),
  }),
  payload: payloadOf((t) => ({ user: t.field({ type: User, description: 'The user.', nullable: false }) })),
  run: async (deps, viewer, input) => ({ user: await createUser(deps, viewer, input) }),
});

addViewerMutation('createAccessToken', {
  description:
    "Creates a session for a user. Pass its tokens to the user's client, which then refreshes the session by itself. The session ends when the service key changes. Only the service key is allowed to call this; for other callers the error is FORBIDDEN. It is also FORBIDDEN, with the field `input.userId`, for moderators and admins of the service, and for users that neither `createUser` nor the identity provider created.",
  input: (t) => ({
    userId: t.id({ required: true, description: 'The user to sign in.' }),
    deviceName: t.string({ description: 'A name for the list of sessions, up to 80 characters.' }),
  }),
  ids: { userId: 'User' },
  payload: payloadOf((t) => ({
    tokens: t.field({ type: AuthTokens, description: 'The tokens of the new session.', nullable: false }),
    user: t.field({ type: User, description: 'The user who was signed in.', nullable: false }),
  })),
  run: async (deps, viewer, input) => {
    const signedIn = await createAccessToken(deps, viewer, input);
    return { tokens: signedIn, user: signedIn.user };
  },
});
