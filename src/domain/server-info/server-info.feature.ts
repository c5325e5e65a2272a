import { defineFeature } from '../../platform/feature.js';

export const serverInfoFeature = defineFeature('server-info', {
  schema: () => import('./server-info.schema.js'),
  capabilities: ({ persistedDocuments, persistedDocumentsOnly }) => [
    ...(persistedDocuments === undefined ? [] : ['persistedDocuments']),
    ...(persistedDocumentsOnly ? ['persistedDocumentsOnly'] : []),
  ],
});
