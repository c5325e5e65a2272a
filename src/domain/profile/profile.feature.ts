import { defineFeature } from '../../platform/feature.js';
import { profileRateSettings } from './profile.settings.js';

export const profileFeature = defineFeature('profile', {
  settings: [profileRateSettings],
  schema: () => import('./profile.schema.js'),
});
