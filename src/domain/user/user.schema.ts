import { idOf, NOBODYS_ID } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { viewerOf, viewerOrNull } from '../../graphql/context.js';
import { defineLoader } from '../../graphql/loader.js';
import { shared } from '../../graphql/sharing.js';
import { findByUsername, searchUsers } from './user.service.js';
import { findByIds } from './user.store.js';

export const UserKind = builder.enumType('UserKind', { values: ['PERSON', 'BOT'] as const });

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
    kind: t.expose('kind', { type: UserKind, nullable: false }),
    username: t.exposeString('username', {
      nullable: false,
      description: '3 to 32 letters, digits, `_`, `.` or `-`; unique without regard to case.',
    }),
    displayName: t.exposeString('displayName', { nullable: false }),
    bio: t.exposeString('bio'),
    avatarUrl: t.exposeString('avatarUrl'),
    createdAt: t.expose('createdAt', { type: 'DateTime', nullable: false }),
    deletedAt: t.expose('deletedAt', {
      type: 'DateTime',
      description: 'Set when the account is gone; the name is then a placeholder.',
    }),
  }),
});

export const Viewer = builder.prismaNode('User', {
  variant: 'Viewer',
  id: { field: 'id' },
  nullable: true,
  findUnique: (id, context) => ({ id: id === viewerOf(context).userId ? id : NOBODYS_ID }),
  description: "The signed-in person's own side. Its id is not their User's.",
  fields: (t) => ({
    user: t.variant(User, { nullable: false }),
    email: t.string({
      nullable: false,
      description: 'Empty where none is known, as it may be of people whom an identity provider signs in, and of bots.',
      select: {
        credential: { select: { email: true } },
        outsideIdentities: { select: { email: true }, orderBy: { createdAt: 'asc' }, take: 1 },
      },
      resolve: ({ credential, outsideIdentities }) => credential?.email ?? outsideIdentities[0]?.email ?? '',
    }),
  }),
});

/** A person by the id of their row, for fields that name one. */
export const loadUser = defineLoader((context, ids) => findByIds(context.deps.database.db, ids));

export const UserConnection = builder.connectionObject({ type: User, name: 'UserConnection' }, { name: 'UserEdge' });

builder.queryFields((t) => ({
  viewer: t.prismaField({
    type: Viewer,
    description: 'The signed-in person and what only they may see; null when nobody is signed in.',
    resolve: (query, _root, _args, context) => {
      const viewer = viewerOrNull(context);
      return viewer && context.deps.database.db.user.findUnique({ ...query, where: { id: viewer.userId } });
    },
  }),
  user: t.prismaField({
    type: User,
    args: { id: t.arg.id({ required: true }) },
    resolve: (query, _root, args, context) => {
      viewerOf(context);
      return context.deps.database.db.user.findUnique({ ...query, where: { id: idOf('User', args.id, 'id') } });
    },
  }),
  userByUsername: t.field({
    type: User,
    description: 'Without regard to case.',
    args: { username: t.arg.string({ required: true }) },
    resolve: (_root, { username }, context) => {
      viewerOf(context);
      return findByUsername(context.deps, username);
    },
  }),
  users: t.field({
    type: UserConnection,
    description: 'People by the beginning of their username or of any word of their display name.',
    args: { search: t.arg.string({ required: true }), ...forwardArgs },
    resolve: (_root, { search, ...page }, context) => searchUsers(context.deps, viewerOf(context), search, page),
  }),
}));
