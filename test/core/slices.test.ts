import { afterEach, describe, expect, it, vi } from 'vitest';
import { inSlices } from '../../src/core/slices.js';

/** Runs `count` items of 3 ms each by a clock of its own, and returns in how many turns of the event loop they ran. */
async function turnsFor(count: number, groupOf?: (item: number) => unknown): Promise<number> {
  const turns = new Set<number>();
  let turn = 0;
  let now = 0;
  let isOver = false;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  const countTurn = () => {
    turn += 1;
    if (!isOver) setImmediate(countTurn);
  };
  setImmediate(countTurn);
  const work = (_item: number) => {
    turns.add(turn);
    now += 3;
  };
  await inSlices(
    Array.from({ length: count }, (_, index) => index),
    work,
    groupOf,
  );
  isOver = true;
  return turns.size;
}

describe('inSlices', () => {
  afterEach(() => void vi.restoreAllMocks());

  it('yields to the event loop after more than four milliseconds', async () => {
    expect(await turnsFor(8)).toBe(4);
    expect(await turnsFor(8, (item) => item)).toBe(4);
  });

  it('does not divide consecutive items of one group', async () => {
    expect(await turnsFor(10, () => 'group')).toBe(1);
  });

  it('divides the items of a group that take longer than 32 ms', async () => {
    expect(await turnsFor(24, () => 'group')).toBe(3);
  });
});
