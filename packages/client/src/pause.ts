/** As many failures as after which attempts are as rare as in the background. An outage does not reach it, however long it is. */
export const HOPELESS = Number.POSITIVE_INFINITY;

/**
 * Milliseconds before the next attempt to reach the server. The first one is spread over half a second, because all clients
 * of a node that stops reconnect at once. While the page is visible, attempts never become so rare that the client is not
 * soon live again when the server is back.
 */
export function retryDelay(failures: number): number {
  if (failures === 0) return Math.random() * 500;
  const longest = isHidden() || failures === HOPELESS ? 30_000 : 2_500;
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

/** Waits, but not longer than until `onWake`. Resolves to whether it was ended by it. */
export function pause(milliseconds: number): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (isWoken: boolean) => {
      clearTimeout(timer);
      stop();
      resolve(isWoken);
    };
    const timer = setTimeout(end, milliseconds, false);
    const stop = onWake(() => end(true));
  });
}
