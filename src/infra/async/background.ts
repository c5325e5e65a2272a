import type { Logger } from '../telemetry/log.js';

/** A queue of jobs that run in the background, with retries. */
export interface Background {
  /**
   * Queues a job and returns at once. The job starts after `afterMs` milliseconds at the earliest, and when fewer than
   * the maximum number of jobs are running. Only the name and the codes of an error are logged, because messages of
   * errors can contain personal data.
   * @returns false if the queue is full; the job is then discarded.
   */
  run(work: () => Promise<void>, afterMs?: number): boolean;
  /** The number of jobs that are queued or running, and the outcomes of jobs since the start. */
  readonly counts: BackgroundCounts;
  /** Runs queued jobs at once, without further retries. Resolves when they are done, or after `closeMs`. */
  close(): Promise<void>;
}

export interface BackgroundCounts {
  readonly waiting: number;
  readonly done: number;
  /** `failures` counts failed attempts; `lost` counts jobs that failed permanently or were not accepted. */
  readonly failures: number;
  readonly lost: number;
}

interface Job {
  work: () => Promise<void>;
  failures: number;
}

/**
 * @param name names the jobs in the log.
 * @param atOnce the maximum number of jobs that run concurrently.
 * @param waitingMax the maximum number of jobs that are queued or running.
 * @param retryMs the delays before retries. When all have been used, the job fails permanently.
 * @param isFinal whether a retry after this error is useless.
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
      // Adds jitter, so that jobs that failed together are not retried at the same time.
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

/** The properties of an error that contain no personal data. */
function factsOf(error: unknown): Record<string, unknown> {
  const { name, code, originalCode, responseCode } = (error ?? {}) as Record<string, unknown>;
  // Nodemailer replaces the system's error code by its own.
  return { error: name, code: originalCode ?? code, responseCode };
}
