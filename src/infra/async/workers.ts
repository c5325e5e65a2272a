import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import { ChatError } from '../../core/errors.js';

/** Worker threads that run the functions of one file, so that the event loop goes on. */
export interface Workers {
  /** @throws {ChatError} UNAVAILABLE: too much is waiting. */
  run<Result>(name: string, task: unknown): Promise<Result>;
  /** Calls that wait for a thread. */
  readonly waiting: number;
  close(): Promise<void>;
}

/** Starts no thread before there is something to do. `what` waits, the error says. */
export function createWorkers({ file, queueMax, what }: { file: URL; queueMax: number; what: string }): Workers {
  const pool = new Piscina({
    filename: file.href,
    minThreads: 0,
    // One core stays free for the event loop.
    maxThreads: Math.max(1, availableParallelism() - 1),
    idleTimeout: 60_000,
    maxQueue: queueMax,
  });
  return {
    run: async (name, task) => {
      if (pool.queueSize >= queueMax) {
        throw new ChatError('UNAVAILABLE', `Too many ${what} are in progress. Try again in a moment.`, {
          retryAfterMs: 1_000,
        });
      }
      return pool.run(task, { name });
    },
    get waiting() {
      return pool.queueSize;
    },
    close: () => pool.close({ force: true }),
  };
}
