import type { Readable } from '@parley/client';

/** A value that changes, and that components can follow with `useReadable`. */
export interface Value<T> extends Readable<T> {
  set(next: T): void;
}

export function createValue<T>(initial: T): Value<T> {
  const listeners = new Set<(value: T) => void>();
  let value = initial;
  return {
    get value() {
      return value;
    },
    set(next) {
      if (next === value) return;
      value = next;
      for (const listener of [...listeners]) listener(next);
    },
    subscribe(listener) {
      listeners.add(listener);
      listener(value);
      return () => listeners.delete(listener);
    },
  };
}
