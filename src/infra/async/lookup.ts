import { withoutRequest } from '../telemetry/request.js';

/**
 * Reads for many callers at once: who asks while reads are under way goes with the next one, so that a rush of callers
 * (thousands who come back when a node stops) is a few statements. A read begins after it was asked for, so what it
 * finds is as fresh as a read of one's own.
 */
export type Lookup<Key, Value> = (key: Key) => Promise<Value>;

/** Most keys in one read. */
const KEYS_MAX = 500;
/** Reads under way at once: fewer carry more keys each. */
const READS_MAX = 2;

/**
 * `read` gives the values of the keys, in their order. What it throws is thrown to all who asked with it. It runs for none
 * of their requests: what one of them may still do does not keep the others waiting.
 */
export function createLookup<Key, Value>(
  read: (keys: readonly Key[]) => Promise<readonly Value[]>,
): Lookup<Key, Value> {
  const waiting: { key: Key; resolve(value: Value): void; reject(error: unknown): void }[] = [];
  let underWay = 0;
  let asked = false;

  async function readNext(): Promise<void> {
    underWay += 1;
    const callers = waiting.splice(0, KEYS_MAX);
    try {
      const values = await read(callers.map(({ key }) => key));
      for (const [index, { resolve }] of callers.entries()) resolve(values[index] as Value);
    } catch (error) {
      for (const { reject } of callers) reject(error);
    }
    underWay -= 1;
    readSoon();
  }

  /** When all who ask in this turn of the event loop have asked. */
  function readSoon(): void {
    if (asked || waiting.length === 0) return;
    asked = true;
    withoutRequest(() =>
      setImmediate(() => {
        asked = false;
        while (waiting.length > 0 && underWay < READS_MAX) void readNext();
      }),
    );
  }

  return (key) =>
    new Promise((resolve, reject) => {
      waiting.push({ key, resolve, reject });
      readSoon();
    });
}
