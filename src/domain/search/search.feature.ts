import { defineFeature } from '../../platform/feature.js';
import { indexing } from './search.index.js';

export const searchFeature = defineFeature('search', {
  schema: () => import('./search.schema.js'),
  capabilities: () => ['search'],
  start: (deps) => void indexing.of(deps),
});
