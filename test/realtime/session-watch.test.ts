import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLog } from '../../src/infra/telemetry/log.js';
import type { Bus } from '../../src/realtime/bus.js';
import { createSessionWatch } from '../../src/realtime/session-watch.js';

const START = new Date('2030-01-01T00:00:00Z').getTime();
const soon = new Date(START + 1_000);
const bus: Bus = {
  connected: true,
  publish: () => {},
  subscribe: () => {},
  onConnected: () => {},
  counts: { published: 0, heard: 0, lost: 0 },
  close: async () => {},
};
/** Sessions whose end nobody told. */
let quietlyEnded: string[] = [];
/** As a transaction does that ends a session. */
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

describe('watching a session', () => {
  beforeEach(() => void vi.useFakeTimers({ now: START }));
  afterEach(() => void vi.useRealTimers());

  it('tells of an expiry in the order of watching, whatever the timers do', () => {
    const watch = make();
    const told: string[] = [];
    watch.watch('session', soon, () => told.push('socket'));
    // The clock goes on and the timers do not: what is begun now fires before what was begun first.
    vi.setSystemTime(START + 5);
    watch.watch('session', soon, () => told.push('stream'));
    vi.advanceTimersByTime(996);
    expect(told).toEqual(['socket', 'stream']);
    vi.advanceTimersByTime(10_000);
    expect(told).toHaveLength(2);
  });

  it('tells nobody whose token lasts longer, nor who stopped watching', () => {
    const watch = make();
    const told: string[] = [];
    watch.watch('session', soon, () => told.push('gone'))();
    watch.watch('session', new Date(START + 2_000), () => told.push('renewed'));
    watch.watch('session', soon, () => told.push('old'));
    watch.watch('other', new Date(START + 3_000), () => told.push('other'));
    vi.advanceTimersByTime(1_500);
    expect(told).toEqual(['old']);
    end('session');
    expect(told).toEqual(['old', 'renewed']);
  });

  it('tells who begins to watch a session that ended a moment ago', () => {
    const watch = make();
    const told: string[] = [];
    end('session');
    watch.watch('session', soon, () => told.push('late'));
    vi.advanceTimersByTime(1);
    expect(told).toEqual(['late']);
  });

  it('finds an end whose notice was lost', async () => {
    const watch = make();
    const told: string[] = [];
    watch.watch('session', new Date(START + 60_000), () => told.push('session'));
    watch.watch('other', new Date(START + 60_000), () => told.push('other'));
    quietlyEnded = ['session'];
    await vi.advanceTimersByTimeAsync(5_001);
    expect(told).toEqual(['session']);
    watch.close();
  });
});
