/** Divides the time of the node between those who cause its work. */
export interface Shares {
  /** Counts work that somebody has caused; for how many milliseconds they are to cause no more. */
  spend(key: string, ms: number): number;
  /** For how many milliseconds somebody is to cause no more work, after what was counted so far. */
  waitOf(key: string): number;
}

/** How often what is paid back is forgotten, in milliseconds. */
const SWEEP_MS = 60_000;

/** Each key may take `share` of the time, from 0 to 1, and `atOnceMs` of it at once. */
export function createShares({ share, atOnceMs }: { share: number; atOnceMs: number }): Shares {
  if (share === Number.POSITIVE_INFINITY) return { spend: () => 0, waitOf: () => 0 };
  /** When what was taken will be paid back. */
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
