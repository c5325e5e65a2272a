import { describe, expect, it } from 'vitest';
import { createLoopTime } from '../../src/infra/async/loop-time.js';

describe('busy time of the event loop', () => {
  it('is divided between the operations in progress by their weights', () => {
    let busy = 100;
    const { begin } = createLoopTime(() => busy);
    busy += 1_000;
    const large = begin(90);
    busy += 10;
    const small = begin(10);
    busy += 100;
    expect(small()).toBeCloseTo(10);
    busy += 5;
    expect(large()).toBeCloseTo(105);
    busy += 1_000;
    const later = begin(1);
    expect(later()).toBe(0);
  });
});
