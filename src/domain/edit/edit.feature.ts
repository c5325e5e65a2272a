import { defineFeature } from '../../platform/feature.js';
import { messageParts } from '../message/message.part.js';
import { editsPart } from './edit.part.js';
import { editSettings } from './edit.settings.js';

export const editFeature = defineFeature('edit', {
  settings: [editSettings],
  contributes: [messageParts.with(editsPart)],
  schema: () => import('./edit.schema.js'),
});
