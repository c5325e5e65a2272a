import { setImmediate } from 'node:timers';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Work that is divided into steps: it yields every few microseconds. */
export type Steps<Result> = Generator<undefined, Result, undefined>;

/**
 * Runs CPU-bound work in time slices, so that it does not block the event loop. However many pieces of work there are,
 * each turn of the event loop runs one slice; the pieces take turns.
 */
export type Slices = <Result>(steps: Steps<Result>) => Promise<Result>;

interface Work {
  /** Continues until the work is done or the time slice is over. @returns whether the work is done. */
  advance(until: number): boolean;
}

/** The length of a time slice in milliseconds. */
const SLICE_MS = 4;

export function createSlices(sliceMs = SLICE_MS): Slices {
  const waiting: Work[] = [];
  let isPlanned = false;

  function plan(): void {
    if (isPlanned || waiting.length === 0) return;
    isPlanned = true;
    setImmediate(() => {
      isPlanned = false;
      const until = performance.now() + sliceMs;
      for (let work = waiting.shift(); work; work = waiting.shift()) {
        if (!work.advance(until)) waiting.push(work);
        if (performance.now() >= until) break;
      }
      plan();
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
      plan();
    });
}

/** Runs all steps at once, for work that is known to be short. */
export function inOneGo<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** Calls `work` for each item in order, and lets other work run at the end of each time slice. */
export async function inSlices<Item>(items: Iterable<Item>, work: (item: Item) => void): Promise<void> {
  let began = performance.now();
  for (const item of items) {
    if (performance.now() - began > SLICE_MS) {
      await nextTurn();
      began = performance.now();
    }
    work(item);
  }
}
