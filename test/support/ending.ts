import { onTestFinished, TestRunner } from 'vitest';

const ends: (() => unknown)[] = [];

/**
 * Registers a cleanup that runs at the end of the current test, or at the end of the file if called outside of a test.
 * Cleanups run in reverse order. (Vitest ignores `afterAll` in a running hook.)
 */
export function atEnd(end: () => unknown): void {
  if (TestRunner.getCurrentTest()) onTestFinished(async () => void (await end()));
  else ends.push(end);
}

/** Registers a cleanup that runs at the end of the file, even if called in a test. */
export function atFileEnd(end: () => unknown): void {
  ends.push(end);
}

/** Runs the remaining cleanups of this file; for setup.ts. */
export async function endAll(): Promise<void> {
  for (const end of ends.splice(0).reverse()) await end();
}
