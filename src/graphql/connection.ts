import { builder } from './builder.js';

const pageSize = 'The maximum number of items: from 1 to `serverInfo.limits.pageMax`.';

/** The arguments of a list that is paginated forward only. */
export const forwardArgs = builder.args((t) => ({
  first: t.int({ description: pageSize }),
  after: t.string({ description: 'Only items after this cursor: the `endCursor` of the previous page.' }),
}));

/** The arguments of a list that is paginated in both directions. */
export const bothWaysArgs = builder.args((t) => ({
  first: t.int({ description: pageSize }),
  after: t.string({ description: 'Only items after this cursor: the `endCursor` of the previous page.' }),
  last: t.int({ description: pageSize }),
  before: t.string({ description: 'Only items before this cursor: the `startCursor` of the next page.' }),
}));
