import { deleteOlder } from '../../infra/database/delete-older.js';
import { by } from '../../infra/telemetry/metrics.js';
import { defineFeature } from '../../platform/feature.js';
import { notificationOutputs } from '../notifier/notifier.sources.js';
import { dropReasons } from './push.policy.js';
import { enqueuedTypes, enqueuePushes, enqueueReadBadges } from './push.service.js';
import { pushSettings } from './push.settings.js';
import { deleteExpiredSubscriptions, readBacklog } from './push.store.js';
import { pushWorker } from './push.worker.js';

export const pushFeature = defineFeature('push', {
  settings: [pushSettings],
  schema: () => import('./push.schema.js'),
  capabilities: [
    {
      name: 'webPush',
      description: 'browsers can register for pushes',
      isEnabled: ({ webPush }) => webPush,
    },
    {
      name: 'pushGateway',
      description: 'apps can register for pushes through a push gateway',
      isEnabled: ({ pushGatewayUrl }) => pushGatewayUrl !== undefined,
    },
  ],
  contributes: [notificationOutputs.with({ types: enqueuedTypes, write: enqueuePushes, read: enqueueReadBadges })],
  start: (deps) => void pushWorker.of(deps),
  retention: [
    { table: 'push_subscriptions', trim: ({ database }) => deleteExpiredSubscriptions(database.db) },
    {
      table: 'push_records',
      trim: ({ database, config }) =>
        deleteOlder(database.db, 'push_records', 'ended_at', config.notificationTraceRetentionMs),
    },
  ],
  // No subscription outlives its session, and deleting an account ends all sessions.
  onAccountDeleted: async (tx, userId) => void (await tx.pushRecord.deleteMany({ where: { userId } })),
  metrics(deps) {
    const { metrics, database } = deps;
    const { counts } = pushWorker.of(deps);
    metrics.read(
      'counter',
      'parley_pushes_sent_total',
      'Pushes that a push service or the gateway has accepted, by kind.',
      () => by('kind', { WEB: 0, GATEWAY: 0, ...Object.fromEntries(counts.sent) }),
      ['kind'],
    );
    metrics.read(
      'counter',
      'parley_push_badges_sent_total',
      'Devices at the gateway that were sent only a new number of unread messages.',
      () => pushWorker.of(deps).badgesSent,
    );
    metrics.read(
      'counter',
      'parley_push_failures_total',
      'Failed attempts to send a push, by kind. They are repeated.',
      () => by('kind', { WEB: 0, GATEWAY: 0, ...Object.fromEntries(counts.failed) }),
      ['kind'],
    );
    metrics.read(
      'counter',
      'parley_push_jobs_dropped_total',
      'Pushes that were not sent, by reason.',
      () => dropReasons.map((reason) => ({ labels: { reason }, value: counts.dropped.get(reason) ?? 0 })),
      ['reason'],
    );
    metrics.read(
      'counter',
      'parley_push_subscriptions_gone_total',
      'Devices that were removed because their push service or the gateway no longer accepts them.',
      () => counts.gone,
    );
    metrics.read(
      'gauge',
      'parley_push_jobs_waiting',
      'Pushes that wait to be sent, of all nodes.',
      async () => (await readBacklog(database.sql)).count,
    );
    metrics.read(
      'gauge',
      'parley_push_delay_seconds',
      'How long the oldest push that waits has been due, of all nodes.',
      async () => (await readBacklog(database.sql)).seconds,
    );
  },
});
