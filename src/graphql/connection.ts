import { builder } from './builder.js';

const pageSize = 'How many at most: from 1 to `serverInfo.limits.pageMax`.';

/** The arguments of a list that is read forward only. */
export const forwardArgs = builder.args((t) => ({
  first: t.int({ description: pageSize }),
  after: t.string({ description: 'The `endCursor` of the page before.' }),
}));

/** The arguments of a list that is read both ways. */
export const bothWaysArgs = builder.args((t) => ({
  first: t.int({ description: pageSize }),
  after: t.string({ description: 'The `endCursor` of the page before.' }),
  last: t.int({ description: pageSize }),
  before: t.string({ description: 'The `startCursor` of the page after.' }),
}));
