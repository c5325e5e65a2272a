import { describe, expect, it } from 'vitest';
import { LiveStream } from '../../src/realtime/live-stream.js';

interface Event {
  name: string;
}

/** A stream whose initial events are read page by page; `finish` ends the read in progress. */
function make({ queueMax = 3 } = {}) {
  const counts = { read: 0, cutOff: 0 };
  let finish: (result: boolean | Error) => void = () => {};
  const stream = new LiveStream<Event>({
    userId: 'ana',
    queueMax,
    onSlowConsumer: () => (counts.cutOff += 1),
    onClose() {},
    readMore: () =>
      new Promise((resolve, reject) => {
        counts.read += 1;
        finish = (result) => (result instanceof Error ? reject(result) : resolve(result));
      }),
  });
  return { stream, counts, finish: (result: boolean | Error) => finish(result) };
}
const event = (name: string): Event => ({ name });
const taken = async (stream: LiveStream<Event>) => (await stream.next()).value?.name as string | undefined;

describe('a live stream with initial events', () => {
  it('delivers what happens while more initial events are being read', async () => {
    const { stream, counts, finish } = make();
    // More events than may wait: the consumer takes each one.
    for (const name of ['1', '2', '3', '4', '5']) {
      const next = taken(stream);
      stream.push(event(name));
      expect(await next).toBe(name);
    }
    expect(counts).toEqual({ read: 1, cutOff: 0 });
    expect(stream.isIdle).toBe(false);
    const next = taken(stream);
    stream.pushInitial(event('initial'));
    finish(false);
    expect(await next).toBe('initial');
    expect(stream.isIdle).toBe(true);
  });

  it('reads more only while its consumer waits for an event', async () => {
    const { stream, counts, finish } = make();
    expect(counts.read).toBe(0);
    const first = taken(stream);
    stream.pushInitial(event('first'));
    finish(true);
    expect(await first).toBe('first');
    expect(counts.read).toBe(1);
    const second = taken(stream);
    expect(counts.read).toBe(2);
    // A page without a visible user: the consumer still waits.
    finish(true);
    await new Promise(setImmediate);
    expect(counts.read).toBe(3);
    finish(false);
    stream.push(event('later'));
    expect(await second).toBe('later');
  });

  it('distinguishes the events that it began with from live events', async () => {
    const { stream } = make();
    const [initial, live] = [event('initial'), event('live')];
    stream.push(live);
    stream.pushInitial(initial);
    expect([stream.isBacklog(live), stream.isBacklog(initial)]).toEqual([false, true]);
  });

  it('fails where its initial events cannot be read', async () => {
    const { stream, finish } = make();
    const next = taken(stream);
    finish(new Error('broken'));
    await expect(next).rejects.toThrow('broken');
    expect(stream.closed).toBe(true);
  });
});
