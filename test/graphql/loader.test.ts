import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Context } from '../../src/graphql/context.js';
import { defineListLoader, defineLoader } from '../../src/graphql/loader.js';

const context = () => ({}) as Context;

describe('a loader of rows', () => {
  it('reads each row once, and splits keys that exceed the parameters of one statement', async () => {
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

  it('yields to the event loop between many rows', async () => {
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

describe('a loader of lists', () => {
  it('reads lists with equal requests in one statement, each list once', async () => {
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

  it('splits lists that exceed the parameters of one statement', async () => {
    const reads: number[] = [];
    const load = defineListLoader(async (_context, ids) => {
      reads.push(ids.length);
      return ids.map((id) => [`row of ${id}`]);
    });
    const asked = context();
    const keys = Array.from({ length: 40_000 }, (_, index) => String(index % 2_500));
    const lists = await Promise.all(keys.map((key) => load(asked, key, { limit: 1 })));
    expect(reads).toEqual([1_000, 1_000, 500]);
    expect([lists[0], lists[2_501], lists.at(-1)]).toEqual([['row of 0'], ['row of 1'], ['row of 2499']]);
  });

  it('rejects only the lists whose statement failed, with its error', async () => {
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
