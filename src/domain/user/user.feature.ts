import { defineFeature } from '../../platform/feature.js';
import { searchRateSettings } from './user.settings.js';

export const userFeature = defineFeature('user', {
  settings: [searchRateSettings],
  schema: () => import('./user.schema.js'),
});
