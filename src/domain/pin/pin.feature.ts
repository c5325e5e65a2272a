import { defineFeature } from '../../platform/feature.js';
import { messageParts } from '../message/message.part.js';
import { pinsPart } from './pin.part.js';
import { pinSettings } from './pin.settings.js';

export const pinFeature = defineFeature('pin', {
  settings: [pinSettings],
  contributes: [messageParts.with(pinsPart)],
  schema: () => import('./pin.schema.js'),
});
