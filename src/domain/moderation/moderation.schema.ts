import { idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { type Context, viewerOf } from '../../graphql/context.js';
import { defineLoader } from '../../graphql/loader.js';
import { canModerateService, type ServiceRole as Role } from '../user/service-role.policy.js';
import { User, UserConnection, Viewer } from '../user/user.schema.js';
import { readServiceRole } from '../user/user.store.js';
import { pageOfSuspended, setServiceRole, suspendUser, unsuspendUser } from './moderation.service.js';

const ServiceRole = builder.enumType('ServiceRole', {
  description: 'What somebody may do for the whole service.',
  values: {
    USER: {},
    MODERATOR: { description: 'Suspends people.' },
    ADMIN: { description: 'Suspends moderators too, and says who is what.' },
  },
});

builder.prismaObjectField(Viewer, 'serviceRole', (t) =>
  t.expose('serviceRole', { type: ServiceRole, nullable: false }),
);

const loadOwnRole = defineLoader<Role>(async (context, keys) => {
  const role = await readServiceRole(context.deps.database.db, viewerOf(context));
  return keys.map(() => role);
});

/** What only moderators and admins of the service see; null to everyone else. */
async function forModerators<Value>(context: Context, value: Value): Promise<Value | null> {
  const own = await loadOwnRole(context, viewerOf(context).userId);
  return own !== null && canModerateService(own) ? value : null;
}

builder.prismaObjectFields(User, (t) => ({
  serviceRole: t.field({
    type: ServiceRole,
    description: 'For moderators and admins of the service; null to others.',
    resolve: ({ serviceRole }, _args, context) => forModerators(context, serviceRole),
  }),
  suspendedAt: t.field({
    type: 'DateTime',
    description: 'Since when they may not sign in. For moderators and admins of the service; null to others.',
    resolve: ({ suspendedAt }, _args, context) => forModerators(context, suspendedAt),
  }),
}));

builder.queryField('suspendedUsers', (t) =>
  t.field({
    type: UserConnection,
    description: 'Who is suspended, the latest first. For moderators and admins of the service, FORBIDDEN to others.',
    args: forwardArgs,
    resolve: (_root, args, context) => pageOfSuspended(context.deps, viewerOf(context), args),
  }),
);

const SuspendUserInput = builder.inputType('SuspendUserInput', {
  fields: (t) => ({ userId: t.id({ required: true }) }),
});
const SuspendUserPayload = builder.simpleObject('SuspendUserPayload', {
  fields: (t) => ({ user: t.field({ type: User, nullable: false }) }),
});
const UnsuspendUserInput = builder.inputType('UnsuspendUserInput', {
  fields: (t) => ({ userId: t.id({ required: true }) }),
});
const UnsuspendUserPayload = builder.simpleObject('UnsuspendUserPayload', {
  fields: (t) => ({ user: t.field({ type: User, nullable: false }) }),
});
const SetServiceRoleInput = builder.inputType('SetServiceRoleInput', {
  fields: (t) => ({ userId: t.id({ required: true }), role: t.field({ type: ServiceRole, required: true }) }),
});
const SetServiceRolePayload = builder.simpleObject('SetServiceRolePayload', {
  fields: (t) => ({ user: t.field({ type: User, nullable: false }) }),
});

builder.mutationFields((t) => ({
  suspendUser: t.field({
    type: SuspendUserPayload,
    description:
      'By moderators of the service; of moderators by admins; never of the service itself. Their sessions and sockets end at once, they cannot sign in, and nobody can write to them in direct conversations.',
    args: { input: t.arg({ type: SuspendUserInput, required: true }) },
    resolve: async (_root, { input }, context) => ({
      user: await suspendUser(context.deps, viewerOf(context), idOf('User', input.userId, 'input.userId')),
    }),
  }),
  unsuspendUser: t.field({
    type: UnsuspendUserPayload,
    description: 'By who may suspend them. They sign in anew.',
    args: { input: t.arg({ type: UnsuspendUserInput, required: true }) },
    resolve: async (_root, { input }, context) => ({
      user: await unsuspendUser(context.deps, viewerOf(context), idOf('User', input.userId, 'input.userId')),
    }),
  }),
  setServiceRole: t.field({
    type: SetServiceRolePayload,
    description:
      'By admins of the service, themselves too as long as there is another one (else CONFLICT of `input.role`). The first one is made by `npm run role`.',
    args: { input: t.arg({ type: SetServiceRoleInput, required: true }) },
    resolve: async (_root, { input: { userId, role } }, context) => {
      const viewer = viewerOf(context);
      const input = { userId: idOf('User', userId, 'input.userId'), role };
      return { user: await setServiceRole(context.deps, viewer, input) };
    },
  }),
}));
