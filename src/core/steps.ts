/** Work that is divided into steps of a few microseconds: the generator yields after each step. */
export type Steps<Result> = Generator<undefined, Result, undefined>;

/**
 * Runs CPU-bound work in time slices, so that it does not block the event loop. If there is more than one piece of
 * work, each turn of the event loop runs one slice, and the pieces alternate.
 */
export type Slices = <Result>(steps: Steps<Result>) => Promise<Result>;

/** Runs all steps without yielding to the event loop, for work that is known to be short. */
export function runToCompletion<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}
