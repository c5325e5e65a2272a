import { LRUCache } from 'lru-cache';
import { rateLimited } from '../../core/errors.js';
import { createKeyedQueue } from '../../infra/async/keyed-queue.js';
import type { Workers } from '../../infra/async/workers.js';
import { createModelServer, ModelError } from '../../infra/model-server.js';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import { createExtractive, createSummaryWorkers } from './summary.extractive.js';
import { createRuns, type SummaryRuns } from './summary.runs.js';
import type { Range } from './summary.store.js';
import { createWritten } from './summary.written.js';

/** Creates the summaries of a node. */
export interface Summaries extends SummaryRuns {
  /** The number of calls that wait for a thread. */
  readonly waiting: number;
}

/** How long a node does not call a model server after a failure, in milliseconds. */
const BACKOFF_MS = 30_000;
/** The maximum number of ranges for which the model failed that a node remembers, and for how many milliseconds. */
const FAILED_RANGES_MAX = 1_000;
const FAILED_RANGES_MS = 10 * 60_000;

export function createSummaries(
  deps: Pick<Deps, 'config' | 'database' | 'log' | 'services'>,
  workers: Workers = createSummaryWorkers(deps.config),
): Summaries {
  const { config, log } = deps;
  const stop = new AbortController();
  const extractive = createExtractive(workers, config.summaryHighlightsMax);
  const written =
    config.summaryServer &&
    createWritten(deps, config.summaryServer, createModelServer(config.summaryServer), stop.signal);
  let failedAt = Number.NEGATIVE_INFINITY;
  /** Ranges for which the model gave no usable answer, so that their messages do not affect the summaries of others. */
  const failedRanges = new LRUCache<string, true>({ max: FAILED_RANGES_MAX, ttl: FAILED_RANGES_MS });
  const keyOf = ({ conversationId, fromSeq, toSeq }: Range) => `${conversationId} ${fromSeq} ${toSeq}`;
  const isUsable = (range: Range) => performance.now() - failedAt > BACKOFF_MS && !failedRanges.has(keyOf(range));
  const runs = createRuns(
    deps,
    (range) => (written && isUsable(range) ? [written, extractive] : [extractive]),
    (summarizer, range, error) => {
      if (error instanceof ModelError && !error.isServerFault) failedRanges.set(keyOf(range), true);
      else failedAt = performance.now();
      // Not the error itself, because its message may contain user content.
      const { name, message } = error instanceof Error ? error : { name: typeof error, message: '' };
      log.warn(
        { model: summarizer.model, error: name, reason: message },
        'model server returned no summary; using the embedded summarizer',
      );
    },
  );
  return {
    get: runs.get,
    counts: runs.counts,
    get waiting() {
      return workers.waiting;
    },
    async close() {
      stop.abort();
      await workers.close();
      await runs.close();
    },
  };
}

/** The maximum number of summaries of one person that wait while others of the same person are being created. */
const WAITING_PER_PERSON = 20;

export const summaries = defineService('summaries', (deps) => createSummaries(deps));

/** Limits the concurrent summaries of each person on this node. */
export const summaryQueue = defineService('summaries per person', ({ config }) =>
  createKeyedQueue({
    atOnce: config.summariesPerPersonMax,
    waitingMax: WAITING_PER_PERSON,
    refusal: () => rateLimited('You are waiting for too many summaries. Try again in a moment.', 1_000),
  }),
);
