import { builder } from '../../graphql/builder.js';
import { Viewer } from '../user/user.schema.js';

builder.prismaObjectField(Viewer, 'syncCursor', (t) =>
  t.string({
    nullable: false,
    description:
      'A cursor of the state before this operation reads anything else. A client that fetches data in the same operation and subscribes with `after` set to this cursor misses no change.',
    resolve: (_viewer, _args, context) => context.syncCursor,
  }),
);
