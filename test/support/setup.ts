import { afterAll } from 'vitest';
import { endAll } from './ending.js';

afterAll(endAll, 60_000);
