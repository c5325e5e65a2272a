import { defineFeature } from '../../platform/feature.js';
import { pinSettings } from './pin.settings.js';

export const pinFeature = defineFeature('pin', {
  settings: [pinSettings],
  schema: () => import('./pin.schema.js'),
});
