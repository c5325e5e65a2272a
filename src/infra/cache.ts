import { LRUCache } from 'lru-cache';

/**
 * A cache of at most `max` entries, of which the least recently used is dropped first. Unlike an LRUCache with `max`, it
 * allocates no memory for all entries at startup, which takes 24 ms for 100,000 entries.
 */
export const createCache = <Value extends {}>(
  max: number,
  options: { ttl?: number; noUpdateTTL?: boolean } = {},
): LRUCache<string, Value> => new LRUCache<string, Value>({ maxSize: max, sizeCalculation: () => 1, ...options });
