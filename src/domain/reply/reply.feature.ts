import { defineFeature } from '../../platform/feature.js';
import { messageParts } from '../message/message.part.js';
import { quotePart, replyCountPart } from './reply.part.js';

export const replyFeature = defineFeature('reply', {
  contributes: [messageParts.with(replyCountPart), messageParts.with(quotePart)],
  schema: () => import('./reply.schema.js'),
});
