import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createReplays } from '../../src/realtime/replays.js';

describe('replays', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] }));
  afterEach(() => void vi.useRealTimers());

  /** Begins replays, in order; what of them has begun is in `begun`. */
  function start() {
    const replays = createReplays({ atOnce: 2, stallMs: 1_000 });
    const begun: string[] = [];
    const stalled: string[] = [];
    const begin = async (userId: string, name: string) => {
      const turn = await replays.begin(userId, () => {
        stalled.push(name);
        void turn.end();
      });
      begun.push(name);
      return turn;
    };
    return { begin, begun, stalled };
  }
  const settle = () => new Promise(setImmediate);

  it('are two of each person at a time, the others in the order in which they came', async () => {
    const { begin, begun } = start();
    const turns = ['a1', 'a2', 'a3', 'a4', 'b1'].map((name) => begin(name[0] ?? '', name));
    await settle();
    expect(begun).toEqual(['a1', 'a2', 'b1']);
    const first = await turns[0];
    first?.end();
    first?.end();
    await settle();
    expect(begun).toEqual(['a1', 'a2', 'b1', 'a3']);
    (await turns[1])?.end();
    await settle();
    expect(begun.at(-1)).toBe('a4');
  });

  it('end where nobody reads them and others wait, but not while they work', async () => {
    const { begin, begun, stalled } = start();
    const [idle, working] = await Promise.all([begin('a', 'idle'), begin('a', 'working')]);
    working.working(true);
    await vi.advanceTimersByTimeAsync(5_000);
    // Nobody waits.
    expect(stalled).toEqual([]);
    const third = begin('a', 'third');
    await vi.advanceTimersByTimeAsync(1_000);
    expect([stalled, begun]).toEqual([['idle'], ['idle', 'working', 'third']]);
    (await third).end();
    working.end();
    idle.end();
  });
});
