import { expect, it } from 'vitest';
import { createOldestTransaction } from '../../src/realtime/oldest-transaction.js';

it('the age of the oldest open transaction is counted from the first snapshot in which it is the oldest', () => {
  let time = 0;
  const oldest = createOldestTransaction(() => time);
  const after = (seconds: number, snapshot: string) => {
    time += seconds * 1_000;
    oldest.observe(snapshot);
    return oldest.ageSeconds();
  };
  expect(oldest.ageSeconds()).toBe(0);
  // No transaction is open.
  expect(after(1, '743:743:')).toBe(0);
  expect(after(1, '743:743:')).toBe(0);
  expect(after(1, '743:745:743')).toBe(0);
  // Other transactions start and end.
  expect(after(5, '743:750:743,748')).toBe(5);
  time += 2_000;
  expect(oldest.ageSeconds()).toBe(7);
  // The oldest transaction has ended, and another one is the oldest.
  expect(after(1, '748:751:748')).toBe(0);
  expect(after(3, '748:751:748')).toBe(3);
  expect(after(1, '752:752:')).toBe(0);
});
