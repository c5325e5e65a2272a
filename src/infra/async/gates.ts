/** Work that is limited to a number at once for each key: what is over it waits, first come, first served. */
export interface Gates {
  /** Runs the work when its turn has come. Throws the refusal when too much is waiting for this key. */
  run<T>(key: string, work: () => Promise<T>): Promise<T>;
  /** The same in two steps: resolves when the turn has come, with what ends it. */
  enter(key: string): Promise<() => void>;
  /** Keys with work in progress. */
  readonly size: number;
  /** Work that waits, for all keys together. */
  readonly waiting: number;
}

const DROPPED_MIN = 1_000;

interface Gate {
  running: number;
  waiting: (() => void)[];
  /** The first entry of `waiting` that still waits: shifting a long array would move all the others each time. */
  next: number;
}

/**
 * @param atOnce how much of one key runs at once.
 * @param waitingMax how much of one key may wait. Without it there is no bound: what creates the work has one.
 */
export function createGates({
  atOnce,
  waitingMax = Infinity,
  refusal,
}: {
  atOnce: number;
  waitingMax?: number;
  refusal?: () => Error;
}): Gates {
  const gates = new Map<string, Gate>();
  let waiting = 0;

  function leave(key: string, gate: Gate): void {
    const next = gate.waiting[gate.next];
    if (next) {
      gate.next += 1;
      // What has had its turn is dropped now and then, and not each time.
      if (gate.next === gate.waiting.length || gate.next >= DROPPED_MIN) {
        gate.waiting = gate.waiting.slice(gate.next);
        gate.next = 0;
      }
      waiting -= 1;
      next();
      return;
    }
    gate.running -= 1;
    if (gate.running === 0) gates.delete(key);
  }

  async function enter(key: string): Promise<() => void> {
    let gate = gates.get(key);
    if (!gate) {
      gate = { running: 0, waiting: [], next: 0 };
      gates.set(key, gate);
    }
    const entered = gate;
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
      return gates.size;
    },
    get waiting() {
      return waiting;
    },
  };
}
