/** Runs one function at a time for each name, in all tabs of a browser. */
export interface E2eeLocks {
  run<T>(name: string, work: () => Promise<T>): Promise<T>;
}

/** Locks of this object. Clients in one process share it. */
export function memoryLocks(): E2eeLocks {
  const last = new Map<string, Promise<unknown>>();
  return {
    run(name, work) {
      const result = (last.get(name) ?? Promise.resolve()).then(work, work);
      last.set(name, result);
      const clean = () => {
        if (last.get(name) === result) last.delete(name);
      };
      result.then(clean, clean);
      return result;
    },
  };
}

/** For how long another tab waits for a lock before it takes it over, in milliseconds. */
const STEAL_AFTER = 60_000;

/**
 * Web Locks. A browser can freeze a tab that holds a lock: another tab takes it over after `stealAfter` milliseconds. What the first
 * one writes later is refused by the storage, because the revision has changed.
 */
export function webLocks(stealAfter = STEAL_AFTER): E2eeLocks {
  return {
    async run(name, work) {
      const waiting = new AbortController();
      const timer = setTimeout(() => waiting.abort(), stealAfter);
      try {
        return await navigator.locks.request(name, { signal: waiting.signal }, () => {
          clearTimeout(timer);
          return work();
        });
      } catch (error) {
        if (!waiting.signal.aborted) throw error;
        return await navigator.locks.request(name, { steal: true }, work);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

/** Web Locks where the environment has them, as browsers in secure contexts do. */
export const defaultLocks = (): E2eeLocks => (globalThis.navigator?.locks ? webLocks() : memoryLocks());
