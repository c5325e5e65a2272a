/** How many there are at once of each, at this node. */
export interface Counts {
  /** Undefined where there are as many as may be; otherwise it counts until what it gives back is called, once. */
  enter(key: string): (() => void) | undefined;
}

export function createCounts(max: number): Counts {
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
