import { LRUCache } from 'lru-cache';
import type { Logger } from '../infra/telemetry/log.js';

/** How many origins are logged within an hour at the most: any client may send any number of them. */
const LOGGED_MAX = 100;
const FORGET_MS = 60 * 60_000;
/** What is longer is no origin of a page. */
const ORIGIN_MAX_CHARS = 256;

/**
 * Tells the log of each origin whose pages were refused, once an hour: whoever has set up a web client sees at once what
 * is missing in ALLOWED_ORIGINS.
 */
export function createRefusedOrigins(log: Logger): (origin: string) => void {
  const logged = new LRUCache<string, true>({ max: LOGGED_MAX, ttl: FORGET_MS });
  return (origin) => {
    const shown = origin.slice(0, ORIGIN_MAX_CHARS);
    if (logged.has(shown)) return;
    logged.purgeStale();
    if (logged.size >= LOGGED_MAX) return;
    logged.set(shown, true);
    log.warn({ origin: shown }, 'request rejected: its origin is not in ALLOWED_ORIGINS');
  };
}
