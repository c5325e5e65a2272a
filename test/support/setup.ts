import { afterAll } from 'vitest';
import { endAll } from './ending.js';
import { settleShared } from './shared.js';

afterAll(async () => {
  await endAll();
  await settleShared();
}, 60_000);
