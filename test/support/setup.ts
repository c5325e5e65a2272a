import { afterAll, vi } from 'vitest';
import { endAll } from './ending.js';
import { settleShared } from './shared.js';

afterAll(async () => {
  vi.useRealTimers();
  await endAll();
  await settleShared();
  // The next file of this process would have them as well.
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
}, 60_000);
