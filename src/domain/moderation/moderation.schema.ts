import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { type Context, viewerOf } from '../../graphql/context.js';
import { defineLoader } from '../../graphql/loader.js';
import { addViewerMutation, payloadOf } from '../../graphql/mutation.js';
import { canModerateService, type ServiceRole as Role } from '../user/service-role.policy.js';
import { User, UserConnection, Viewer } from '../user/user.schema.js';
import { readServiceRole } from '../user/user.store.js';
import { pageOfSuspended, setServiceRole, suspendUser, unsuspendUser } from './moderation.service.js';

const ServiceRole = builder.enumType('ServiceRole', {
  description: 'The role of a user in the whole service.',
  values: {
    USER: { description: 'The user has no additional permissions.' },
    MODERATOR: { description: 'The user can suspend other users, list suspended users, and read and resolve reports.' },
    ADMIN: { description: 'The user can also suspend moderators, assign service roles and read the audit log.' },
  },
});

builder.prismaObjectField(Viewer, 'serviceRole', (t) =>
  t.expose('serviceRole', { type: ServiceRole, description: "The viewer's role in the service.", nullable: false }),
);

const loadOwnRole = defineLoader<Role>(async (context, keys) => {
  const role = await readServiceRole(context.deps.database.db, viewerOf(context));
  return keys.map(() => role);
});

/** Returns the value for moderators and admins of the service, and null for all others. */
async function forModerators<Value>(context: Context, value: Value): Promise<Value | null> {
  const own = await loadOwnRole(context, viewerOf(context).userId);
  return own !== null && canModerateService(own) ? value : null;
}

builder.prismaObjectFields(User, (t) => ({
  serviceRole: t.field({
    type: ServiceRole,
    description: "The user's role in the service. It is null unless the viewer is a moderator or admin of the service.",
    resolve: ({ serviceRole }, _args, context) => forModerators(context, serviceRole),
  }),
  suspendedAt: t.field({
    type: 'DateTime',
    description:
      'When the user was suspended, or null if they are not suspended. It is always null unless the viewer is a moderator or admin of the service.',
    resolve: ({ suspendedAt }, _args, context) => forModerators(context, suspendedAt),
  }),
}));

builder.queryField('suspendedUsers', (t) =>
  t.field({
    type: UserConnection,
    description:
      'The suspended users, most recently suspended first. Only moderators and admins of the service are allowed to read this; for others the error is FORBIDDEN.',
    args: forwardArgs,
    resolve: (_root, args, context) => pageOfSuspended(context.deps, viewerOf(context), args),
  }),
);

addViewerMutation('suspendUser', {
  description:
    'Suspends a user. Their sessions end and their WebSockets close immediately, they cannot sign in, and nobody can send messages to them in direct conversations. Moderators of the service can suspend users, and admins can also suspend moderators. The account of the service key cannot be suspended.',
  input: (t) => ({ userId: t.id({ required: true, description: 'The user to suspend.' }) }),
  ids: { userId: 'User' },
  payload: payloadOf((t) => ({ user: t.field({ type: User, description: 'The suspended user.', nullable: false }) })),
  run: async (deps, viewer, { userId }) => ({ user: await suspendUser(deps, viewer, userId) }),
});

addViewerMutation('unsuspendUser', {
  description:
    'Ends the suspension of a user, who must then sign in again. The same users as for `suspendUser` are allowed to do this.',
  input: (t) => ({ userId: t.id({ required: true, description: 'The suspended user.' }) }),
  ids: { userId: 'User' },
  payload: payloadOf((t) => ({ user: t.field({ type: User, description: 'The user.', nullable: false }) })),
  run: async (deps, viewer, { userId }) => ({ user: await unsuspendUser(deps, viewer, userId) }),
});

addViewerMutation('setServiceRole', {
  description:
    'Changes the role of a user in the service. Only admins of the service are allowed to do this. Admins can change their own role if there is another admin; otherwise the error is CONFLICT with the field `input.role`. The command `npm run role` appoints the first admin.',
  input: (t) => ({
    userId: t.id({ required: true, description: 'The user whose role changes.' }),
    role: t.field({ type: ServiceRole, description: 'The new role.', required: true }),
  }),
  ids: { userId: 'User' },
  payload: payloadOf((t) => ({
    user: t.field({ type: User, description: 'The user with the new role.', nullable: false }),
  })),
  run: async (deps, viewer, input) => ({ user: await setServiceRole(deps, viewer, input) }),
});
