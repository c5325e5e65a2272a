import { defineFeature } from '../../platform/feature.js';
import { messageParts } from '../message/message.part.js';
import { notificationSources } from '../notifier/notifier.sources.js';
import { replySource } from './reply.notifications.js';
import { quotePart, replyCountPart } from './reply.part.js';

export const replyFeature = defineFeature('reply', {
  contributes: [messageParts.with(replyCountPart), messageParts.with(quotePart), notificationSources.with(replySource)],
  schema: () => import('./reply.schema.js'),
});
