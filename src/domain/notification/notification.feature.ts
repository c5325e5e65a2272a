import { defineFeature } from '../../platform/feature.js';
import { notificationSettings } from './notification.settings.js';

export const notificationFeature = defineFeature('notification', {
  settings: [notificationSettings],
  schema: () => import('./notification.schema.js'),
  // The settings of memberships are deleted with the memberships.
  onAccountDeleted: async (tx, userId) => void (await tx.notificationSettings.deleteMany({ where: { userId } })),
});
