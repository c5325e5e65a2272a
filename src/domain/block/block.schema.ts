import { idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { viewerOf } from '../../graphql/context.js';
import { User, UserConnection, Viewer } from '../user/user.schema.js';
import { blockUser, pageOfBlocks, unblockUser } from './block.service.js';

builder.prismaObjectField(Viewer, 'blockedUsers', (t) =>
  t.field({
    type: UserConnection,
    description: 'Whom the viewer has blocked, the latest first.',
    args: forwardArgs,
    resolve: async (_viewer, args, context) => {
      const { edges, pageInfo } = await pageOfBlocks(context.deps, viewerOf(context), args);
      return { pageInfo, edges: edges.map(({ cursor, node }) => ({ cursor, node: node.blocked })) };
    },
  }),
);

builder.prismaObjectField(User, 'viewerHasBlocked', (t) =>
  t.boolean({
    description: 'Whether the viewer has blocked them. Who has blocked the viewer is not told.',
    resolve: async ({ id: userId }, _args, context) =>
      (await context.deps.lookUpStanding({ viewerId: viewerOf(context).userId, userId })).hasBlocked,
  }),
);

const BlockUserInput = builder.inputType('BlockUserInput', {
  fields: (t) => ({ userId: t.id({ required: true }) }),
});
const BlockUserPayload = builder.simpleObject('BlockUserPayload', {
  fields: (t) => ({ user: t.field({ type: User, nullable: false }) }),
});
const UnblockUserInput = builder.inputType('UnblockUserInput', {
  fields: (t) => ({ userId: t.id({ required: true }) }),
});
const UnblockUserPayload = builder.simpleObject('UnblockUserPayload', {
  fields: (t) => ({ user: t.field({ type: User, nullable: false }) }),
});

builder.mutationFields((t) => ({
  blockUser: t.field({
    type: BlockUserPayload,
    description:
      "From now on neither can write to the other in a direct conversation, begin one, or see the other's presence, and they cannot bring the viewer into groups; in groups that both are in messages still flow. They are off the viewer's contacts, and are not told.",
    args: { input: t.arg({ type: BlockUserInput, required: true }) },
    resolve: async (_root, { input }, context) => ({
      user: await blockUser(context.deps, viewerOf(context), idOf('User', input.userId, 'input.userId')),
    }),
  }),
  unblockUser: t.field({
    type: UnblockUserPayload,
    description: 'Who is not blocked stays so.',
    args: { input: t.arg({ type: UnblockUserInput, required: true }) },
    resolve: async (_root, { input }, context) => ({
      user: await unblockUser(context.deps, viewerOf(context), idOf('User', input.userId, 'input.userId')),
    }),
  }),
}));
