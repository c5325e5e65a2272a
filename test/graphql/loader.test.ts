import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Context } from '../../src/graphql/context.js';
import { defineListLoader, defineLoader } from '../../src/graphql/loader.js';

const context = () => ({}) as Context;

describe('rows that are asked for together', () => {
  it('are read once each, and never so many in one statement that there are too many parameters', async () => {
    const reads: number[] = [];
    const load = defineLoader(async (_context, keys) => {
      reads.push(keys.length);
      return keys.map((key) => (key === 'absent' ? null : `row ${key}`));
    });
    const asked = context();
    const keys = [...Array.from({ length: 40_000 }, (_, index) => String(index % 2_500)), 'absent'];
    const rows = await Promise.all(keys.map((key) => load(asked, key)));
    expect(reads).toEqual([1_000, 1_000, 501]);
    expect([rows[0], rows[2_501], rows.at(-1)]).toEqual(['row 0', 'row 1', null]);
  });

  it('leave the event loop free for others in between', async () => {
    const load = defineLoader(async (_context, keys) => keys.map((key) => key));
    const asked = context();
    let done = 0;
    const all = Array.from({ length: 5_000 }, (_, index) => load(asked, String(index)).then(() => (done += 1)));
    const steps = new Set<number>();
    while (done < 5_000) {
      await nextTurn();
      steps.add(done);
    }
    await Promise.all(all);
    expect(steps.size).toBeGreaterThanOrEqual(5_000 / 250);
  });
});

describe('lists that are asked for together', () => {
  it('are read in one statement for all of which the same is wanted, each once', async () => {
    const reads: [string[], number][] = [];
    const load = defineListLoader(async (_context, ids, { limit }: { limit: number }) => {
      reads.push([[...ids], limit]);
      return ids.map((id) => Array.from({ length: limit }, (_, index) => `${id}${index}`));
    });
    const asked = context();
    const lists = await Promise.all([
      load(asked, 'a', { limit: 1 }),
      load(asked, 'b', { limit: 1 }),
      load(asked, 'a', { limit: 2 }),
      load(asked, 'a', { limit: 1 }),
    ]);
    expect(lists).toEqual([['a0'], ['b0'], ['a0', 'a1'], ['a0']]);
    expect(reads).toEqual([
      [['a', 'b'], 1],
      [['a'], 2],
    ]);
  });

  it('fail for themselves only, with what failed', async () => {
    const failure = new Error('this one fails');
    const load = defineListLoader(async (_context, ids, { fails }: { fails: boolean }) => {
      if (fails) throw failure;
      return ids.map((id) => [id]);
    });
    const asked = context();
    const outcomes = await Promise.allSettled([load(asked, 'a', { fails: true }), load(asked, 'a', { fails: false })]);
    expect(outcomes).toEqual([
      { status: 'rejected', reason: failure },
      { status: 'fulfilled', value: ['a'] },
    ]);
  });
});
