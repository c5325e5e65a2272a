import { defineFeature } from '../../platform/feature.js';
import { messageParts } from '../message/message.part.js';
import { reactionsPart } from './reaction.part.js';
import { reactionSettings } from './reaction.settings.js';

export const reactionFeature = defineFeature('reaction', {
  settings: [reactionSettings],
  contributes: [messageParts.with(reactionsPart)],
  schema: () => import('./reaction.schema.js'),
});
