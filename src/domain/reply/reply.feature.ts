import { defineFeature } from '../../platform/feature.js';

export const replyFeature = defineFeature('reply', {
  schema: () => import('./reply.schema.js'),
});
