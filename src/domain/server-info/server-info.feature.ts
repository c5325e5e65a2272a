import { firstSections, lastSections } from '../../infra/config/config.js';
import { defineFeature } from '../../platform/feature.js';

export const serverInfoFeature = defineFeature('server-info', {
  async schema(features) {
    const { addLimits } = await import('./server-info.schema.js');
    addLimits([...firstSections, ...features.flatMap(({ settings = [] }) => settings), ...lastSections]);
  },
  capabilities: ({ persistedDocuments, persistedDocumentsOnly }) => [
    ...(persistedDocuments === undefined ? [] : ['persistedDocuments']),
    ...(persistedDocumentsOnly ? ['persistedDocumentsOnly'] : []),
  ],
});
