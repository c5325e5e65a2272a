import { defineFeature } from '../../platform/feature.js';

export const profileFeature = defineFeature('profile', {
  schema: () => import('./profile.schema.js'),
});
