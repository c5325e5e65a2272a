import { expect, it } from 'vitest';
import { createServicePauses } from '../../../src/infra/push/service-pauses.js';

it('pauses a service after several failures in a row, for longer each time, until it works', () => {
  let now = 1_000;
  const pauses = createServicePauses(() => now);
  const fail = (count: number) => {
    for (let each = 0; each < count; each += 1) pauses.failed('https://a');
  };
  fail(4);
  expect(pauses.waitOf('https://a')).toBe(0);
  pauses.worked('https://a');
  fail(4);
  expect(pauses.waitOf('https://a')).toBe(0);
  fail(1);
  expect(pauses.waitOf('https://a')).toBe(2_000);
  expect(pauses.waitOf('https://b')).toBe(0);
  // Requests that had been sent before the pause do not lengthen it.
  fail(50);
  expect(pauses.waitOf('https://a')).toBe(2_000);
  now += 2_000;
  expect(pauses.waitOf('https://a')).toBe(0);
  fail(1);
  expect(pauses.waitOf('https://a')).toBe(4_000);
  for (let each = 0; each < 20; each += 1) {
    now += 1_000_000;
    fail(1);
  }
  expect(pauses.waitOf('https://a')).toBe(5 * 60_000);
  pauses.worked('https://a');
  expect(pauses.waitOf('https://a')).toBe(0);
});
