import { deleteOlder } from '../../infra/database/delete-older.js';
import { defineFeature } from '../../platform/feature.js';
import { notificationSettings } from './notification.settings.js';

export const notificationFeature = defineFeature('notification', {
  settings: [notificationSettings],
  schema: () => Promise.all([import('./notification.schema.js'), import('./inbox.schema.js')]),
  retention: [
    {
      table: 'past_notification_levels',
      trim: ({ database, config }) =>
        deleteOlder(database.db, 'past_notification_levels', 'until', config.notificationTraceRetentionMs),
    },
  ],
  // The settings of memberships are deleted with the memberships.
  async onAccountDeleted(tx, userId) {
    await tx.notificationSettings.deleteMany({ where: { userId } });
    await tx.pastNotificationLevel.deleteMany({ where: { userId } });
  },
});
