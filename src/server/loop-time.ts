import { performance } from 'node:perf_hooks';

/** Divides the time for which the event loop is busy between the operations that are in progress. */
export interface LoopTime {
  /** Begins an operation. The returned function ends it and returns its part of the time, in milliseconds. */
  begin(weight: number): () => number;
}

/**
 * No operation can be timed by itself: many are in progress at once, and most of their work is done in callbacks of
 * theirs. So the busy time is divided in proportion to what they are expected to take.
 * @param busyMs how long the event loop has been busy since its start, in milliseconds.
 */
export function createLoopTime(busyMs = () => performance.eventLoopUtilization().active): LoopTime {
  let total = 0;
  /** Busy milliseconds for each unit of weight in progress, summed up since the start. */
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
