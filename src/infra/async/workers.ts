import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import { ChatError } from '../../core/errors.js';

/** Worker threads that run the functions exported by one file, off the event loop. */
export interface Workers {
  /** Runs the function `name` with `task` as its argument. Throws UNAVAILABLE if too many calls are waiting. */
  run<Result>(name: string, task: unknown): Promise<Result>;
  /** The number of calls that wait for a thread. */
  readonly waiting: number;
  close(): Promise<void>;
}

/** Creates the pool; threads are started on demand. `what` names the calls in the error message, in the plural. */
export function createWorkers({ file, queueMax, what }: { file: URL; queueMax: number; what: string }): Workers {
  const pool = new Piscina({
    filename: file.href,
    minThreads: 0,
    // Leaves one core to the event loop.
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
