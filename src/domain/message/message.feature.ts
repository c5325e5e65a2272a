import { defineFeature } from '../../platform/feature.js';
import { exposeGroupCommit } from '../../realtime/group-commit.js';
import { erasureSteps } from '../account/erasures.js';
import { messageErasure } from './message.erasure.js';
import { messageChanges } from './message.events.js';
import { sends } from './message.sending.js';
import { messageSettings, sendRateSettings } from './message.settings.js';

export const messageFeature = defineFeature('message', {
  settings: [messageSettings, sendRateSettings],
  schema: () => import('./message.schema.js'),
  changeKinds: () => [messageChanges],
  contributes: [erasureSteps.with(messageErasure)],
  start: (deps) => void sends.of(deps),
  onAccountDeleted: async (tx, userId) => void (await tx.mention.deleteMany({ where: { userId } })),
  metrics: (deps) => exposeGroupCommit(deps.metrics, 'sends', sends.of(deps)),
});
