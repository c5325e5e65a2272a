import { describe, expect, it } from 'vitest';
import { createLookup } from '../../src/infra/async/lookup.js';

describe('a lookup', () => {
  /** Reads that wait until the test lets them continue. */
  function make() {
    const reads: { keys: readonly number[]; finish: () => void; fail: (error: Error) => void }[] = [];
    const lookUp = createLookup<number, string>(
      (keys) =>
        new Promise((resolve, reject) => {
          reads.push({ keys, finish: () => resolve(keys.map((key) => `value ${key}`)), fail: reject });
        }),
    );
    return { reads, lookUp };
  }
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  it('reads the keys of simultaneous callers with one read, and returns each their own value', async () => {
    const { reads, lookUp } = make();
    const values = Promise.all([1, 2, 1].map(lookUp));
    await turn();
    expect(reads.map(({ keys }) => keys)).toEqual([[1, 2, 1]]);
    reads[0]?.finish();
    expect(await values).toEqual(['value 1', 'value 2', 'value 1']);
  });

  it('batches callers that arrive during a read, and never answers them from that read', async () => {
    const { reads, lookUp } = make();
    const values = [lookUp(1)];
    await turn();
    values.push(lookUp(2));
    await turn();
    for (const key of [1, 3, 4]) {
      values.push(lookUp(key));
      await turn();
    }
    expect(reads.map(({ keys }) => keys)).toEqual([[1], [2]]);
    reads[0]?.finish();
    await values[0];
    await turn();
    expect(reads.map(({ keys }) => keys)).toEqual([[1], [2], [1, 3, 4]]);
    for (const { finish } of reads) finish();
    expect(await Promise.all(values)).toEqual(['value 1', 'value 2', 'value 1', 'value 3', 'value 4']);
  });

  it('rejects all callers of a failed read, and continues with the next read', async () => {
    const { reads, lookUp } = make();
    const failed = Promise.allSettled([lookUp(1), lookUp(2)]);
    await turn();
    reads[0]?.fail(new Error('out of reach'));
    expect((await failed).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    const value = lookUp(3);
    await turn();
    reads[1]?.finish();
    expect(await value).toBe('value 3');
  });
});
