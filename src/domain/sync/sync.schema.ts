import { builder } from '../../graphql/builder.js';
import { Viewer } from '../user/user.schema.js';

builder.prismaObjectField(Viewer, 'syncCursor', (t) =>
  t.string({
    nullable: false,
    description:
      'Taken before anything else of this operation is read: what is fetched beside it, plus the streams from here, misses nothing.',
    resolve: (_viewer, _args, context) => context.syncCursor,
  }),
);
