import { describe, expect, it } from 'vitest';
import { Stream } from '../../src/realtime/stream.js';

function make(limit = 3) {
  let closes = 0;
  let overflows = 0;
  const stream = new Stream<number>({ limit, onClose: () => (closes += 1), onOverflow: () => (overflows += 1) });
  return { stream, closes: () => closes, overflows: () => overflows };
}

describe('a stream', () => {
  it('returns items in order, whether they are pushed before or after next()', async () => {
    const { stream } = make();
    const waiting = stream.next();
    stream.push(1);
    stream.push(2);
    expect(await waiting).toEqual({ value: 1, done: false });
    expect(await stream.next()).toEqual({ value: 2, done: false });
  });

  it('ends after the queued items, and calls onClose once', async () => {
    const { stream, closes } = make();
    stream.push(1);
    stream.end();
    stream.end();
    stream.push(2);
    expect(await stream.next()).toEqual({ value: 1, done: false });
    expect(await stream.next()).toMatchObject({ done: true });
    expect(closes()).toBe(1);
  });

  it('resolves a pending next() when its consumer returns', async () => {
    const { stream, closes } = make();
    const waiting = stream.next();
    await stream.return();
    expect(await waiting).toMatchObject({ done: true });
    expect(closes()).toBe(1);
  });

  it('fails once, after the queued items', async () => {
    const { stream } = make();
    stream.push(1);
    stream.fail(new Error('broken'));
    expect(await stream.next()).toEqual({ value: 1, done: false });
    await expect(stream.next()).rejects.toThrow('broken');
    expect(await stream.next()).toMatchObject({ done: true });
  });

  it('calls onOverflow instead of exceeding its limit', async () => {
    const { stream, overflows } = make(3);
    for (const item of [1, 2, 3, 4, 5]) stream.push(item);
    expect(overflows()).toBe(2);
    stream.clear();
    stream.push(6);
    expect(await stream.next()).toEqual({ value: 6, done: false });
  });
});
