import { expect, it } from 'vitest';
import { createCache } from '../../src/infra/cache.js';

it('a cache drops the least recently used entry when it is full, and entries that have expired', async () => {
  const cache = createCache<number>(2);
  cache.set('a', 1);
  cache.set('b', 2);
  expect(cache.get('a')).toBe(1);
  cache.set('c', 3);
  expect([...cache.keys()].sort()).toEqual(['a', 'c']);
  const expiring = createCache<number>(2, { ttl: 1 });
  expiring.set('a', 1);
  await expect.poll(() => expiring.has('a')).toBe(false);
});

it('a large cache takes no memory before it is used', () => {
  const before = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
  const caches = Array.from({ length: 20 }, () => createCache<number>(1_000_000));
  const after = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
  // With `max`, each of them would take more than 10 MB.
  expect((after - before) / caches.length).toBeLessThan(1_000_000);
});
