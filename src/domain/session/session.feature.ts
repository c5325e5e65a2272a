import { defineFeature } from '../../platform/feature.js';
import { auditActions } from '../audit/audit.actions.js';
import { sessionAuditActions } from './session.audit.js';
import { sessionWatch } from './session.authentication.js';
import { registrationSettings, sessionRateSettings, sessionSettings } from './session.settings.js';
import { trimSessions } from './session.trim.js';

export const sessionFeature = defineFeature('session', {
  settings: [sessionSettings, registrationSettings, sessionRateSettings],
  contributes: [auditActions.with(sessionAuditActions)],
  schema: () => import('./session.schema.js'),
  capabilities: [
    {
      name: 'registration',
      description: 'users can create accounts with `register`',
      isEnabled: ({ registration }) => registration,
    },
  ],
  start: (deps) => void sessionWatch.of(deps),
  onAccountDeleted: async (tx, userId) => void (await tx.credential.deleteMany({ where: { userId } })),
  retention: [
    {
      table: 'sessions',
      trim: ({ database, config }) => trimSessions(database.db, config.sessionRetentionMs),
    },
  ],
  metrics(deps) {
    const watch = sessionWatch.of(deps);
    deps.metrics.read(
      'gauge',
      'parley_watched_sessions',
      'Sessions with an open connection or stream on this node.',
      () => watch.size,
    );
  },
});
