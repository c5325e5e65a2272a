import { withoutRequest } from '../telemetry/request.js';

/**
 * Reads values by key in batches: calls made while reads are in progress are collected for the next read, so that a
 * burst of callers (for instance, thousands that reconnect when a node stops) needs only a few statements. A read
 * always starts after the call, so its result is as fresh as that of a separate read.
 */
export type Lookup<Key, Value> = (key: Key) => Promise<Value>;

/** The maximum number of keys in one read. */
const KEYS_MAX = 500;
/** The maximum number of concurrent reads. A small number makes the batches larger. */
const READS_MAX = 2;

/**
 * @param read returns the values of the keys, in the same order. If it throws, all callers of the batch receive the
 *   error. It runs outside of the callers' requests, so that the limits of one request do not delay the others.
 */
export function createLookup<Key, Value>(
  read: (keys: readonly Key[]) => Promise<readonly Value[]>,
): Lookup<Key, Value> {
  const waiting: { key: Key; resolve(value: Value): void; reject(error: unknown): void }[] = [];
  let underWay = 0;
  let isScheduled = false;

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

  /** Schedules the next read for the end of this turn of the event loop, to collect further keys. */
  function readSoon(): void {
    if (isScheduled || waiting.length === 0) return;
    isScheduled = true;
    withoutRequest(() =>
      setImmediate(() => {
        isScheduled = false;
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
