import { idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { AuthTokens } from '../session/session.schema.js';
import { User, UserKind } from '../user/user.schema.js';
import { createAccessToken, createUser, findByExternalId } from './service.service.js';

const CreateUserInput = builder.inputType('CreateUserInput', {
  fields: (t) => ({
    username: t.string({
      required: true,
      description: '3 to 32 letters, digits, `_`, `.` or `-`; unique without regard to case.',
    }),
    displayName: t.string({ required: true, description: 'Up to 80 characters.' }),
    email: t.string({ description: 'Only they themselves see it. With a password unique without regard to case.' }),
    externalId: t.string({
      required: true,
      description:
        'Your own key of them, 1 to 128 characters: a retry with it makes nobody twice. Where an identity provider is configured, the `sub` of its tokens: who comes with one is this account.',
    }),
    kind: t.field({ type: UserKind, defaultValue: 'PERSON' }),
    password: t.string({
      description: '8 to 72 bytes in UTF-8, to sign in with `login`; needs an email. Absent: only tokens sign them in.',
    }),
  }),
});

const CreateUserPayload = builder.simpleObject('CreateUserPayload', {
  fields: (t) => ({ user: t.field({ type: User, nullable: false }) }),
});

const CreateAccessTokenInput = builder.inputType('CreateAccessTokenInput', {
  fields: (t) => ({
    userId: t.id({ required: true }),
    deviceName: t.string({ description: 'Up to 80 characters, for the list of sessions.' }),
  }),
});

const CreateAccessTokenPayload = builder.simpleObject('CreateAccessTokenPayload', {
  fields: (t) => ({
    tokens: t.field({ type: AuthTokens, nullable: false }),
    user: t.field({ type: User, nullable: false }),
  }),
});

builder.queryField('userByExternalId', (t) =>
  t.field({
    type: User,
    description:
      'Whom `createUser` made with this key, or the `sub` of an identity provider; also when they were deleted (`deletedAt`). For the service key.',
    args: { externalId: t.arg.string({ required: true }) },
    resolve: (_root, { externalId }, context) => findByExternalId(context.deps, viewerOf(context), externalId),
  }),
);

builder.mutationFields((t) => ({
  createUser: t.field({
    type: CreateUserPayload,
    description:
      'Makes an account for one of your own people. The same input again gives the same one (a password is not compared); another input with its `externalId`, or one of a deleted account, is a CONFLICT of that, a taken username or email one of theirs. For the service key, FORBIDDEN for others.',
    args: { input: t.arg({ type: CreateUserInput, required: true }) },
    resolve: async (_root, { input }, context) => ({ user: await createUser(context.deps, viewerOf(context), input) }),
  }),
  createAccessToken: t.field({
    type: CreateAccessTokenPayload,
    description:
      'A new session for one of your own people, to be handed to their client: it refreshes it by itself. It ends when the service key is changed. FORBIDDEN of `input.userId` of who moderates the service, and of whom neither `createUser` made nor the identity provider signs in. For the service key, FORBIDDEN for others.',
    args: { input: t.arg({ type: CreateAccessTokenInput, required: true }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const userId = idOf('User', input.userId, 'input.userId');
      const signedIn = await createAccessToken(context.deps, viewer, { ...input, userId });
      return { tokens: signedIn, user: signedIn.user };
    },
  }),
}));
