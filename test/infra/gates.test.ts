import { describe, expect, it } from 'vitest';
import { createGates } from '../../src/infra/async/gates.js';

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

describe('gates', () => {
  it('run so much at once for each key, the rest in the order in which it came', async () => {
    const gates = createGates({ atOnce: 2 });
    const begun: string[] = [];
    const ends: (() => void)[] = [];
    const work = (name: string) => () => {
      begun.push(name);
      return new Promise<string>((resolve) => ends.push(() => resolve(name)));
    };
    const results = ['a', 'b', 'c', 'd'].map((name) => gates.run('one', work(name)));
    const other = gates.run('other', work('e'));
    await nextTurn();
    expect(begun).toEqual(['a', 'b', 'e']);
    expect([gates.size, gates.waiting]).toEqual([2, 2]);
    for (let ended = 0; ended < 5; ended += 1) {
      await nextTurn();
      ends[ended]?.();
    }
    expect(await Promise.all([...results, other])).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(begun).toEqual(['a', 'b', 'e', 'c', 'd']);
    expect([gates.size, gates.waiting]).toEqual([0, 0]);
  });

  it('refuse what would wait behind too much, and go on after work that fails', async () => {
    const gates = createGates({ atOnce: 1, waitingMax: 1, refusal: () => new Error('too much') });
    const end = await gates.enter('key');
    const waiting = gates.run('key', () => Promise.reject(new Error('failed')));
    await expect(gates.run('key', async () => 'never')).rejects.toThrow('too much');
    end();
    end();
    await expect(waiting).rejects.toThrow('failed');
    expect(await gates.run('key', async () => 'again')).toBe('again');
    expect(gates.size).toBe(0);
  });

  it('keep nothing of work that is done, however much waits', async () => {
    const gates = createGates({ atOnce: 1 });
    let done = 0;
    const work = async () => {
      done += 1;
    };
    await Promise.all(Array.from({ length: 5_000 }, () => gates.run('key', work)));
    expect([done, gates.size, gates.waiting]).toEqual([5_000, 0, 0]);
  });
});
