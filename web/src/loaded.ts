import type { Parley } from '@parley/client';
import { useEffect, useState } from 'react';
import { useParley } from './parley.ts';

/**
 * A hook that loads a part of the client as soon as the conversations are displayed, and returns it; undefined until then.
 */
export function createHook<T>(load: (parley: Parley) => Promise<T>): () => T | undefined {
  const loaded = new WeakMap<Parley, T>();
  const loading = new WeakMap<Parley, Promise<T>>();

  async function start(parley: Parley): Promise<T> {
    const { conversations } = parley;
    if (!conversations.value.isLoaded) {
      let stop = () => {};
      await new Promise<void>((resolve) => {
        stop = conversations.subscribe(({ isLoaded }) => isLoaded && resolve());
      });
      stop();
    }
    const part = await load(parley);
    loaded.set(parley, part);
    return part;
  }

  return () => {
    const parley = useParley();
    const [found, setFound] = useState(() => loaded.get(parley));
    useEffect(() => {
      if (found) return;
      const promise = loading.get(parley) ?? start(parley);
      loading.set(parley, promise);
      promise.then(
        (part) => setFound(() => part),
        () => loading.delete(parley),
      );
    }, [parley, found]);
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
