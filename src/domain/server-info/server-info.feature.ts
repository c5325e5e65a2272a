import { defineFeature, sectionsOf } from '../../platform/feature.js';

export const serverInfoFeature = defineFeature('server-info', {
  async schema(features) {
    const { addLimits } = await import('./server-info.schema.js');
    addLimits(sectionsOf(features));
  },
  capabilities: ({ persistedDocuments, persistedDocumentsOnly }) => [
    ...(persistedDocuments === undefined ? [] : ['persistedDocuments']),
    ...(persistedDocumentsOnly ? ['persistedDocumentsOnly'] : []),
  ],
});
