import { IDBFactory, IDBKeyRange } from 'fake-indexeddb';
import { vi } from 'vitest';
import { WebSocket } from 'ws';
import { createParley, type Parley, type ParleyOptions } from '../../packages/client/src/index.js';
import { atEnd } from './ending.js';

interface Held {
  /** Rejects the promise of the request, because another one has stolen the lock. */
  steal: () => void;
  ended: Promise<unknown>;
}

/** Web Locks, as in a browser, of which all clients in this process are tabs. */
class FakeLocks {
  readonly #held = new Map<string, Held>();
  readonly #waiting = new Map<string, (() => void)[]>();

  request = <T>(name: string, ...rest: unknown[]): Promise<T> => {
    const work = rest.at(-1) as () => Promise<T>;
    const { steal = false } = (rest.length > 1 ? rest[0] : {}) as { steal?: boolean };
    return new Promise<T>((resolve, reject) => {
      const grant = () => {
        const held: Held = {
          steal: () => reject(new DOMException('The lock was stolen.', 'AbortError')),
          ended: Promise.resolve().then(work),
        };
        this.#held.set(name, held);
        const release = () => {
          if (this.#held.get(name) !== held) return;
          this.#held.delete(name);
          this.#waiting.get(name)?.shift()?.();
        };
        held.ended.then(
          (value) => {
            release();
            resolve(value as T);
          },
          (error) => {
            release();
            reject(error);
          },
        );
      };
      const held = this.#held.get(name);
      if (!held) return grant();
      if (steal) {
        held.steal();
        return grant();
      }
      const queue = this.#waiting.get(name) ?? [];
      this.#waiting.set(name, [...queue, grant]);
    });
  };
}

/** A browser with storage of its own. Its clients are tabs of the same site. */
export interface Browser {
  /** Opens a tab. It is closed at the end of the current test, if not before. */
  open(options: ParleyOptions): Parley;
}

/**
 * Gives this process what a browser has: WebSocket, IndexedDB and Web Locks. One browser at a time; the globals remain,
 * so that clients that are being closed can still use them.
 */
export function openBrowser({ isSecure = true } = {}): Browser {
  vi.stubGlobal('WebSocket', WebSocket);
  vi.stubGlobal('indexedDB', new IDBFactory());
  vi.stubGlobal('IDBKeyRange', IDBKeyRange);
  // Packages that later files load look at it.
  const userAgent = 'Parley';
  vi.stubGlobal('navigator', { userAgent, ...(isSecure && { locks: new FakeLocks() }) });
  return {
    open(options) {
      const parley = createParley(options);
      atEnd(() => parley.close());
      return parley;
    },
  };
}

/** A client without storage of its own, for a second person. */
export function openAlone(options: ParleyOptions): Parley {
  vi.stubGlobal('WebSocket', WebSocket);
  const parley = createParley({ ...options, storage: 'memory' });
  atEnd(() => parley.close());
  return parley;
}
