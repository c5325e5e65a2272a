import { describe, expect, it } from 'vitest';
import { createKeyedQueue } from '../../src/infra/async/keyed-queue.js';

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

describe('KeyedQueue', () => {
  it('runs at most atOnce calls per key at once, and the rest in the order of arrival', async () => {
    const queue = createKeyedQueue({ atOnce: 2 });
    const begun: string[] = [];
    const ends: (() => void)[] = [];
    const work = (name: string) => () => {
      begun.push(name);
      return new Promise<string>((resolve) => ends.push(() => resolve(name)));
    };
    const results = ['a', 'b', 'c', 'd'].map((name) => queue.run('one', work(name)));
    const other = queue.run('other', work('e'));
    await nextTurn();
    expect(begun).toEqual(['a', 'b', 'e']);
    expect([queue.size, queue.waiting]).toEqual([2, 2]);
    for (let ended = 0; ended < 5; ended += 1) {
      await nextTurn();
      ends[ended]?.();
    }
    expect(await Promise.all([...results, other])).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(begun).toEqual(['a', 'b', 'e', 'c', 'd']);
    expect([queue.size, queue.waiting]).toEqual([0, 0]);
  });

  it('rejects a call if too many are waiting, and continues after one that fails', async () => {
    const queue = createKeyedQueue({ atOnce: 1, waitingMax: 1, refusal: () => new Error('too much') });
    const end = await queue.enter('key');
    const waiting = queue.run('key', () => Promise.reject(new Error('failed')));
    await expect(queue.run('key', async () => 'never')).rejects.toThrow('too much');
    end();
    end();
    await expect(waiting).rejects.toThrow('failed');
    expect(await queue.run('key', async () => 'again')).toBe('again');
    expect(queue.size).toBe(0);
  });

  it('retains nothing of finished calls, however many were waiting', async () => {
    const queue = createKeyedQueue({ atOnce: 1 });
    let done = 0;
    const work = async () => {
      done += 1;
    };
    await Promise.all(Array.from({ length: 5_000 }, () => queue.run('key', work)));
    expect([done, queue.size, queue.waiting]).toEqual([5_000, 0, 0]);
  });
});
