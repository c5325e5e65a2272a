import { by } from '../../infra/telemetry/metrics.js';
import type { Deps } from '../../platform/deps.js';
import { defineFeature } from '../../platform/feature.js';
import { notificationChanges, recordNotificationChanges } from './notifier.events.js';
import { notifier } from './notifier.js';
import { notifierSettings } from './notifier.settings.js';
import { NOTIFICATION_BATCH, removeOld } from './notifier.store.js';

export const notifierFeature = defineFeature('notifier', {
  settings: [notifierSettings],
  changeKinds: () => [notificationChanges],
  start: (deps) => void notifier.of(deps),
  retention: [{ table: 'notifications', trim: trimNotifications }],
  // No event is recorded, because deleting the account ends all sessions. What the notifier may be writing at that moment is
  // deleted with its retention.
  async onAccountDeleted(tx, userId) {
    await tx.notificationOccurrence.deleteMany({ where: { userId } });
    await tx.notification.deleteMany({ where: { userId } });
  },
  metrics(deps) {
    const { metrics } = deps;
    const own = notifier.of(deps);
    metrics.read(
      'counter',
      'parley_notifications_total',
      'Changes of notifications in inboxes, by what happened.',
      () => by('change', own.counts),
      ['change'],
    );
    metrics.read('gauge', 'parley_notifier_active', 'Whether this node writes the notifications.', () =>
      Number(own.isActive),
    );
    metrics.read(
      'gauge',
      'parley_notifier_lag_seconds',
      'How long ago the notifier had processed all changes; 0 on the other nodes.',
      () => own.lagSeconds,
    );
  },
});

async function trimNotifications({ database, config }: Deps): Promise<number> {
  let trimmed = 0;
  for (let count = NOTIFICATION_BATCH; count === NOTIFICATION_BATCH; trimmed += count) {
    count = await database.transaction(async (tx) => {
      const removed = await removeOld(tx, config.notificationRetentionMs);
      recordNotificationChanges(tx, removed);
      return removed.length;
    });
  }
  return trimmed;
}
