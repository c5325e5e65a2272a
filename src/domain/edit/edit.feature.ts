import { defineFeature } from '../../platform/feature.js';

export const editFeature = defineFeature('edit', {
  schema: () => import('./edit.schema.js'),
});
