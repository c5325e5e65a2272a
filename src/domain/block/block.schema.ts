import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { viewerOf } from '../../graphql/context.js';
import { addViewerMutation, payloadOf } from '../../graphql/mutation.js';
import { relationshipLookup } from '../user/reach.store.js';
import { User, UserConnection, Viewer } from '../user/user.schema.js';
import { blockUser, pageOfBlocks, unblockUser } from './block.service.js';

builder.prismaObjectField(Viewer, 'blockedUsers', (t) =>
  t.field({
    type: UserConnection,
    description: 'The users that the viewer has blocked, most recently blocked first.',
    args: forwardArgs,
    resolve: async (_viewer, args, context) => {
      const { edges, pageInfo } = await pageOfBlocks(context.deps, viewerOf(context), args);
      return { pageInfo, edges: edges.map(({ cursor, node }) => ({ cursor, node: node.blocked })) };
    },
  }),
);

builder.prismaObjectField(User, 'viewerHasBlocked', (t) =>
  t.boolean({
    nullable: false,
    description: 'Whether the viewer has blocked the user. Whether the user has blocked the viewer is not disclosed.',
    resolve: async ({ id: userId }, _args, context) =>
      (await relationshipLookup.of(context.deps)({ viewerId: viewerOf(context).userId, userId })).hasBlocked,
  }),
);

addViewerMutation('blockUser', {
  description:
    "Blocks a user, removes them from the viewer's contacts and does not notify them. Until the viewer unblocks them, neither can send messages to the other in a direct conversation, open a new one or see the other's presence, and the blocked user cannot add the viewer to groups. Messages in common groups are not affected.",
  input: (t) => ({ userId: t.id({ required: true, description: 'The user to block.' }) }),
  ids: { userId: 'User' },
  payload: payloadOf((t) => ({ user: t.field({ type: User, description: 'The blocked user.', nullable: false }) })),
  run: async (deps, viewer, { userId }) => ({ user: await blockUser(deps, viewer, userId) }),
});

addViewerMutation('unblockUser', {
  description: 'Unblocks a user. It has no effect if the user is not blocked.',
  input: (t) => ({ userId: t.id({ required: true, description: 'The user to unblock.' }) }),
  ids: { userId: 'User' },
  payload: payloadOf((t) => ({ user: t.field({ type: User, description: 'The unblocked user.', nullable: false }) })),
  run: async (deps, viewer, { userId }) => ({ user: await unblockUser(deps, viewer, userId) }),
});
