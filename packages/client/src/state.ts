/**
 * A value that changes. `subscribe` calls the listener at once and after each change, so it is a store of Svelte; with
 * `value` as the snapshot it also fits React's `useSyncExternalStore`. Values are immutable: as long as nothing has
 * changed, `value` returns the same object.
 */
export interface Readable<T> {
  readonly value: T;
  /** @returns a function that ends the subscription. */
  subscribe(listener: (value: T) => void): () => void;
}

/** A computation in progress: what it reads calls `invalidate` at the next change. */
interface Reader {
  invalidate: () => void;
  /** The sets that contain `invalidate`. */
  readonly sources: Set<Set<() => void>>;
}

let reader: Reader | undefined;

/** Records that the computation in progress has read something. */
function recordRead(readers: Set<() => void>): void {
  if (!reader) return;
  readers.add(reader.invalidate);
  reader.sources.add(readers);
}

export type State = ReturnType<typeof createState>;

/**
 * Values by key. A write invalidates the computations that have read the key, so that reading those that are still valid
 * takes the same time however much they have read. Listeners are notified once per microtask.
 */
export function createState() {
  const values = new Map<string, unknown>();
  const readers = new Map<string, Set<() => void>>();
  const listeners = new Set<(changed: ReadonlySet<string>) => void>();
  let changed = new Set<string>();

  function get<T>(key: string): T | undefined {
    if (reader) {
      let found = readers.get(key);
      if (!found) {
        found = new Set();
        readers.set(key, found);
      }
      recordRead(found);
    }
    return values.get(key) as T | undefined;
  }

  /** Sets a value; `undefined` removes it. */
  function set(key: string, value: unknown): void {
    if (values.get(key) === value) return;
    if (value === undefined) values.delete(key);
    else values.set(key, value);
    // Invalidating empties the set.
    const found = readers.get(key) ?? [];
    readers.delete(key);
    for (const invalidate of found) invalidate();
    if (changed.size === 0) queueMicrotask(notify);
    changed.add(key);
  }

  function notify(): void {
    const before = changed;
    changed = new Set();
    for (const listener of [...listeners]) listener(before);
  }

  /** Calls the listener with the keys that changed, once per microtask. */
  function onChange(listener: (changed: ReadonlySet<string>) => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Returns a function that computes a value, and computes it again only if something that it read has changed. */
  function cached<T>(compute: () => T): () => T {
    let isValid = false;
    let value: T;
    const dependents = new Set<() => void>();
    const own: Reader = {
      sources: new Set(),
      invalidate() {
        isValid = false;
        for (const source of own.sources) source.delete(own.invalidate);
        own.sources.clear();
        for (const invalidate of dependents) invalidate();
      },
    };
    return () => {
      if (!isValid) {
        const outer = reader;
        reader = own;
        try {
          value = compute();
          isValid = true;
        } finally {
          reader = outer;
        }
      }
      recordRead(dependents);
      return value;
    };
  }

  /** A value that is computed from others. It notifies only when its result is another object. */
  function derive<T>(compute: () => T, onSubscribe?: () => void): Readable<T> {
    const read = cached(compute);
    return {
      get value() {
        return read();
      },
      subscribe: (listener) => {
        let last = read();
        const stop = onChange(() => {
          const value = read();
          if (value === last) return;
          last = value;
          listener(value);
        });
        listener(last);
        onSubscribe?.();
        return stop;
      },
    };
  }

  return { get, set, keys: () => values.keys(), onChange, cached, derive };
}
