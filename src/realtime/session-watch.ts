import type { Database } from '../infra/database/database.js';
import { defineAnnouncement } from '../infra/database/unit-of-work.js';
import type { Logger } from '../infra/telemetry/log.js';
import type { Bus } from './bus.js';

/** Notifies the sockets and streams of this node when their session ends, whichever node ends it. */
export interface SessionWatch {
  /**
   * Calls `onEnd` once when the session ends, or at `expiresAt`. The returned function stops watching. Watchers are
   * called in the order in which they were added: a socket before its streams, so that the socket is closed before they
   * can send anything.
   */
  watch(sessionId: string, expiresAt: Date, onEnd: () => void): () => void;
  close(): void;
  /** The number of sessions that are watched on this node. */
  readonly size: number;
}

/** The ids of sessions that a transaction has ended. */
export const endedSessions = defineAnnouncement<string>('ended sessions');

const CHANNEL = 'sessions';
/** The interval at which watched sessions are looked up, in case a notice was lost, in milliseconds. */
const CHECK_MS = 5_000;
/** How long ended sessions are remembered, in milliseconds. It must be longer than a lookup of a session takes. */
const REMEMBERED_MS = 60_000;
/** The maximum delay of `setTimeout`. For sessions that last longer, a new timer is set then. */
const TIMEOUT_MAX_MS = 2 ** 31 - 1;

/**
 * Creates the session watch of a node.
 * @param findEnded returns those of the given sessions that have ended. It is called periodically, because Redis can lose
 *   notices.
 */
export function createSessionWatch({
  database,
  bus,
  findEnded,
  log,
}: {
  database: Pick<Database, 'generation' | 'onCommitted'>;
  bus: Bus;
  findEnded(sessionIds: readonly string[]): Promise<readonly string[]>;
  log: Logger;
}): SessionWatch {
  /** The callbacks of each session in the order of their registration, each with the time of its expiry. */
  const watchers = new Map<string, Map<() => void, number>>();
  /**
   * Sessions that have ended recently, for callers who looked a session up before its end and begin to watch it after.
   */
  const recentlyEnded = new Map<string, NodeJS.Timeout>();
  const remember = (sessionId: string) => {
    clearTimeout(recentlyEnded.get(sessionId));
    recentlyEnded.set(sessionId, setTimeout(() => recentlyEnded.delete(sessionId), REMEMBERED_MS).unref());
  };
  const callWatchers = (sessionId: string, expiredAt = Number.POSITIVE_INFINITY) => {
    for (const [end, expires] of [...(watchers.get(sessionId) ?? [])]) if (expires <= expiredAt) end();
  };
  const channel = `${database.generation}:${CHANNEL}`;
  const onEnded = (sessionId: string) => {
    remember(sessionId);
    callWatchers(sessionId);
  };
  bus.subscribe(channel, onEnded);
  database.onCommitted(endedSessions, (sessionIds) => {
    for (const sessionId of sessionIds) {
      bus.publish(channel, sessionId);
      onEnded(sessionId);
    }
  });
  const check = setInterval(() => {
    if (watchers.size === 0) return;
    findEnded([...watchers.keys()]).then(
      (ids) => {
        for (const id of ids) callWatchers(id);
      },
      (error: unknown) => log.warn({ err: error }, 'sessions could not be checked; retrying'),
    );
  }, CHECK_MS);
  return {
    watch(sessionId, expiresAt, onEnd) {
      let timer: NodeJS.Timeout;
      const unwatch = () => {
        clearTimeout(timer);
        const others = watchers.get(sessionId);
        if (others?.delete(end) && others.size === 0) watchers.delete(sessionId);
      };
      const end = () => {
        unwatch();
        onEnd();
      };
      const expires = expiresAt.getTime();
      // Timers for the same time can fire in any order. The first one calls all watchers in their order.
      const expire = () => callWatchers(sessionId, expires);
      const wait = () => {
        const rest = expires - Date.now();
        timer = setTimeout(rest > TIMEOUT_MAX_MS ? wait : expire, Math.max(0, Math.min(rest, TIMEOUT_MAX_MS)));
        timer.unref();
      };
      if (recentlyEnded.has(sessionId)) timer = setTimeout(end, 0);
      else wait();
      const group = watchers.get(sessionId) ?? new Map<() => void, number>();
      watchers.set(sessionId, group.set(end, expires));
      return unwatch;
    },
    close() {
      clearInterval(check);
    },
    get size() {
      return watchers.size;
    },
  };
}
