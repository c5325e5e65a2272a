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
 * The cases that a test tries: all of them in its long form, and otherwise `count` of them, which are others in every run.
 * The title of a test should name its case.
 */
export function someOf<Case>(cases: readonly Case[], count: number): Case[] {
  if (isExhaustive) return [...cases];
  const chosen = cases.map((_case, index) => ({ index, order: Math.random() })).sort((a, b) => a.order - b.order);
  return chosen
    .slice(0, count)
    .sort((a, b) => a.index - b.index)
    .map(({ index }) => cases[index] as Case);
}

/**
 * The modes of tests that try every case of rules that do not depend on the database. Other tests cover these rules by
 * examples in all modes.
 */
export const exhaustiveModes: Mode[] = isExhaustive ? modes : [anyMode];
