/** After how many failures attempts become rare: about two minutes. */
export const RARE_FROM = 50;

/**
 * Milliseconds before an attempt to connect. The first one is spread over half a second, because all clients of a node
 * that stops reconnect at once. After about two minutes, and in the background, attempts become rare.
 */
export function retryDelay(failures: number, isHidden: boolean): number {
  if (failures === 0) return Math.random() * 500;
  const longest = isHidden ? 30_000 : failures >= RARE_FROM ? 15_000 : 2_500;
  return Math.min(longest, 250 * 2 ** failures) * (0.5 + Math.random() / 2);
}

export const isHidden = () => globalThis.document?.visibilityState === 'hidden';

/** Calls the listener when the network is back, and when the page becomes visible. */
export function onWake(listener: () => void): () => void {
  const visible = () => {
    if (!isHidden()) listener();
  };
  globalThis.addEventListener?.('online', listener);
  globalThis.document?.addEventListener('visibilitychange', visible);
  return () => {
    globalThis.removeEventListener?.('online', listener);
    globalThis.document?.removeEventListener('visibilitychange', visible);
  };
}

/** Waits, but not longer than until `onWake`. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      stop();
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    const stop = onWake(end);
  });
}
