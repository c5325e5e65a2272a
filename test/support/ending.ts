import { onTestFinished, TestRunner } from 'vitest';

const ends: (() => unknown)[] = [];

/**
 * Has what is made now end with who made it: a test's with the test, else a hook's or a suite's with the file. The last
 * made ends first. (`afterAll` called by a hook that runs is called by nobody.)
 */
export function atEnd(end: () => unknown): void {
  if (TestRunner.getCurrentTest()) onTestFinished(async () => void (await end()));
  else ends.push(end);
}

/** Ends what the tests of this file have left; for setup.ts. */
export async function endAll(): Promise<void> {
  for (const end of ends.splice(0).reverse()) await end();
}
