import { defineFeature } from '../../platform/feature.js';

export const moderationFeature = defineFeature('moderation', {
  schema: () => import('./moderation.schema.js'),
});
