import { idOf, NOBODYS_ID } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { viewerOf, viewerOrNull } from '../../graphql/context.js';
import { defineLoader } from '../../graphql/loader.js';
import { shared } from '../../graphql/sharing.js';
import { pictureUrl } from './picture.js';
import { findByUsername, findUser, findViewer, searchUsers } from './user.service.js';
import { findByIds } from './user.store.js';

export const UserKind = builder.enumType('UserKind', {
  description: 'The kind of a user.',
  values: { PERSON: { description: 'A person.' }, BOT: { description: 'A program.' } },
});

export const User = builder.prismaNode('User', {
  id: { field: 'id' },
  nullable: true,
  findUnique: (id, context) => {
    viewerOf(context);
    return { id };
  },
  description: 'A person or a bot.',
  extensions: shared('id', 'kind', 'username', 'displayName', 'bio', 'avatarUrl', 'createdAt', 'deletedAt'),
  fields: (t) => ({
    kind: t.expose('kind', { type: UserKind, description: 'Whether the user is a person or a bot.', nullable: false }),
    username: t.exposeString('username', {
      nullable: false,
      description: 'The username: 3 to 32 letters, digits, `_`, `.` or `-`. It is unique regardless of case.',
    }),
    displayName: t.exposeString('displayName', { nullable: false, description: 'The name to show to others.' }),
    bio: t.exposeString('bio', { description: 'A text about the user, or null if there is none.' }),
    avatarUrl: t.string({
      description:
        "The URL of the user's picture, or null if there is none. It can be opened without a token, even if the picture was uploaded. A URL that begins with `/` is relative to this server.",
      resolve: ({ avatarUrl }, _args, { deps }) => pictureUrl(deps, avatarUrl),
    }),
    createdAt: t.expose('createdAt', {
      type: 'DateTime',
      description: 'When the account was created.',
      nullable: false,
    }),
    deletedAt: t.expose('deletedAt', {
      type: 'DateTime',
      description: 'When the account was deleted, or null. The names of a deleted user are placeholders.',
    }),
  }),
});

export const Viewer = builder.prismaNode('User', {
  variant: 'Viewer',
  id: { field: 'id' },
  nullable: true,
  findUnique: (id, context) => ({ id: id === viewerOf(context).userId ? id : NOBODYS_ID }),
  description: "The signed-in user with their private data. Its id differs from the id of the viewer's `User`.",
  fields: (t) => ({
    user: t.variant(User, { nullable: false, description: "The viewer's public profile." }),
    email: t.string({
      nullable: false,
      description:
        "The viewer's email address. It is empty if none is known, which is possible for bots and for users that an identity provider signs in.",
      select: {
        credential: { select: { email: true } },
        outsideIdentities: { select: { email: true }, orderBy: { createdAt: 'asc' }, take: 1 },
      },
      resolve: ({ credential, outsideIdentities }) => credential?.email ?? outsideIdentities[0]?.email ?? '',
    }),
  }),
});

/** Loads a user by the id of the row. */
export const loadUser = defineLoader((context, ids) => findByIds(context.deps.database.db, ids));

export const UserConnection = builder.connectionObject({ type: User, name: 'UserConnection' }, { name: 'UserEdge' });

builder.queryFields((t) => ({
  viewer: t.prismaField({
    type: Viewer,
    description: 'The signed-in user with their private data. It is null if no user is signed in.',
    resolve: (query, _root, _args, context) => {
      const viewer = viewerOrNull(context);
      return viewer && findViewer(context.deps, viewer, query);
    },
  }),
  user: t.prismaField({
    type: User,
    description: 'A user by their id, or null if there is none.',
    args: { id: t.arg.id({ required: true, description: 'The id of the user.' }) },
    resolve: (query, _root, args, context) => {
      viewerOf(context);
      return findUser(context.deps, idOf('User', args.id, 'id'), query);
    },
  }),
  userByUsername: t.field({
    type: User,
    description: 'A user by their username, or null if there is none.',
    args: { username: t.arg.string({ required: true, description: 'The username, regardless of case.' }) },
    resolve: (_root, { username }, context) => {
      viewerOf(context);
      return findByUsername(context.deps, username);
    },
  }),
  users: t.field({
    type: UserConnection,
    description: 'Users whose username, or a word of whose display name, begins with the search text.',
    args: {
      search: t.arg.string({
        required: true,
        description: 'The beginning of a username or of a word of a display name.',
      }),
      ...forwardArgs,
    },
    resolve: (_root, { search, ...page }, context) => searchUsers(context.deps, viewerOf(context), search, page),
  }),
}));
