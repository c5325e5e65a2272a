import { defineFeature } from '../../platform/feature.js';
import { erasureSteps } from '../account/erasures.js';
import { reactionErasure } from './reaction.erasure.js';
import { reactionSettings } from './reaction.settings.js';

export const reactionFeature = defineFeature('reaction', {
  settings: [reactionSettings],
  contributes: [erasureSteps.with(reactionErasure)],
  schema: () => import('./reaction.schema.js'),
});
