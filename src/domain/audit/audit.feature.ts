import { defineFeature } from '../../platform/feature.js';
import { auditNotes } from './audit.notes.js';
import { auditSettings } from './audit.settings.js';
import { trimAuditLog } from './audit.store.js';
import { recordSettings } from './changed-settings.js';

export const auditFeature = defineFeature('audit', {
  settings: [auditSettings],
  schema: () => import('./audit.schema.js'),
  start: (deps) => void auditNotes.of(deps),
  beforeServing: recordSettings,
  retention: [
    {
      table: 'audit_entries',
      trim: ({ database, config }) => trimAuditLog(database.db, config.auditRetentionMs),
    },
  ],
});
