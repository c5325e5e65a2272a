import type { Logger } from '../telemetry/log.js';

/** Work that nobody waits for: it is done after the answer, and again after a while when it fails. */
export interface Background {
  /**
   * Takes work on and returns at once; it begins after `afterMs`, later where as much is under way as may be. False:
   * too much is waiting, it was not taken. What it throws is logged by its name and codes alone, for messages of errors
   * quote what they are about.
   */
  run(work: () => Promise<void>, afterMs?: number): boolean;
  /** Work that waits or is under way, and what became of the rest since the start. */
  readonly counts: BackgroundCounts;
  /** Does at once what waits, without another try after that, and resolves when it is done or `closeMs` are over. */
  close(): Promise<void>;
}

export interface BackgroundCounts {
  readonly waiting: number;
  readonly done: number;
  /** Tries that failed, and work that was given up or not taken. */
  readonly failures: number;
  readonly lost: number;
}

interface Job {
  work: () => Promise<void>;
  failures: number;
}

/**
 * @param name what the work is, for the log.
 * @param retryMs how long to wait before each further try; after the last one it is given up.
 * @param isFinal whether an error says that trying again is of no use.
 */
export function createBackground({
  name,
  atOnce,
  waitingMax,
  retryMs,
  isFinal = () => false,
  closeMs,
  log,
}: {
  name: string;
  atOnce: number;
  waitingMax: number;
  retryMs: readonly number[];
  isFinal?: (error: unknown) => boolean;
  closeMs: number;
  log: Logger;
}): Background {
  const ready: Job[] = [];
  const later = new Map<Job, NodeJS.Timeout>();
  let running = 0;
  let closing = false;
  let whenIdle = () => {};
  const counts = { done: 0, failures: 0, lost: 0 };

  function put(job: Job, afterMs: number): void {
    const timer = setTimeout(() => {
      later.delete(job);
      ready.push(job);
      next();
    }, afterMs);
    later.set(job, timer.unref());
  }

  function next(): void {
    while (running < atOnce) {
      const job = ready.shift();
      if (!job) break;
      running += 1;
      void attempt(job).finally(() => {
        running -= 1;
        next();
      });
    }
    if (running + ready.length + later.size === 0) whenIdle();
  }

  async function attempt(job: Job): Promise<void> {
    try {
      await job.work();
      counts.done += 1;
    } catch (error) {
      counts.failures += 1;
      const wait = closing || isFinal(error) ? undefined : retryMs[job.failures];
      job.failures += 1;
      const facts = { work: name, tries: job.failures, ...factsOf(error) };
      if (wait === undefined) {
        counts.lost += 1;
        log.error(facts, 'background job failed permanently');
        return;
      }
      log.warn({ ...facts, againInMs: wait }, 'background job failed; retrying');
      // Not all at once where many failed together.
      put(job, wait * (0.8 + 0.4 * Math.random()));
    }
  }

  return {
    get counts() {
      return { ...counts, waiting: running + ready.length + later.size };
    },
    run(work, afterMs = 0) {
      if (closing || running + ready.length + later.size >= waitingMax) {
        counts.lost += 1;
        return false;
      }
      put({ work, failures: 0 }, afterMs);
      return true;
    },
    async close() {
      closing = true;
      for (const [job, timer] of later) {
        clearTimeout(timer);
        ready.push(job);
      }
      later.clear();
      let timer: NodeJS.Timeout | undefined;
      const tooLate = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, closeMs);
      });
      const idle = new Promise<void>((resolve) => {
        whenIdle = resolve;
      });
      next();
      await Promise.race([idle, tooLate]);
      clearTimeout(timer);
      const undone = ready.splice(0).length + running;
      if (undone > 0) log.error({ work: name, undone }, 'background jobs unfinished at shutdown');
    },
  };
}

/** What may be logged of any error. */
function factsOf(error: unknown): Record<string, unknown> {
  const { name, code, originalCode, responseCode } = (error ?? {}) as Record<string, unknown>;
  // Nodemailer has names of its own for what the system said.
  return { error: name, code: originalCode ?? code, responseCode };
}
