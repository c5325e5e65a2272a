import { by } from '../../infra/telemetry/metrics.js';
import { defineFeature } from '../../platform/feature.js';
import { summaries } from './summaries.js';
import { summarySettings } from './summary.settings.js';

export const summaryFeature = defineFeature('summary', {
  settings: [summarySettings],
  schema: () => import('./summary.schema.js'),
  capabilities: [
    {
      name: 'writtenSummaries',
      description: 'a model server writes summaries and therefore receives the summarized messages',
      isEnabled: ({ summaryServer }) => summaryServer !== undefined,
    },
  ],
  start: (deps) => void summaries.of(deps),
  metrics(deps) {
    const { metrics } = deps;
    const service = summaries.of(deps);
    metrics.read(
      'counter',
      'parley_summaries_total',
      'Summaries by origin: kept (stored earlier), quoted (by the embedded summarizer) or written (by the model server).',
      () => {
        const { kept, quoted, written } = service.counts;
        return by('from', { kept, quoted, written });
      },
      ['from'],
    );
    metrics.read(
      'counter',
      'parley_summary_failures_total',
      'Summaries that the model server failed to write.',
      () => service.counts.failures,
    );
    metrics.read(
      'gauge',
      'parley_summary_waiting',
      'Calls waiting for a thread of the embedded summarizer.',
      () => service.waiting,
    );
  },
});
