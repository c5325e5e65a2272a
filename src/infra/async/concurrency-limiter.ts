/** Limits how many operations are in progress at once for each key, on this node. */
export interface ConcurrencyLimiter {
  /**
   * Begins an operation. Returns a function that ends it (further calls of the function have no effect), or undefined
   * if the maximum is reached.
   */
  enter(key: string): (() => void) | undefined;
}

export function createConcurrencyLimiter(max: number): ConcurrencyLimiter {
  const counts = new Map<string, number>();
  return {
    enter(key) {
      const count = counts.get(key) ?? 0;
      if (count >= max) return undefined;
      counts.set(key, count + 1);
      let left = false;
      return () => {
        if (left) return;
        left = true;
        const now = (counts.get(key) ?? 0) - 1;
        if (now > 0) counts.set(key, now);
        else counts.delete(key);
      };
    },
  };
}
