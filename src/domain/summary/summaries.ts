import { createModelServer } from '../../infra/model-server.js';
import type { Workers } from '../../infra/workers.js';
import type { Deps } from '../deps.js';
import { createExtractive, createSummaryWorkers } from './summary.extractive.js';
import { createRuns, type SummaryRuns } from './summary.runs.js';
import type { Summarizer } from './summary.summarizer.js';
import { createWritten } from './summary.written.js';

/** What makes a node's summaries. */
export type Summaries = SummaryRuns;

/** How long a model server that failed is left alone by a node, in milliseconds. */
const LEFT_ALONE_MS = 30_000;

export function createSummaries(
  deps: Pick<Deps, 'config' | 'database' | 'log' | 'turns'>,
  workers: Workers = createSummaryWorkers(deps.config),
): Summaries {
  const { config, log } = deps;
  const stop = new AbortController();
  const extractive = createExtractive(workers, config.summaryHighlightsMax);
  const written =
    config.summaryServer &&
    createWritten(deps, config.summaryServer, createModelServer(config.summaryServer), stop.signal);
  let failedAt = Number.NEGATIVE_INFINITY;
  const waysNow = (): [Summarizer, ...Summarizer[]] =>
    written && performance.now() - failedAt > LEFT_ALONE_MS ? [written, extractive] : [extractive];
  const runs = createRuns(deps, waysNow, (way, error) => {
    failedAt = performance.now();
    // Not the error itself, which may quote what it was about.
    const { name, message } = error instanceof Error ? error : { name: typeof error, message: '' };
    log.warn(
      { model: way.model, error: name, reason: message },
      'no summary from the model server: the embedded one makes it',
    );
  });
  return {
    get: runs.get,
    async close() {
      stop.abort();
      await workers.close();
      await runs.close();
    },
  };
}
