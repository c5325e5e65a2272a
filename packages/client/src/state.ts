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

/**
 * Values by key. A write invalidates the computations that have read the key, so that reading those that are still valid
 * takes the same time however much they have read. Listeners are notified once per microtask.
 */
export class State {
  readonly #values = new Map<string, unknown>();
  readonly #readers = new Map<string, Set<() => void>>();
  readonly #listeners = new Set<(changed: ReadonlySet<string>) => void>();
  #changed = new Set<string>();

  get<T>(key: string): T | undefined {
    if (reader) {
      let readers = this.#readers.get(key);
      if (!readers) {
        readers = new Set();
        this.#readers.set(key, readers);
      }
      recordRead(readers);
    }
    return this.#values.get(key) as T | undefined;
  }

  /** Sets a value; `undefined` removes it. */
  set(key: string, value: unknown): void {
    if (this.#values.get(key) === value) return;
    if (value === undefined) this.#values.delete(key);
    else this.#values.set(key, value);
    // Invalidating empties the set.
    const readers = this.#readers.get(key) ?? [];
    this.#readers.delete(key);
    for (const invalidate of readers) invalidate();
    if (this.#changed.size === 0) queueMicrotask(() => this.#notify());
    this.#changed.add(key);
  }

  keys(): IterableIterator<string> {
    return this.#values.keys();
  }

  /** Calls the listener with the keys that changed, once per microtask. */
  onChange(listener: (changed: ReadonlySet<string>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #notify(): void {
    const changed = this.#changed;
    this.#changed = new Set();
    for (const listener of [...this.#listeners]) listener(changed);
  }

  /** Returns a function that computes a value, and computes it again only if something that it read has changed. */
  cached<T>(compute: () => T): () => T {
    let isValid = false;
    let value: T;
    const readers = new Set<() => void>();
    const own: Reader = {
      sources: new Set(),
      invalidate() {
        isValid = false;
        for (const source of own.sources) source.delete(own.invalidate);
        own.sources.clear();
        for (const invalidate of readers) invalidate();
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
      recordRead(readers);
      return value;
    };
  }

  /** A value that is computed from others. It notifies only when its result is another object. */
  derive<T>(compute: () => T, onSubscribe?: () => void): Readable<T> {
    const read = this.cached(compute);
    return {
      get value() {
        return read();
      },
      subscribe: (listener) => {
        let last = read();
        const stop = this.onChange(() => {
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
}
