import { setImmediate } from 'node:timers/promises';

/** Milliseconds after which other work has its turn. */
const SLICE_MS = 4;

/** Does something with each of many, one after another, without holding the event loop for long. */
export async function inSlices<Item>(items: Iterable<Item>, work: (item: Item) => void): Promise<void> {
  let began = performance.now();
  for (const item of items) {
    if (performance.now() - began > SLICE_MS) {
      await setImmediate();
      began = performance.now();
    }
    work(item);
  }
}
