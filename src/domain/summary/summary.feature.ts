import { by } from '../../infra/telemetry/metrics.js';
import { defineFeature } from '../../platform/feature.js';
import { summaries } from './summaries.js';

export const summaryFeature = defineFeature('summary', {
  schema: () => import('./summary.schema.js'),
  capabilities: ({ summaryServer }) => (summaryServer ? ['writtenSummaries'] : []),
  start: (deps) => void summaries.of(deps),
  metrics(deps) {
    const { metrics } = deps;
    const service = summaries.of(deps);
    metrics.read(
      'counter',
      'parley_summaries_total',
      'Summaries by where they came from: kept, quoted (the embedded summarizer) or written (the model server).',
      () => {
        const { kept, quoted, written } = service.counts;
        return by('from', { kept, quoted, written });
      },
      ['from'],
    );
    metrics.read(
      'counter',
      'parley_summary_failures_total',
      'Summaries that the model server was to write and did not.',
      () => service.counts.failures,
    );
    metrics.read(
      'gauge',
      'parley_summary_waiting',
      'Calls that wait for a thread of the embedded summarizer.',
      () => service.waiting,
    );
  },
});
