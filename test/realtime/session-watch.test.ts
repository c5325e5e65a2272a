import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLog } from '../../src/infra/telemetry/log.js';
import type { Bus } from '../../src/realtime/bus.js';
import { createSessionWatch } from '../../src/realtime/session-watch.js';
import { stopShared } from '../support/shared.js';

beforeAll(stopShared);

const START = new Date('2030-01-01T00:00:00Z').getTime();
const soon = new Date(START + 1_000);
const bus: Bus = {
  connected: true,
  publish: () => {},
  subscribe: () => {},
  onConnected: () => {},
  counts: { published: 0, received: 0, lost: 0 },
  close: async () => {},
};
/** Ended sessions of which no notice was sent. */
let quietlyEnded: string[] = [];
/** Ends a session like a transaction, with a notice. */
let end: (sessionId: string) => void;
const make = () =>
  createSessionWatch({
    database: {
      generation: 'generation',
      onCommitted: (_announcement, handler) => {
        end = (sessionId) => void handler([sessionId as never]);
      },
    },
    bus,
    findEnded: async (ids) => ids.filter((id) => quietlyEnded.includes(id)),
    log: createLog('silent'),
  });

describe('the session watch', () => {
  beforeEach(() => void vi.useFakeTimers({ now: START }));
  afterEach(() => void vi.useRealTimers());

  it('calls the watchers of an expired session in their order, whichever timer fires first', () => {
    const watch = make();
    const called: string[] = [];
    watch.watch('session', soon, () => called.push('socket'));
    // Only the clock advances, so that the timer of the second watcher fires before that of the first.
    vi.setSystemTime(START + 5);
    watch.watch('session', soon, () => called.push('stream'));
    vi.advanceTimersByTime(996);
    expect(called).toEqual(['socket', 'stream']);
    vi.advanceTimersByTime(10_000);
    expect(called).toHaveLength(2);
  });

  it('does not call watchers whose token is valid longer, or that were removed', () => {
    const watch = make();
    const called: string[] = [];
    watch.watch('session', soon, () => called.push('gone'))();
    watch.watch('session', new Date(START + 2_000), () => called.push('renewed'));
    watch.watch('session', soon, () => called.push('old'));
    watch.watch('other', new Date(START + 3_000), () => called.push('other'));
    vi.advanceTimersByTime(1_500);
    expect(called).toEqual(['old']);
    end('session');
    expect(called).toEqual(['old', 'renewed']);
  });

  it('calls a watcher that is added shortly after the session has ended', () => {
    const watch = make();
    const called: string[] = [];
    end('session');
    watch.watch('session', soon, () => called.push('late'));
    vi.advanceTimersByTime(1);
    expect(called).toEqual(['late']);
  });

  it('finds the end of a session whose notice was lost', async () => {
    const watch = make();
    const called: string[] = [];
    watch.watch('session', new Date(START + 60_000), () => called.push('session'));
    watch.watch('other', new Date(START + 60_000), () => called.push('other'));
    quietlyEnded = ['session'];
    await vi.advanceTimersByTimeAsync(5_001);
    expect(called).toEqual(['session']);
    watch.close();
  });
});
