import { defineFeature } from '../../platform/feature.js';
import { notificationSettings } from './notification.settings.js';

export const notificationFeature = defineFeature('notification', {
  settings: [notificationSettings],
  schema: () => Promise.all([import('./notification.schema.js'), import('./inbox.schema.js')]),
  // The settings of memberships are deleted with the memberships.
  onAccountDeleted: async (tx, userId) => void (await tx.notificationSettings.deleteMany({ where: { userId } })),
});
