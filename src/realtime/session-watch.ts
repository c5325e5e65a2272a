import type { Bus } from './bus.js';

/** Tells whoever serves a session here (sockets, streams) that it was ended, on whatever node that happened. */
export interface SessionWatch {
  /** `onEnd` is called once when the session ends or `expiresAt` comes; the returned function stops watching. */
  watch(sessionId: string, expiresAt: Date, onEnd: () => void): () => void;
  /** Sessions that are watched here at present. */
  readonly size: number;
  /** To be called after the session's end is committed. */
  ended(sessionId: string): void;
}

const CHANNEL = 'sessions';
/** setTimeout's longest delay; a session that lasts longer is looked at again then. */
const LONGEST_MS = 2 ** 31 - 1;

export function createSessionWatch(bus: Bus, generation: string): SessionWatch {
  const watchers = new Map<string, Set<() => void>>();
  const endHere = (sessionId: string) => {
    for (const onEnd of [...(watchers.get(sessionId) ?? [])]) onEnd();
  };
  bus.subscribe(`${generation}:${CHANNEL}`, endHere);
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
      const wait = () => {
        const rest = expiresAt.getTime() - Date.now();
        timer = setTimeout(rest > LONGEST_MS ? wait : end, Math.max(0, Math.min(rest, LONGEST_MS)));
        timer.unref();
      };
      wait();
      const group = watchers.get(sessionId) ?? new Set();
      watchers.set(sessionId, group.add(end));
      return unwatch;
    },
    get size() {
      return watchers.size;
    },
    ended(sessionId) {
      bus.publish(`${generation}:${CHANNEL}`, sessionId);
      endHere(sessionId);
    },
  };
}
