import { defineFeature } from '../../platform/feature.js';
import { messageParts } from '../message/message.part.js';
import { notificationSources } from '../notifier/notifier.sources.js';
import { reactionSource } from './reaction.notifications.js';
import { reactionsPart } from './reaction.part.js';
import { reactionSettings } from './reaction.settings.js';

export const reactionFeature = defineFeature('reaction', {
  settings: [reactionSettings],
  contributes: [messageParts.with(reactionsPart), notificationSources.with(reactionSource)],
  schema: () => import('./reaction.schema.js'),
});
