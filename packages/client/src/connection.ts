import { pause } from './pause.js';
import type { State } from './state.js';

/** Whether the data on this device is up to date. */
export interface Connection {
  /**
   * - `off`: no user is signed in.
   * - `connecting`: a connection is being opened.
   * - `syncing`: missed changes are being fetched.
   * - `live`: every change is delivered when it happens.
   * - `waiting`: the server could not be reached. The next attempt is at `retryAt`.
   * - `failed`: the server has rejected the client with `error`, and there are no further attempts.
   */
  status: 'off' | 'connecting' | 'syncing' | 'live' | 'waiting' | 'failed';
  /** When this status began, in milliseconds since 1970. */
  since: number;
  retryAt?: number | undefined;
  error?: { code: string; message: string } | undefined;
}

/** Calls the listener each time the connection becomes live. */
export function onLive(state: State, listener: () => void): () => void {
  return state.onChange((changed) => {
    if (changed.has('~connection') && state.get<Connection>('~connection')?.status === 'live') listener();
  });
}

/** Waits, but not longer than until the connection is live again. */
export function pauseUntilLive(state: State, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const stop = onLive(state, resolve);
    void pause(milliseconds)
      .then(() => resolve())
      .then(stop);
  });
}
