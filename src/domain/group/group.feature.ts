import { defineFeature } from '../../platform/feature.js';
import { erasureSteps } from '../account/erasures.js';
import { groupErasure } from './group.erasure.js';
import { groupSettings } from './group.settings.js';

export const groupFeature = defineFeature('group', {
  settings: [groupSettings],
  contributes: [erasureSteps.with(groupErasure)],
  schema: () => Promise.all([import('./group.schema.js'), import('./membership.schema.js')]),
});
