/** Limits the share of the node's time that each key can use. */
export interface Shares {
  /** Adds used time in milliseconds. Returns the number of milliseconds for which the key should wait. */
  spend(key: string, ms: number): number;
  /** The number of milliseconds for which the key should wait after the time used so far. */
  waitOf(key: string): number;
}

/** The interval at which keys without debt are removed, in milliseconds. */
const SWEEP_MS = 60_000;

/**
 * @param share the share of the time of each key, from 0 to 1.
 * @param atOnceMs the time that a key can use at once before it must wait.
 */
export function createShares({ share, atOnceMs }: { share: number; atOnceMs: number }): Shares {
  if (share === Number.POSITIVE_INFINITY) return { spend: () => 0, waitOf: () => 0 };
  /** The time at which the debt of a key will be paid off. */
  const paidAt = new Map<string, number>();
  let nextSweep = 0;
  const waitUntil = (paid: number, now: number) => Math.max(0, paid - now - atOnceMs / share);
  return {
    spend(key, ms) {
      const now = performance.now();
      if (now >= nextSweep) {
        for (const [other, at] of paidAt) if (at <= now) paidAt.delete(other);
        nextSweep = now + SWEEP_MS;
      }
      const paid = Math.max(paidAt.get(key) ?? 0, now) + ms / share;
      paidAt.set(key, paid);
      return waitUntil(paid, now);
    },
    waitOf: (key) => waitUntil(paidAt.get(key) ?? 0, performance.now()),
  };
}

/** Tracks which keys are using the node. */
export interface Usage {
  /** Reports that an operation of this key begins, or that an event is delivered to it. */
  record(key: string): void;
  /** Whether another key has used the node within the last second. */
  isByOthers(key: string): boolean;
}

/** How long the node counts as used by others after another key was recorded, in milliseconds. */
const OTHERS_MS = 1_000;

export function createUsage(): Usage {
  /** The key that was recorded last and when, and when any other key was recorded last. */
  let latest: { key: string; at: number; otherAt: number } = { key: '', at: -Infinity, otherAt: -Infinity };
  return {
    record(key) {
      const at = performance.now();
      latest = { key, at, otherAt: latest.key === key ? latest.otherAt : latest.at };
    },
    isByOthers(key) {
      const at = latest.key === key ? latest.otherAt : latest.at;
      return performance.now() - at < OTHERS_MS;
    },
  };
}

/** Resolves when the key does not exceed its share, or when no other key is using the node. */
export async function whenWithinShare(key: string, shares: Shares, usage: Usage): Promise<void> {
  for (let waitMs = shares.waitOf(key); waitMs >= 1 && usage.isByOthers(key); waitMs = shares.waitOf(key)) {
    const ms = Math.min(waitMs, OTHERS_MS);
    await new Promise((resolve) => setTimeout(resolve, ms));
  }
}
