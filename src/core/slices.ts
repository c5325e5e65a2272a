import { setImmediate } from 'node:timers';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Work in steps: between two `yield`s it takes microseconds. */
export type Steps<Result> = Generator<undefined, Result, undefined>;

/**
 * Does long work of the processor in slices, so that what everybody else waits for comes in between. However much such
 * work there is at once, there is one slice in a turn of the event loop; the pieces of work take turns.
 */
export type Slices = <Result>(steps: Steps<Result>) => Promise<Result>;

interface Work {
  /** Goes on until it is done or the time is over. @returns whether it is done. */
  advance(until: number): boolean;
}

/** Milliseconds after which other work has its turn. */
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

/** All steps at once, where the work is known to be short. */
export function inOneGo<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** Calls `work` for each item in turn, and lets other work run whenever a slice of time is over. */
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
