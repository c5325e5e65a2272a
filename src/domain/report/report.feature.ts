import { defineFeature } from '../../platform/feature.js';
import { auditActions } from '../audit/audit.actions.js';
import { reportAuditActions } from './report.audit.js';
import { reportRateSettings, reportSettings } from './report.settings.js';
import { forgetReporter, trimReports } from './report.store.js';

export const reportFeature = defineFeature('report', {
  settings: [reportSettings, reportRateSettings],
  contributes: [auditActions.with(reportAuditActions)],
  schema: () => import('./report.schema.js'),
  retention: [
    {
      table: 'reports',
      trim: ({ database, config }) =>
        trimReports(database.db, {
          openMs: config.reportRetentionMs,
          resolvedMs: config.reportResolvedRetentionMs,
        }),
    },
  ],
  onAccountDeleted: forgetReporter,
});
