import { defineFeature } from '../../platform/feature.js';

export const contactFeature = defineFeature('contact', {
  schema: () => import('./contact.schema.js'),
  onAccountDeleted: async (tx, userId) =>
    void (await tx.contact.deleteMany({ where: { OR: [{ ownerId: userId }, { userId }] } })),
});
