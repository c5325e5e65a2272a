import { defineFeature } from '../../platform/feature.js';
import { editSettings } from './edit.settings.js';

export const editFeature = defineFeature('edit', {
  settings: [editSettings],
  schema: () => import('./edit.schema.js'),
});
