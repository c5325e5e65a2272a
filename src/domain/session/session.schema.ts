import { gone } from '../../core/errors.js';
import { encodeGlobalId, idOf, NOBODYS_ID } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { type Context, viewerOf } from '../../graphql/context.js';
import { atMost } from '../../graphql/costs.js';
import { defineLoader } from '../../graphql/loader.js';
import { addMutation } from '../../graphql/mutation.js';
import { Viewer } from '../user/user.schema.js';
import { findViewer } from '../user/user.service.js';
import {
  findOwners,
  listSessions,
  login,
  logout,
  pageOfSessions,
  refreshSession,
  register,
  type SignedIn,
} from './session.service.js';

/** Whether these are sessions of the viewer that have not ended. */
const loadIsOwn = defineLoader(async (context, ids) => {
  const owners = await findOwners(context.deps.database.sql, ids);
  return owners.map((userId) => userId === viewerOf(context).userId);
});

export const Session = builder.prismaNode('Session', {
  id: { field: 'id' },
  nullable: true,
  // An id that the viewer must not see is replaced by one that does not exist.
  findUnique: async (id, context) => ({ id: (await loadIsOwn(context, id)) ? id : NOBODYS_ID }),
  description: 'A signed-in session of a device.',
  fields: (t) => ({
    deviceName: t.exposeString('deviceName', {
      description: 'The name that the client gave when signing in, or null if it gave none.',
    }),
    current: t.boolean({
      nullable: false,
      description: 'Whether this session made the current request.',
      resolve: ({ id }, _args, context) => viewerOf(context).sessionId === id,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When the user signed in.', nullable: false }),
    lastUsedAt: t.expose('lastUsedAt', {
      type: 'DateTime',
      nullable: false,
      description: 'When the session was last refreshed.',
    }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: false,
      description:
        'When the session ends unless it is extended. `refreshSession` extends it, and so does a newer access token of the identity provider.',
    }),
  }),
});

builder.prismaObjectField(Viewer, 'sessions', (t) =>
  t.field({
    type: [Session],
    nullable: { list: false, items: false },
    description:
      "The viewer's signed-in sessions, most recently used first, at most `serverInfo.limits.sessionsPerPersonMax`.",
    extensions: atMost('sessionsPerPersonMax'),
    resolve: (_viewer, _args, context) => listSessions(context.deps, viewerOf(context)),
  }),
);

const SessionConnection = builder.connectionObject(
  { type: Session, name: 'SessionConnection' },
  { name: 'SessionEdge' },
);

builder.prismaObjectField(Viewer, 'sessionPages', (t) =>
  t.field({
    type: SessionConnection,
    description: 'The same sessions as in `sessions`, in pages.',
    args: forwardArgs,
    resolve: (_viewer, args, context) => pageOfSessions(context.deps, viewerOf(context), args),
  }),
);

export const AuthTokens = builder.objectRef<SignedIn>('AuthTokens').implement({
  description: 'The tokens of a signed-in session.',
  fields: (t) => ({
    accessToken: t.exposeString('accessToken', {
      nullable: false,
      description:
        'A JWT. Send it as `Bearer <token>` in the Authorization header, or as `authorization` in the `connectionParams` of a WebSocket, where the prefix `Bearer ` is optional.',
    }),
    accessTokenExpiresAt: t.expose('accessTokenExpiresAt', {
      type: 'DateTime',
      description: 'When the access token expires.',
      nullable: false,
    }),
    refreshToken: t.exposeString('refreshToken', {
      description:
        'The token that `refreshSession` takes. It is currently always set; it is nullable for servers that keep it in a cookie.',
    }),
  }),
});

/** The payload of mutations that sign a user in. */
export const signedInPayload = (name: string) =>
  builder.objectRef<SignedIn>(name).implement({
    fields: (t) => ({
      tokens: t.field({
        type: AuthTokens,
        nullable: false,
        description: 'The tokens of the session.',
        resolve: (signedIn) => signedIn,
      }),
      viewer: t.prismaField({
        type: Viewer,
        nullable: false,
        description: 'The user who is signed in.',
        resolve: async (query, { viewer }, _args, context) => {
          // The fields below are resolved as this user, but the next mutation of the operation is not (schema.ts).
          context.identity = viewer;
          return (await findViewer(context.deps, viewer, query)) ?? gone('User');
        },
      }),
    }),
  });

/** New tokens for the session of a WebSocket, requested over the same WebSocket, also extend the connection. */
export function renewSocket({ requester, renew }: Context, signedIn: SignedIn): SignedIn {
  if (requester && !(requester instanceof Error) && requester.sessionId === signedIn.viewer.sessionId)
    renew?.(signedIn.viewer);
  return signedIn;
}

const LogoutInput = builder.inputType('LogoutInput', {
  fields: (t) => ({ sessionId: t.id({ description: 'The session to end, by default the session of this request.' }) }),
});

const LogoutPayload = builder.simpleObject('LogoutPayload', {
  fields: (t) => ({ sessionId: t.id({ nullable: false, description: 'The id of the session that ended.' }) }),
});

addMutation('register', {
  description:
    'Creates an account and signs in. A username or email address that is taken is reported as CONFLICT with its field. The error is FORBIDDEN if `serverInfo.features` does not contain `registration`.',
  input: (t) => ({
    username: t.string({
      required: true,
      description: 'The username: 3 to 32 letters, digits, `_`, `.` or `-`. It is unique regardless of case.',
    }),
    email: t.string({
      required: true,
      description: 'The email address, which only the user can see. It is unique regardless of case.',
    }),
    password: t.string({ required: true, description: 'The password: 8 to 72 bytes in UTF-8.' }),
    displayName: t.string({
      description: 'The name to show to others: up to 80 characters. The default is the username.',
    }),
    deviceName: t.string({ description: 'A name for the list of sessions, up to 80 characters.' }),
  }),
  payload: signedInPayload,
  run: ({ deps }, input) => register(deps, input),
});

addMutation('login', {
  description:
    'Signs in with a password and creates a session. An unknown account and a wrong password produce the same error: BAD_USER_INPUT without a field.',
  input: (t) => ({
    usernameOrEmail: t.string({
      required: true,
      description: 'The username or the email address of the account, regardless of case.',
    }),
    password: t.string({ required: true, description: 'The password of the account.' }),
    deviceName: t.string({ description: 'A name for the list of sessions, up to 80 characters.' }),
  }),
  payload: signedInPayload,
  run: ({ deps }, input) => login(deps, input),
});

addMutation('refreshSession', {
  description:
    'Exchanges a refresh token for new tokens. For a short grace period, using the same refresh token again returns the same new tokens, unless these were used already; later, reuse ends the session. If called over a WebSocket of the same session, the socket and its subscriptions stay open until the new access token expires.',
  input: (t) => ({ refreshToken: t.string({ description: 'The refresh token of the session.' }) }),
  payload: signedInPayload,
  run: async (context, input) => renewSocket(context, await refreshSession(context.deps, input)),
});

builder.mutationFields((t) => ({
  logout: t.field({
    type: LogoutPayload,
    description:
      "Ends the current session, or another session of the viewer's, and closes its WebSockets. For a user that an identity provider signs in, all tokens issued so far for the session become invalid.",
    args: { input: t.arg({ type: LogoutInput }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const named = input?.sessionId == null ? undefined : idOf('Session', input.sessionId, 'input.sessionId');
      return { sessionId: encodeGlobalId('Session', await logout(context.deps, viewer, named)) };
    },
  }),
}));
