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

  it('are at most two and a half seconds apart, however long the outage is', () => {
    for (const failures of [4, 50, 1_000, 100_000]) expect(delaysAfter(failures)).toEqual([1_250, 2_500]);
  });

  it('are rare in the background, and after a violation of the protocol', () => {
    expect(delaysAfter(HOPELESS)).toEqual([15_000, 30_000]);
    expect(delaysAfter(HOPELESS + 1)).toEqual([15_000, 30_000]);
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
