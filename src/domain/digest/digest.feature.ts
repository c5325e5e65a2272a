import { defineFeature } from '../../platform/feature.js';
import { httpPages } from '../../platform/http-pages.js';
import { notificationOutputs } from '../notifier/notifier.sources.js';
import { SENT } from '../push/recipients.js';
import { awaitDigests } from './digest.service.js';
import { digestSettings } from './digest.settings.js';
import { digestWorker } from './digest.worker.js';
import { unsubscribePage } from './unsubscribe.js';

export const digestFeature = defineFeature('digest', {
  settings: [digestSettings],
  capabilities: [
    {
      name: 'emailDigest',
      description: 'users can get emails about what they have not read',
      isEnabled: ({ smtpUrl, publicUrl }) => smtpUrl !== undefined && publicUrl !== undefined,
    },
  ],
  contributes: [httpPages.with(unsubscribePage), notificationOutputs.with({ types: [SENT], write: awaitDigests })],
  start: (deps) => void digestWorker.of(deps),
  onAccountDeleted: async (tx, userId) => void (await tx.mailDigest.deleteMany({ where: { userId } })),
  metrics(deps) {
    deps.metrics.read(
      'counter',
      'parley_digests_total',
      'Emails about unread messages that this node has passed to the mail server.',
      () => digestWorker.of(deps).sent,
    );
  },
});
