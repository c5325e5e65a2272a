import { defineFeature } from '../../platform/feature.js';

export const userFeature = defineFeature('user', {
  schema: () => import('./user.schema.js'),
});
