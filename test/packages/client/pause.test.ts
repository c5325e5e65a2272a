import { afterEach, describe, expect, it, vi } from 'vitest';
import { HOPELESS, pause, retryDelay } from '../../../packages/client/src/pause.js';

/** The shortest and the longest delay of the attempt after so many failures. */
function delaysAfter(failures: number): [number, number] {
  const random = vi.spyOn(Math, 'random');
  const delays = [0, 1].map((value) => {
    random.mockReturnValue(value);
    return retryDelay(failures);
  });
  random.mockRestore();
  return delays as [number, number];
}

describe('attempts to reach the server', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  });

  it('begin within half a second, and are spread', () => {
    expect(delaysAfter(0)).toEqual([0, 500]);
    for (let failures = 1; failures <= 500; failures += 1) {
      const [shortest, longest] = delaysAfter(failures);
      expect(shortest).toBe(longest / 2);
    }
  });

  it('are at most four seconds apart, however long the outage is', () => {
    for (let failures = 0; failures <= 49; failures += 1) expect(delaysAfter(failures)[1]).toBeLessThanOrEqual(2_500);
    // All clients together then make fewer attempts than before.
    for (const failures of [50, 500]) expect(delaysAfter(failures)).toEqual([2_000, 4_000]);
  });

  it('are rare in the background, and after a violation of the protocol', () => {
    expect(delaysAfter(HOPELESS)).toEqual([15_000, 30_000]);
    vi.stubGlobal('document', { visibilityState: 'hidden' });
    expect(delaysAfter(100)).toEqual([15_000, 30_000]);
  });

  it('do not wait when the network is back or the page becomes visible', async () => {
    const [network, page] = [new EventTarget(), Object.assign(new EventTarget(), { visibilityState: 'hidden' })];
    vi.stubGlobal('addEventListener', network.addEventListener.bind(network));
    vi.stubGlobal('removeEventListener', network.removeEventListener.bind(network));
    vi.stubGlobal('document', page);
    let isOver = false;
    const waiting = [pause(60_000), pause(60_000)];
    void waiting[0]?.then(() => {
      isOver = true;
    });
    page.dispatchEvent(new Event('visibilitychange'));
    await new Promise(setImmediate);
    expect(isOver).toBe(false);
    network.dispatchEvent(new Event('online'));
    expect(await Promise.all(waiting)).toEqual([true, true]);
    const hidden = pause(60_000);
    page.visibilityState = 'visible';
    page.dispatchEvent(new Event('visibilitychange'));
    expect(await hidden).toBe(true);
    expect(await pause(1)).toBe(false);
  });
});
