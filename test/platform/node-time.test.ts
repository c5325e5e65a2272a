import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createNodeTime } from '../../src/platform/node-time.js';
import { stopShared } from '../support/shared.js';

beforeAll(stopShared);

describe('the time of a node', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Notes when a user may continue, in milliseconds from now. */
  function waiting(time: ReturnType<typeof createNodeTime>, key: string) {
    const began = performance.now();
    const wait: { ms: number | undefined } = { ms: undefined };
    void time.whenWithinShare(key).then(() => {
      wait.ms = performance.now() - began;
    });
    return wait;
  }
  /** Lets time pass in which somebody else uses the node. */
  async function pass(time: ReturnType<typeof createNodeTime>, ms: number, user?: string): Promise<void> {
    for (let passed = 0; passed < ms; passed += 100) {
      if (user !== undefined) time.usage.record(user);
      await vi.advanceTimersByTimeAsync(100);
    }
  }

  it('makes a user wait who has used more than their share while others use the node', async () => {
    const time = createNodeTime({ share: 0.25 });
    time.usage.record('one');
    time.usage.record('other');
    // 500 ms may be used at once, and each further millisecond is paid for by four.
    time.spend('one', 1_000);
    const [one, other] = [waiting(time, 'one'), waiting(time, 'other')];
    await pass(time, 1_900, 'other');
    expect(other.ms).toBe(0);
    expect(one.ms).toBeUndefined();
    await pass(time, 200, 'other');
    expect(one.ms).toBeGreaterThanOrEqual(1_999);
    expect(one.ms).toBeLessThanOrEqual(2_100);
  });

  it('makes nobody wait who uses the node alone', async () => {
    const time = createNodeTime({ share: 0.25 });
    time.usage.record('other');
    await pass(time, 1_100, 'one');
    time.spend('one', 10_000);
    const one = waiting(time, 'one');
    await pass(time, 100, 'one');
    expect(one.ms).toBe(0);
  });

  it('no longer makes a user wait when others stop using the node', async () => {
    const time = createNodeTime({ share: 0.25 });
    time.usage.record('one');
    time.usage.record('other');
    time.spend('one', 10_000);
    const one = waiting(time, 'one');
    await pass(time, 900);
    expect(one.ms).toBeUndefined();
    await pass(time, 1_200);
    expect(one.ms).toBeLessThanOrEqual(2_000);
  });

  it('makes nobody wait without a share', async () => {
    const time = createNodeTime({ share: Number.POSITIVE_INFINITY });
    time.usage.record('other');
    time.spend('one', 100_000);
    const one = waiting(time, 'one');
    await pass(time, 100, 'other');
    expect(one.ms).toBe(0);
  });
});
