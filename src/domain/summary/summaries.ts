import { LRUCache } from 'lru-cache';
import { rateLimited } from '../../core/errors.js';
import { createGates } from '../../infra/async/gates.js';
import type { Workers } from '../../infra/async/workers.js';
import { createModelServer, ModelError } from '../../infra/model-server.js';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import { createExtractive, createSummaryWorkers } from './summary.extractive.js';
import { createRuns, type SummaryRuns } from './summary.runs.js';
import type { Range } from './summary.store.js';
import { createWritten } from './summary.written.js';

/** What makes a node's summaries. */
export interface Summaries extends SummaryRuns {
  /** Calls that wait for a thread. */
  readonly waiting: number;
}

/** How long a model server that failed is left alone by a node, in milliseconds. */
const LEFT_ALONE_MS = 30_000;
/** Ranges of which the model made nothing that a node remembers, and for how many milliseconds. */
const HOPELESS_MAX = 1_000;
const HOPELESS_MS = 10 * 60_000;

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
  /** Of what the model made nothing: what stands there is to keep nobody else from having theirs written. */
  const hopeless = new LRUCache<string, true>({ max: HOPELESS_MAX, ttl: HOPELESS_MS });
  const keyOf = ({ conversationId, fromSeq, toSeq }: Range) => `${conversationId} ${fromSeq} ${toSeq}`;
  const isUsable = (range: Range) => performance.now() - failedAt > LEFT_ALONE_MS && !hopeless.has(keyOf(range));
  const runs = createRuns(
    deps,
    (range) => (written && isUsable(range) ? [written, extractive] : [extractive]),
    (way, range, error) => {
      if (error instanceof ModelError && !error.isServers) hopeless.set(keyOf(range), true);
      else failedAt = performance.now();
      // Not the error itself, which may quote what it was about.
      const { name, message } = error instanceof Error ? error : { name: typeof error, message: '' };
      log.warn(
        { model: way.model, error: name, reason: message },
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

/** Summaries that one person may wait for behind those that are being made for them. */
const WAITING_PER_PERSON = 20;

export const summaries = defineService('summaries', (deps) => createSummaries(deps));

/** Summaries that each person waits for on this node. */
export const summaryGates = defineService('summaries per person', ({ config }) =>
  createGates({
    atOnce: config.summariesPerPersonMax,
    waitingMax: WAITING_PER_PERSON,
    refusal: () => rateLimited('You are waiting for too many summaries. Try again in a moment.', 1_000),
  }),
);
