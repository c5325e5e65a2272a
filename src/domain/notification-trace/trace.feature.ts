import { deleteOlder } from '../../infra/database/delete-older.js';
import { defineFeature } from '../../platform/feature.js';
import { auditActions } from '../audit/audit.actions.js';
import { notificationOutputs } from '../notifier/notifier.sources.js';
import { SENT } from '../push/recipients.js';
import { traceAuditActions } from './trace.audit.js';
import { recordDecisions } from './trace.service.js';

export const notificationTraceFeature = defineFeature('notification trace', {
  schema: () => import('./trace.schema.js'),
  contributes: [
    auditActions.with(traceAuditActions),
    notificationOutputs.with({ types: [SENT], write: recordDecisions }),
  ],
  retention: [
    {
      table: 'notifier_steps',
      trim: ({ database, config }) =>
        deleteOlder(database.db, 'notifier_steps', 'at', config.notificationTraceRetentionMs),
    },
  ],
});
