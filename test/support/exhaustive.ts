import { anyMode, type Mode, modes } from './place.js';

/** Whether the tests that try many cases run in their long form: `npm run test:exhaustive`. */
export const isExhaustive = process.env['EXHAUSTIVE'] === '1';

/** The timeout of a test with random cases, in milliseconds. */
export const CASES_TIMEOUT_MS = isExhaustive ? 1_800_000 : 120_000;

/**
 * How many random cases a test tries, as parameters of `fc.assert`. Every run tries others. A failure prints the seed of
 * its cases, which SEED repeats.
 */
export const randomCases = (short: number) => ({
  numRuns: isExhaustive ? 10 * short : short,
  interruptAfterTimeLimit: CASES_TIMEOUT_MS / 2,
  markInterruptAsFailure: false,
  ...(process.env['SEED'] ? { seed: Number(process.env['SEED']) } : {}),
});

/**
 * The modes of tests that try every case of rules that do not depend on the database. Other tests cover these rules by
 * examples in all modes.
 */
export const exhaustiveModes: Mode[] = isExhaustive ? modes : [anyMode];
