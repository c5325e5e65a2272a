import { performance } from 'node:perf_hooks';

/** Divides the busy time of the event loop among the operations in progress. */
export interface LoopTime {
  /** Begins an operation. The returned function ends it and returns its part of the busy time, in milliseconds. */
  begin(weight: number): () => number;
}

/**
 * Operations cannot be timed individually, because many are in progress at once and most of their work runs in
 * callbacks. The busy time is therefore divided in proportion to their expected cost (`weight`).
 * @param busyMs returns the time for which the event loop has been busy since its start, in milliseconds.
 */
export function createLoopTime(busyMs = () => performance.eventLoopUtilization().active): LoopTime {
  let total = 0;
  /** The busy milliseconds divided by the total weight of the work in progress, accumulated since the start. */
  let perWeight = 0;
  let last = busyMs();

  function advance(): void {
    const now = busyMs();
    if (total > 0) perWeight += (now - last) / total;
    last = now;
  }

  return {
    begin(weight) {
      advance();
      total += weight;
      const before = perWeight;
      return () => {
        advance();
        total -= weight;
        return weight * (perWeight - before);
      };
    },
  };
}
