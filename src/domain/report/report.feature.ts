import { by } from '../../infra/telemetry/metrics.js';
import { defineFeature } from '../../platform/feature.js';
import { auditActions } from '../audit/audit.actions.js';
import { reportAuditActions } from './report.audit.js';
import { reportCounts } from './report.counts.js';
import { reportRateSettings, reportSettings } from './report.settings.js';
import { countOpen, forgetReporter, trimReports } from './report.store.js';

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
  metrics(deps) {
    const { metrics, database } = deps;
    const { reported, resolved } = reportCounts.of(deps);
    metrics.read('gauge', 'parley_reports_open', 'Reports that no moderator has resolved, of all nodes.', () =>
      countOpen(database.db),
    );
    metrics.read(
      'counter',
      'parley_reports_total',
      'Reports that this node has stored, by reason.',
      () => by('reason', reported),
      ['reason'],
    );
    metrics.read(
      'counter',
      'parley_reports_resolved_total',
      'Reports that were resolved on this node, by resolution.',
      () => by('resolution', resolved),
      ['resolution'],
    );
  },
});
