import { describe, expect, it, onTestFinished } from 'vitest';
import { createPolling } from '../../src/infra/async/polling.js';
import { eventually } from '../support/client.js';

/** An hour: the pauses of these tests do not end. */
const LONG = 3_600_000;

/** A polling whose checks end when the test lets them end. */
function polled({ nextMs, intervalMs = LONG }: { nextMs?: () => Promise<number>; intervalMs?: number } = {}) {
  const open: { resolve(): void; reject(error: Error): void }[] = [];
  const errors: unknown[] = [];
  let checks = 0;
  const polling = createPolling({
    check: () =>
      new Promise<void>((resolve, reject) => {
        checks += 1;
        open.push({ resolve, reject });
      }),
    ...(nextMs && { nextMs }),
    intervalMs,
    onError: (error) => errors.push(error),
  });
  onTestFinished(async () => {
    const closing = polling.close();
    for (const { resolve } of open) resolve();
    await closing;
  });
  return {
    polling,
    errors,
    checks: (count: number) => eventually(`${count} checks`, () => checks === count && open.length > 0),
    end: () => open.shift()?.resolve(),
    fail: (error: Error) => open.shift()?.reject(error),
    get count() {
      return checks;
    },
  };
}

describe('a polling', () => {
  it('checks once more after a check during which it was woken, however often', async () => {
    let pauses = 0;
    const one = polled({
      nextMs: async () => {
        pauses += 1;
        return LONG;
      },
    });
    expect(one.count).toBe(0);
    one.polling.wake();
    await one.checks(1);
    for (let times = 0; times < 3; times += 1) one.polling.wake();
    one.end();
    await one.checks(2);
    one.end();
    await eventually('the pause began', () => pauses === 1);
    expect(one.count).toBe(2);
    one.polling.wake();
    await one.checks(3);
  });

  it('checks again after the pause that it determines, and after the interval if it determines none', async () => {
    const pauses = [5, LONG];
    const { polling, checks, end } = polled({ nextMs: async () => pauses.shift() ?? 0 });
    polling.wake();
    await checks(1);
    end();
    await checks(2);
    end();
    await eventually('the long pause began', () => pauses.length === 0);
    const other = polled({ intervalMs: 5 });
    other.polling.wake();
    await other.checks(1);
    other.end();
    await other.checks(2);
  });

  it('reports errors, and checks again after the interval', async () => {
    const one = polled({ nextMs: async () => LONG, intervalMs: 5 });
    one.polling.wake();
    await one.checks(1);
    one.fail(new Error('no connection'));
    await one.checks(2);
    expect(one.errors).toEqual([new Error('no connection')]);
    const other = polled({ nextMs: () => Promise.reject(new Error('no next')), intervalMs: 5 });
    other.polling.wake();
    await other.checks(1);
    other.end();
    await other.checks(2);
    expect(other.errors).toEqual([new Error('no next')]);
  });

  it('waits for the check in progress when it is closed, and does not check again', async () => {
    const one = polled({ intervalMs: 1 });
    one.polling.wake();
    await one.checks(1);
    one.polling.wake();
    let isClosed = false;
    const closing = one.polling.close().then(() => {
      isClosed = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect([one.polling.isClosed, isClosed]).toEqual([true, false]);
    // The error is a consequence of closing.
    one.fail(new Error('closed'));
    await closing;
    one.polling.wake();
    expect([one.count, one.errors]).toEqual([1, []]);
  });
});
