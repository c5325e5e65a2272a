import { defineFeature, sectionsOf } from '../../platform/feature.js';

export const serverInfoFeature = defineFeature('server-info', {
  async schema(features) {
    const { addCapabilities, addLimits } = await import('./server-info.schema.js');
    addLimits(sectionsOf(features));
    addCapabilities(features.flatMap(({ capabilities = [] }) => capabilities));
  },
  capabilities: [
    {
      name: 'persistedDocuments',
      description: 'operations can be requested by the hash of their document',
      isEnabled: ({ persistedDocuments }) => persistedDocuments !== undefined,
    },
    {
      name: 'persistedDocumentsOnly',
      description: 'all other operations are FORBIDDEN',
      isEnabled: ({ persistedDocumentsOnly }) => persistedDocumentsOnly,
    },
  ],
});
