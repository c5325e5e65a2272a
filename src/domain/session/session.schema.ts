import { encodeGlobalId, idOf, NOBODYS_ID } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { type Context, viewerOf } from '../../graphql/context.js';
import { atMost } from '../../graphql/costs.js';
import { defineLoader } from '../../graphql/loader.js';
import { Viewer } from '../user/user.schema.js';
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

/** Whether these are sessions of the viewer's that have not ended. */
const loadIsOwn = defineLoader(async (context, ids) => {
  const owners = await findOwners(context.deps.database.sql, ids);
  return owners.map((userId) => userId === viewerOf(context).userId);
});

const Session = builder.prismaNode('Session', {
  id: { field: 'id' },
  nullable: true,
  // What is not the viewer's is looked up as what cannot be there.
  findUnique: async (id, context) => ({ id: (await loadIsOwn(context, id)) ? id : NOBODYS_ID }),
  description: 'A signed-in device.',
  fields: (t) => ({
    deviceName: t.exposeString('deviceName'),
    current: t.boolean({
      nullable: false,
      description: 'Whether this request came in it.',
      resolve: ({ id }, _args, context) => viewerOf(context).sessionId === id,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', nullable: false }),
    lastUsedAt: t.expose('lastUsedAt', {
      type: 'DateTime',
      nullable: false,
      description: 'When it was last refreshed.',
    }),
  }),
});

builder.prismaObjectField(Viewer, 'sessions', (t) =>
  t.field({
    type: [Session],
    nullable: { list: false, items: false },
    description: 'Signed-in devices, latest used first: at most SESSIONS_PER_PERSON_MAX.',
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
    description: 'The same devices as `sessions`, in pages.',
    args: forwardArgs,
    resolve: (_viewer, args, context) => pageOfSessions(context.deps, viewerOf(context), args),
  }),
);

export const AuthTokens = builder.objectRef<SignedIn>('AuthTokens').implement({
  description: 'A signed-in session.',
  fields: (t) => ({
    accessToken: t.exposeString('accessToken', {
      nullable: false,
      description:
        "A JWT for the Authorization header (`Bearer …`) and for `authorization` in the WebSocket's connectionParams (with or without `Bearer `).",
    }),
    accessTokenExpiresAt: t.expose('accessTokenExpiresAt', { type: 'DateTime', nullable: false }),
    refreshToken: t.exposeString('refreshToken', {
      description: 'Always given at present; nullable for a server that keeps it in a cookie.',
    }),
  }),
});

/** What a mutation answers that signs somebody in. */
export const signedInPayload = (name: string) =>
  builder.objectRef<SignedIn>(name).implement({
    fields: (t) => ({
      tokens: t.field({ type: AuthTokens, nullable: false, resolve: (signedIn) => signedIn }),
      viewer: t.prismaField({
        type: Viewer,
        nullable: false,
        resolve: (query, { viewer }, _args, context) => {
          // What is asked below this is asked as them; the next mutation of the operation is not (schema.ts).
          context.identity = viewer;
          return context.deps.database.db.user.findUniqueOrThrow({ ...query, where: { id: viewer.userId } });
        },
      }),
    }),
  });

/** New tokens that were asked for over a WebSocket of the same session renew that as well. */
export function renewSocket({ asker, renew }: Context, signedIn: SignedIn): SignedIn {
  if (asker && !(asker instanceof Error) && asker.sessionId === signedIn.viewer.sessionId) renew?.(signedIn.viewer);
  return signedIn;
}

const RegisterInput = builder.inputType('RegisterInput', {
  fields: (t) => ({
    username: t.string({
      required: true,
      description: '3 to 32 letters, digits, `_`, `.` or `-`; unique without regard to case.',
    }),
    email: t.string({ required: true, description: 'Unique without regard to case.' }),
    password: t.string({ required: true, description: '8 to 72 bytes in UTF-8.' }),
    displayName: t.string({ description: 'Up to 80 characters; absent: the username.' }),
    deviceName: t.string({ description: 'Up to 80 characters, for the list of sessions.' }),
  }),
});

const LoginInput = builder.inputType('LoginInput', {
  fields: (t) => ({
    usernameOrEmail: t.string({ required: true }),
    password: t.string({ required: true }),
    deviceName: t.string({ description: 'Up to 80 characters, for the list of sessions.' }),
  }),
});

const RefreshSessionInput = builder.inputType('RefreshSessionInput', {
  fields: (t) => ({ refreshToken: t.string() }),
});

const LogoutInput = builder.inputType('LogoutInput', {
  fields: (t) => ({ sessionId: t.id({ description: 'Absent: the session that asks.' }) }),
});

const LogoutPayload = builder.simpleObject('LogoutPayload', {
  fields: (t) => ({ sessionId: t.id({ nullable: false }) }),
});

const RegisterPayload = signedInPayload('RegisterPayload');
const LoginPayload = signedInPayload('LoginPayload');
const RefreshSessionPayload = signedInPayload('RefreshSessionPayload');

builder.mutationFields((t) => ({
  register: t.field({
    type: RegisterPayload,
    description:
      'Makes an account and signs it in. A taken username or email is a CONFLICT with its field. FORBIDDEN where `serverInfo.features` has no `registration`.',
    args: { input: t.arg({ type: RegisterInput, required: true }) },
    resolve: (_root, { input }, { deps }) => register(deps, input),
  }),
  login: t.field({
    type: LoginPayload,
    description: 'An unknown account and a wrong password answer alike: BAD_USER_INPUT without a field.',
    args: { input: t.arg({ type: LoginInput, required: true }) },
    resolve: (_root, { input }, { deps }) => login(deps, input),
  }),
  refreshSession: t.field({
    type: RefreshSessionPayload,
    description:
      'Rotates the refresh token. A used one gives the same new one again for a moment (REFRESH_GRACE), as long as that was not used; later it ends its whole session. Over a WebSocket of the same session it also renews that: the socket and its streams go on until the new token expires.',
    args: { input: t.arg({ type: RefreshSessionInput, required: true }) },
    resolve: async (_root, { input }, context) => renewSocket(context, await refreshSession(context.deps, input)),
  }),
  logout: t.field({
    type: LogoutPayload,
    description:
      "Ends this session, or the named one of the viewer's: its live sockets close too. Of somebody whom an identity provider signs in it ends with all tokens issued until then.",
    args: { input: t.arg({ type: LogoutInput }) },
    resolve: async (_root, { input }, context) => {
      const viewer = viewerOf(context);
      const named = input?.sessionId == null ? undefined : idOf('Session', input.sessionId, 'input.sessionId');
      return { sessionId: encodeGlobalId('Session', await logout(context.deps, viewer, named)) };
    },
  }),
}));
