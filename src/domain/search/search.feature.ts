import { defineFeature } from '../../platform/feature.js';
import { messageParts } from '../message/message.part.js';
import { indexing } from './search.index.js';
import { searchPart } from './search.part.js';
import { searchSettings } from './search.settings.js';

export const searchFeature = defineFeature('search', {
  settings: [searchSettings],
  contributes: [messageParts.with(searchPart)],
  schema: () => import('./search.schema.js'),
  capabilities: [
    {
      name: 'search',
      description: 'messages can be searched with `searchMessages`',
      isEnabled: () => true,
    },
  ],
  start: (deps) => void indexing.of(deps),
});
