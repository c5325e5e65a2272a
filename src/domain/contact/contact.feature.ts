import { defineFeature } from '../../platform/feature.js';
import { contactSettings } from './contact.settings.js';

export const contactFeature = defineFeature('contact', {
  settings: [contactSettings],
  schema: () => import('./contact.schema.js'),
  onAccountDeleted: async (tx, userId) =>
    void (await tx.contact.deleteMany({ where: { OR: [{ ownerId: userId }, { userId }] } })),
});
