import { setTimeout as pause } from 'node:timers/promises';
import { ChatError } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import type { Deps } from '../../platform/deps.js';
import { changeConversation } from '../conversation/conversation.store.js';
import {
  CLAIM_MS,
  claimRun,
  countMessages,
  endRun,
  findParts,
  findRun,
  findSummary,
  fingerprintOf,
  type Range,
  readTranscript,
  renewRun,
  type Steps,
  type SummaryKey,
  storePart,
  storeSummary,
} from './summary.store.js';
import type { Summarizer, Transcript } from './summary.summarizer.js';

/** Creates each summary once: a caller that requests a summary which is being created on any node waits for it. */
export interface SummaryRuns {
  /**
   * Returns the id of the summary of a range: a stored one, or a new one that is created by the first summarizer that works.
   * `onProgress` receives the progress. `enter` is awaited before a new run begins on this node, and the function it resolves
   * with is called when the run has ended; joining a run in progress does not call it.
   * @throws {ChatError} RATE_LIMITED for the caller; UNAVAILABLE if the queue is full or the messages keep changing.
   */
  get(
    range: Range,
    userId: string,
    onProgress: (steps: Steps) => void,
    enter?: () => Promise<() => void>,
  ): Promise<string>;
  /** Since the start: stored summaries that were returned, summaries created by each kind of summarizer, and failures. */
  readonly counts: { kept: number; quoted: number; written: number; failures: number };
  close(): Promise<void>;
}

/** The interval in milliseconds at which a node checks the progress of another one, and stores its own at most. */
const POLL_INTERVAL_MS = 250;
const REPORT_MS = 200;
/** The maximum number of attempts if messages are edited or deleted while the summary is being created. */
const ATTEMPTS_MAX = 3;

/** A run on this node, or one that this node waits for. */
interface Run {
  userId: string;
  last: Steps;
  listeners: Set<(steps: Steps) => void>;
  id: Promise<string>;
}

export function createRuns(
  deps: Pick<Deps, 'config' | 'database' | 'log' | 'services'>,
  /** The currently available summarizers to summarize a range, the best first. */
  availableSummarizers: (range: Range) => readonly [Summarizer, ...Summarizer[]],
  /** Called when a summarizer has failed. */
  onFailure: (summarizer: Summarizer, range: Range, error: unknown) => void,
): SummaryRuns {
  const { config, database, log } = deps;
  const { sql } = database;
  const runs = new Map<string, Run>();
  const counts = { kept: 0, quoted: 0, written: 0, failures: 0 };
  let closed = false;

  const keyOf = ({ conversationId, fromSeq, toSeq, recipe }: SummaryKey) =>
    `${conversationId} ${fromSeq} ${toSeq} ${recipe}`;

  async function get(
    range: Range,
    userId: string,
    onProgress: (steps: Steps) => void,
    enter: () => Promise<() => void> = async () => () => {},
  ): Promise<string> {
    for (;;) {
      const [summarizer] = availableSummarizers(range);
      const key = { ...range, recipe: summarizer.recipe };
      const kept = await findSummary(sql, key);
      if (kept !== undefined) {
        counts.kept += 1;
        return kept;
      }
      const runKey = keyOf(key);
      let run = runs.get(runKey);
      let leave = () => {};
      if (!run) {
        leave = await enter();
        // Another caller may have started it while this one was waiting.
        run = runs.get(runKey) ?? begin(runKey, key, userId);
      }
      run.listeners.add(onProgress);
      onProgress(run.last);
      try {
        return await run.id;
      } catch (error) {
        // The limit of another user was reached.
        if (run.userId === userId || !(error instanceof ChatError) || error.code !== 'RATE_LIMITED') throw error;
      } finally {
        run.listeners.delete(onProgress);
        leave();
      }
    }
  }

  function begin(runKey: string, key: SummaryKey, userId: string): Run {
    const run: Run = { userId, last: { done: 0, total: 1 }, listeners: new Set(), id: Promise.resolve('') };
    runs.set(runKey, run);
    const onProgress = (steps: Steps) => {
      if (steps.done === run.last.done && steps.total === run.last.total) return;
      run.last = steps;
      for (const listener of run.listeners) listener(steps);
    };
    run.id = claimAndCreate(key, userId, onProgress).finally(() => runs.delete(runKey));
    return run;
  }

  async function claimAndCreate(key: SummaryKey, userId: string, onProgress: (steps: Steps) => void): Promise<string> {
    const id = newId();
    while (!(await claimRun(sql, key, id))) {
      if (closed) throw stopping();
      const steps = await findRun(sql, key);
      if (steps) onProgress(steps);
      await pause(POLL_INTERVAL_MS);
      // If a run has ended, another summarizer than the best one may have been used.
      for (const { recipe } of steps ? [key] : [key, ...availableSummarizers(key)]) {
        const kept = await findSummary(sql, { ...key, recipe });
        if (kept !== undefined) return kept;
      }
    }
    let last: Steps = { done: 0, total: 1 };
    let reportedAt = 0;
    const renew = () => {
      reportedAt = performance.now();
      renewRun(sql, key, id, last).catch((error: unknown) =>
        log.warn({ err: error }, 'lease of a summary could not be renewed'),
      );
    };
    const alive = setInterval(renew, CLAIM_MS / 3);
    try {
      // The previous owner of the run may have completed it in the meantime.
      const kept = await findSummary(sql, key);
      if (kept !== undefined) return kept;
      return await create(key, userId, (steps) => {
        last = steps;
        onProgress(steps);
        if (performance.now() - reportedAt >= REPORT_MS) renew();
      });
    } finally {
      clearInterval(alive);
      await endRun(sql, key, id).catch((error: unknown) =>
        log.warn({ err: error }, 'lease of a summary could not be released'),
      );
    }
  }

  async function create(key: Range, userId: string, onProgress: (steps: Steps) => void): Promise<string> {
    const { conversationId, fromSeq, toSeq } = key;
    const range = { conversationId, fromSeq, toSeq };
    const summarizers = availableSummarizers(range);
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      const before = await fingerprintOf(sql, range);
      const count = await countMessages(sql, range);
      for (const summarizer of summarizers) {
        try {
          const digest = await summarizer.summarize(transcriptOf(range, summarizer, { userId, count, onProgress }));
          const { model, written, recipe } = summarizer;
          const summary = { ...range, ...digest, recipe, model, written, messageCount: count };
          const id = await changeConversation(deps, conversationId, (tx) =>
            storeSummary(tx, summary, before, config.summariesKept),
          );
          if (id !== undefined) {
            counts[written ? 'written' : 'quoted'] += 1;
            return id;
          }
          break;
        } catch (error) {
          if (closed) throw stopping();
          if (error instanceof ChatError || summarizer === summarizers.at(-1)) throw error;
          counts.failures += 1;
          onFailure(summarizer, range, error);
        }
      }
    }
    throw new ChatError('UNAVAILABLE', 'These messages are being edited. Try again in a moment.', {
      retryAfterMs: 1_000,
    });
  }

  function transcriptOf(
    range: Range,
    { recipe }: Summarizer,
    more: Pick<Transcript, 'userId' | 'count' | 'onProgress'>,
  ): Transcript {
    return {
      ...more,
      range,
      read: (part, only) => readTranscript(sql, part, only),
      parts: () => findParts(sql, { ...range, recipe }),
      async storePart(part, find) {
        const before = await fingerprintOf(sql, part);
        const notes = await find();
        await changeConversation(deps, part.conversationId, (tx) => storePart(tx, { ...part, recipe }, notes, before));
        return notes;
      },
    };
  }

  return {
    get,
    counts,
    async close() {
      closed = true;
      await Promise.allSettled([...runs.values()].map(({ id }) => id));
    },
  };
}

const stopping = () => new ChatError('UNAVAILABLE', 'The server is shutting down. Try again.', { retryAfterMs: 1_000 });
