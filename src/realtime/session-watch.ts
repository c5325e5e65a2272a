import type { Database } from '../infra/database/database.js';
import { defineAnnouncement } from '../infra/database/unit-of-work.js';
import type { Logger } from '../infra/telemetry/log.js';
import type { Bus } from './bus.js';

/** Tells whoever serves a session here (sockets, streams) that it was ended, on whatever node that happened. */
export interface SessionWatch {
  /**
   * `onEnd` is called once when the session ends or `expiresAt` comes; the returned function stops watching. Who began
   * to watch first hears of it first: a socket before its streams, so that it is closed before they can say anything.
   */
  watch(sessionId: string, expiresAt: Date, onEnd: () => void): () => void;
  close(): void;
  /** Sessions that are watched here at present. */
  readonly size: number;
}

/** Sessions, by id, whose end a transaction has stored. */
export const endedSessions = defineAnnouncement<string>('ended sessions');

const CHANNEL = 'sessions';
/** How often sessions that are watched are looked up, in case that the notice of their end was lost. */
const CHECK_MS = 5_000;
/** Longer than looking a session up may take. */
const REMEMBERED_MS = 60_000;
/** setTimeout's longest delay; a session that lasts longer is looked at again then. */
const LONGEST_MS = 2 ** 31 - 1;

/** `findEnded` says which of some sessions have ended: asked every few seconds, for a notice may be lost with Redis. */
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
  /** By session: what to call, in the order of coming, and when at the latest. */
  const watchers = new Map<string, Map<() => void, number>>();
  /** Sessions that ended a moment ago: who has just looked one up and found it alive, and watches it now, hears of it. */
  const ended = new Map<string, NodeJS.Timeout>();
  const remember = (sessionId: string) => {
    clearTimeout(ended.get(sessionId));
    ended.set(sessionId, setTimeout(() => ended.delete(sessionId), REMEMBERED_MS).unref());
  };
  const endHere = (sessionId: string, expiredAt = Number.POSITIVE_INFINITY) => {
    for (const [end, expires] of [...(watchers.get(sessionId) ?? [])]) if (expires <= expiredAt) end();
  };
  const channel = `${database.generation}:${CHANNEL}`;
  const endNow = (sessionId: string) => {
    remember(sessionId);
    endHere(sessionId);
  };
  bus.subscribe(channel, endNow);
  database.onCommitted(endedSessions, (sessionIds) => {
    for (const sessionId of sessionIds) {
      bus.publish(channel, sessionId);
      endNow(sessionId);
    }
  });
  const check = setInterval(() => {
    if (watchers.size === 0) return;
    findEnded([...watchers.keys()]).then(
      (ids) => {
        for (const id of ids) endHere(id);
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
      // Timers of one instant fire in any order, a millisecond apart: the first speaks for all of them.
      const expire = () => endHere(sessionId, expires);
      const wait = () => {
        const rest = expires - Date.now();
        timer = setTimeout(rest > LONGEST_MS ? wait : expire, Math.max(0, Math.min(rest, LONGEST_MS)));
        timer.unref();
      };
      if (ended.has(sessionId)) timer = setTimeout(end, 0);
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
