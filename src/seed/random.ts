/** Chance that always falls the same way. */
export interface Random {
  /** From 0 up to, but not, 1. */
  next(): number;
  /** From `min` up to, but not, `max`. */
  between(min: number, max: number): number;
  pick<T>(list: readonly T[]): T;
  shuffled<T>(list: readonly T[]): T[];
}

/** mulberry32: the same `seed` gives the same numbers in the same order, on every machine. */
export function createRandom(seed: number): Random {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    between: (min, max) => min + next() * (max - min),
    pick(list) {
      if (list.length === 0) throw new RangeError('Nothing to pick from.');
      return list[Math.floor(next() * list.length)] as (typeof list)[number];
    },
    shuffled(list) {
      const keyed = list.map((item) => ({ item, key: next() }));
      return keyed.sort((one, other) => one.key - other.key).map(({ item }) => item);
    },
  };
}
