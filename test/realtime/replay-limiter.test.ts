import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createReplayLimiter } from '../../src/realtime/replay-limiter.js';
import { stopShared } from '../support/shared.js';

beforeAll(stopShared);

describe('replay limiter', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] }));
  afterEach(() => void vi.useRealTimers());

  /** Starts replays. `started` contains the names of those that have a slot, in order. */
  function start() {
    const limiter = createReplayLimiter({ concurrentMax: 2, stallMs: 1_000 });
    const started: string[] = [];
    const stalled: string[] = [];
    const acquire = async (userId: string, name: string) => {
      const slot = await limiter.acquire(userId, () => {
        stalled.push(name);
        slot.release();
      });
      started.push(name);
      return slot;
    };
    return { acquire, started, stalled };
  }
  const settle = () => new Promise(setImmediate);

  it('runs two replays of each user at a time, and the others in the order in which they were requested', async () => {
    const { acquire, started } = start();
    const slots = ['a1', 'a2', 'a3', 'a4', 'b1'].map((name) => acquire(name[0] ?? '', name));
    await settle();
    expect(started).toEqual(['a1', 'a2', 'b1']);
    const first = await slots[0];
    first?.release();
    first?.release();
    await settle();
    expect(started).toEqual(['a1', 'a2', 'b1', 'a3']);
    (await slots[1])?.release();
    await settle();
    expect(started.at(-1)).toBe('a4');
  });

  it('ends a replay that nobody reads while others wait, but not one that is reading from the database', async () => {
    const { acquire, started, stalled } = start();
    const [idle, reading] = await Promise.all([acquire('a', 'idle'), acquire('a', 'reading')]);
    reading.setReading(true);
    await vi.advanceTimersByTimeAsync(5_000);
    // No other replay waits yet.
    expect(stalled).toEqual([]);
    const third = acquire('a', 'third');
    await vi.advanceTimersByTimeAsync(1_000);
    expect([stalled, started]).toEqual([['idle'], ['idle', 'reading', 'third']]);
    (await third).release();
    reading.release();
    idle.release();
  });
});
