import { defineFeature } from '../../platform/feature.js';
import { auditActions } from '../audit/audit.actions.js';
import { passwordAuditActions } from './password.audit.js';
import { resetRequests } from './password.requests.js';
import { passwordResetRateSettings, passwordResetSettings } from './password.settings.js';

export const passwordFeature = defineFeature('password', {
  settings: [passwordResetSettings, passwordResetRateSettings],
  contributes: [auditActions.with(passwordAuditActions)],
  schema: () => import('./password.schema.js'),
  start: (deps) => void resetRequests.of(deps),
  onAccountDeleted: async (tx, userId) => void (await tx.passwordReset.deleteMany({ where: { userId } })),
  metrics(deps) {
    const service = resetRequests.of(deps);
    deps.metrics.read(
      'gauge',
      'parley_password_reset_waiting',
      'Password reset requests waiting to be processed.',
      () => service.waiting,
    );
  },
});
