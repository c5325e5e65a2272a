import type { Parley, Readable } from '@parley/client';
import { useEffect, useState } from 'react';
import { useParley } from './parley.ts';

/** How long to wait at most until the browser has painted, and then until it is idle, in milliseconds. */
const PAINT_MS = 500;
const IDLE_MS = 2_000;
/** How long to wait in browsers that do not report when they are idle, in milliseconds. */
const UNREPORTED_IDLE_MS = 200;

/** Resolves when what has been rendered is painted and the browser is idle, or after a maximum time. */
export async function whenIdle(): Promise<void> {
  await new Promise((resolve) => {
    requestAnimationFrame(() => setTimeout(resolve));
    // Nothing is painted in a tab that is not visible.
    setTimeout(resolve, PAINT_MS);
  });
  await new Promise((resolve) =>
    'requestIdleCallback' in globalThis
      ? requestIdleCallback(resolve, { timeout: IDLE_MS })
      : setTimeout(resolve, UNREPORTED_IDLE_MS),
  );
}

/** Resolves when a value fulfills a condition. */
export async function until<T>(readable: Readable<T>, isFulfilled: (value: T) => boolean): Promise<void> {
  let stop = () => {};
  await new Promise<void>((resolve) => {
    stop = readable.subscribe((value) => isFulfilled(value) && resolve());
  });
  stop();
}

/**
 * A hook that loads a part of the client, and returns it; undefined until then. The part is loaded after the conversations: `now`
 * where something that is displayed needs it, and `later`, when they are painted and the browser is idle, in the first view.
 */
export function createHook<T>(load: (parley: Parley) => Promise<T>): (when?: 'now' | 'later') => T | undefined {
  interface Part {
    loaded: T | undefined;
    loading: Promise<T> | undefined;
    isNeeded: Promise<void>;
    need(): void;
  }
  const parts = new WeakMap<Parley, Part>();

  function partOf(parley: Parley): Part {
    let part = parts.get(parley);
    if (!part) {
      const { promise, resolve } = Promise.withResolvers<void>();
      part = { loaded: undefined, loading: undefined, isNeeded: promise, need: resolve };
      parts.set(parley, part);
    }
    return part;
  }

  async function start(parley: Parley, part: Part): Promise<T> {
    await until(parley.conversations, ({ isLoaded }) => isLoaded);
    await Promise.race([part.isNeeded, whenIdle()]);
    part.loaded = await load(parley);
    return part.loaded;
  }

  return (when = 'now') => {
    const parley = useParley();
    const [found, setFound] = useState(() => parts.get(parley)?.loaded);
    useEffect(() => {
      if (found) return;
      const part = partOf(parley);
      if (when === 'now') part.need();
      part.loading ??= start(parley, part);
      part.loading.then(
        (loaded) => setFound(() => loaded),
        () => {
          part.loading = undefined;
        },
      );
    }, [parley, found, when]);
    return found;
  };
}

/** A value that does not change, until another one has been loaded. */
export const constant = <T>(value: T) => ({
  value,
  subscribe(listener: (value: T) => void) {
    listener(value);
    return () => {};
  },
});
