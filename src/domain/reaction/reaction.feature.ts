import { defineFeature } from '../../platform/feature.js';
import { erasureSteps } from '../account/erasures.js';
import { reactionErasure } from './reaction.erasure.js';

export const reactionFeature = defineFeature('reaction', {
  contributes: [erasureSteps.with(reactionErasure)],
  schema: () => import('./reaction.schema.js'),
});
