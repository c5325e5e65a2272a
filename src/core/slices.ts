import { setImmediate } from 'node:timers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Slices, Steps } from './steps.js';

interface Work {
  /** Continues until the work is done or the time slice is over. Returns whether the work is done. */
  advance(until: number): boolean;
}

/** The length of a time slice in milliseconds. */
const SLICE_MS = 4;

export function createSlices(sliceMs = SLICE_MS): Slices {
  const waiting: Work[] = [];
  let isScheduled = false;

  function schedule(): void {
    if (isScheduled || waiting.length === 0) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      const until = performance.now() + sliceMs;
      for (let work = waiting.shift(); work; work = waiting.shift()) {
        if (!work.advance(until)) waiting.push(work);
        if (performance.now() >= until) break;
      }
      schedule();
    });
  }

  return <Result>(steps: Steps<Result>) =>
    new Promise<Result>((resolve, reject) => {
      waiting.push({
        advance(until) {
          try {
            for (;;) {
              const { done, value } = steps.next();
              if (done) resolve(value);
              if (done || performance.now() >= until) return done === true;
            }
          } catch (error) {
            reject(error);
            return true;
          }
        },
      });
      schedule();
    });
}

/** How long items that belong together are not divided, in milliseconds. */
const TOGETHER_MS = 32;

/**
 * Calls `work` for each item in order, and yields to the event loop at the end of each time slice.
 * @param groupOf the group of an item. Consecutive items of a group are divided only if they take longer than 32 ms.
 */
export async function inSlices<Item>(
  items: Iterable<Item>,
  work: (item: Item) => void,
  groupOf?: (item: Item) => unknown,
): Promise<void> {
  let began = performance.now();
  let previous: unknown;
  for (const item of items) {
    const group = groupOf?.(item);
    if (performance.now() - began > (group !== undefined && group === previous ? TOGETHER_MS : SLICE_MS)) {
      await nextTurn();
      began = performance.now();
    }
    previous = group;
    work(item);
  }
}
