import { defineFeature } from '../../platform/feature.js';
import { auditActions, ownAuditActions } from './audit.actions.js';
import { auditLogger } from './audit.logger.js';
import { auditSettings } from './audit.settings.js';
import { trimAuditLog } from './audit.store.js';
import { recordSettings } from './changed-settings.js';

export const auditFeature = defineFeature('audit', {
  settings: [auditSettings],
  contributes: [auditActions.with(ownAuditActions)],
  async schema(features) {
    const { addAuditLog } = await import('./audit.schema.js');
    addAuditLog(features);
  },
  start: (deps) => void auditLogger.of(deps),
  beforeServing: recordSettings,
  retention: [
    {
      table: 'audit_entries',
      trim: ({ database, config }) => trimAuditLog(database.db, config.auditRetentionMs),
    },
  ],
});
