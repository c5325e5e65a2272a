import { defineFeature } from '../../platform/feature.js';

export const syncFeature = defineFeature('sync', {
  schema: () => import('./sync.schema.js'),
});
