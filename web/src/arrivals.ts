import type { Message, Parley } from '@parley/client';

/** How many messages are kept at most. */
const KEPT_MAX = 20;

let kept: Message[] = [];
let stop = () => {};

/** Keeps the messages that arrive before the code that announces them is loaded. */
export function keepArrivals(parley: Parley): void {
  stop = parley.onMessage((message) => {
    kept = [...kept, message].slice(-KEPT_MAX);
  });
}

/** Ends it, and returns the messages. */
export function takeArrivals(): Message[] {
  stop();
  return kept.splice(0);
}
