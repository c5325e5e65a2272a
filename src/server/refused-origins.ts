import { LRUCache } from 'lru-cache';
import type { Logger } from '../infra/telemetry/log.js';

/** The maximum number of origins that are logged per hour, because a client can send any number of them. */
const LOGGED_MAX = 100;
const FORGET_MS = 60 * 60_000;
/** The maximum length of an origin in the log, in characters. */
const ORIGIN_MAX_CHARS = 256;

/**
 * Creates a function that logs each rejected origin once per hour, so that an operator sees what is missing in
 * ALLOWED_ORIGINS.
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
