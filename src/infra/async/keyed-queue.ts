/** Limits how much work runs at once for each key. Further work waits, first come, first served. */
export interface KeyedQueue {
  /** Waits for a free slot and runs `work`. Throws `refusal()` if too much work is waiting for this key. */
  run<T>(key: string, work: () => Promise<T>): Promise<T>;
  /**
   * Waits for a free slot. Resolves with a function that frees it again. Throws `refusal()` if too much work is waiting
   * for this key.
   */
  enter(key: string): Promise<() => void>;
  /** The number of keys with work in progress. */
  readonly size: number;
  /** The amount of waiting work of all keys. */
  readonly waiting: number;
}

const DROPPED_MIN = 1_000;

interface Slots {
  running: number;
  waiting: (() => void)[];
  /**
   * The index of the first entry of `waiting` that still waits. Removing entries one by one would be quadratic for long
   * queues.
   */
  next: number;
}

/**
 * @param atOnce the maximum amount of work that runs at once for one key.
 * @param waitingMax the maximum amount of waiting work for one key. By default it is unlimited, for callers that are
 *   limited themselves.
 * @param refusal creates the error for work that exceeds `waitingMax`.
 */
export function createKeyedQueue({
  atOnce,
  waitingMax = Infinity,
  refusal,
}: {
  atOnce: number;
  waitingMax?: number;
  refusal?: () => Error;
}): KeyedQueue {
  const slotsByKey = new Map<string, Slots>();
  let waiting = 0;

  function leave(key: string, slots: Slots): void {
    const next = slots.waiting[slots.next];
    if (next) {
      slots.next += 1;
      // Entries that have been served are removed in batches.
      if (slots.next === slots.waiting.length || slots.next >= DROPPED_MIN) {
        slots.waiting = slots.waiting.slice(slots.next);
        slots.next = 0;
      }
      waiting -= 1;
      next();
      return;
    }
    slots.running -= 1;
    if (slots.running === 0) slotsByKey.delete(key);
  }

  async function enter(key: string): Promise<() => void> {
    let slots = slotsByKey.get(key);
    if (!slots) {
      slots = { running: 0, waiting: [], next: 0 };
      slotsByKey.set(key, slots);
    }
    const entered = slots;
    if (entered.running < atOnce) entered.running += 1;
    else {
      if (entered.waiting.length - entered.next >= waitingMax)
        throw refusal?.() ?? new Error('Too many calls are waiting.');
      waiting += 1;
      await new Promise<void>((resolve) => entered.waiting.push(resolve));
    }
    let left = false;
    return () => {
      if (left) return;
      left = true;
      leave(key, entered);
    };
  }

  return {
    enter,
    async run(key, work) {
      const end = await enter(key);
      try {
        return await work();
      } finally {
        end();
      }
    },
    get size() {
      return slotsByKey.size;
    },
    get waiting() {
      return waiting;
    },
  };
}
