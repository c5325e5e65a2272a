import { defineFeature } from '../../platform/feature.js';
import { exposeGroupCommit } from '../../realtime/group-commit.js';
import { erasureSteps } from '../account/erasures.js';
import { auditActions } from '../audit/audit.actions.js';
import { notificationSources } from '../notifier/notifier.sources.js';
import { messageAuditActions } from './message.audit.js';
import { contributionErasure, messageErasure } from './message.erasure.js';
import { messageChanges } from './message.events.js';
import { mentionSource } from './message.notifications.js';
import { sends } from './message.sending.js';
import { messageSettings, sendRateSettings } from './message.settings.js';

export const messageFeature = defineFeature('message', {
  settings: [messageSettings, sendRateSettings],
  async schema(features) {
    const { addMessageStream } = await import('./message-stream.schema.js');
    addMessageStream(features);
  },
  changeKinds: (deps) => [messageChanges(deps)],
  contributes: [
    auditActions.with(messageAuditActions),
    erasureSteps.with(messageErasure),
    erasureSteps.with(contributionErasure),
    notificationSources.with(mentionSource),
  ],
  start: (deps) => void sends.of(deps),
  onAccountDeleted: async (tx, userId) => void (await tx.mention.deleteMany({ where: { userId } })),
  metrics: (deps) => exposeGroupCommit(deps.metrics, 'sends', sends.of(deps)),
});
