import { defineFeature } from '../../platform/feature.js';

export const pinFeature = defineFeature('pin', {
  schema: () => import('./pin.schema.js'),
});
