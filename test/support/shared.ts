import { vi } from 'vitest';

/** Something that test files of one process use one after another, such as a node. */
interface Shared {
  isUsed: boolean;
  /** Resolves when the tests of a file have left nothing open. */
  settle(): Promise<void>;
  stop(): Promise<void>;
  value: Promise<unknown>;
}

/** By key, in the order of their last use. */
const started = new Map<string, Shared>();

/**
 * How many of them keep running after a file: those that were used last are the likeliest to be used again. Each has
 * connections, of which PostgreSQL accepts 100 by default.
 */
const KEPT = 3;

/**
 * Returns what was started with this key in this process, or starts it. It runs until others have been used more
 * recently, or until the process ends.
 */
export function share<Value>(
  key: string,
  {
    start,
    settle,
  }: {
    start(end: (stop: () => unknown) => void): Promise<Value>;
    settle(value: Value): Promise<void>;
  },
): Promise<Value> {
  let shared = started.get(key);
  if (!shared) {
    const ends: (() => unknown)[] = [];
    const value = start((end) => void ends.push(end));
    shared = {
      isUsed: true,
      value,
      settle: async () => settle(await value),
      async stop() {
        for (const end of ends.reverse()) await end();
      },
    };
  }
  shared.isUsed = true;
  started.delete(key);
  started.set(key, shared);
  return shared.value as Promise<Value>;
}

/** Checks what the tests of a file have used, and stops what has not been used for the longest time; for setup.ts. */
export async function settleShared(): Promise<void> {
  for (const [key, shared] of started) {
    if (!shared.isUsed) continue;
    shared.isUsed = false;
    await shared.settle().catch(async (error) => {
      // The next file gets another one.
      started.delete(key);
      await shared.stop();
      throw error;
    });
  }
  await stopAllBut(KEPT);
}

/** Stops everything that is shared, for tests that would disturb it, such as with fake timers: `beforeAll(stopShared)`. */
export async function stopShared(): Promise<void> {
  await stopAllBut(0);
}

async function stopAllBut(kept: number): Promise<void> {
  for (const [key, { stop }] of [...started].slice(0, Math.max(0, started.size - kept))) {
    started.delete(key);
    await stop();
  }
}

const { useFakeTimers } = vi;
// A shared node whose timers were faked once would never sweep again.
vi.useFakeTimers = (config) => {
  const { toFake = ['setTimeout'] } = config ?? {};
  if (started.size > 0 && toFake.some((name) => name !== 'Date')) {
    throw new Error('Shared nodes are running: call stopShared before timers are faked.');
  }
  return useFakeTimers(config);
};
