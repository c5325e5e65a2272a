import DataLoader from 'dataloader';
import type { Context } from './context.js';

/**
 * A way to read rows by key from wherever in an answer they are asked for: those asked for in one turn are read in
 * one statement, each key once. Nothing is kept between turns, for a subscription's context lives as long as it does.
 */
export function defineLoader<Row>(
  read: (context: Context, keys: readonly string[]) => Promise<readonly (Row | null)[]>,
): (context: Context, key: string) => Promise<Row | null> {
  const loaders = new WeakMap<Context, DataLoader<string, Row | null>>();
  return (context, key) => {
    let loader = loaders.get(context);
    if (!loader) {
      loader = new DataLoader(
        async (keys) => {
          const distinct = [...new Set(keys)];
          const rows = await read(context, distinct);
          const byKey = new Map(distinct.map((each, index) => [each, rows[index] ?? null]));
          return keys.map((each) => byKey.get(each) ?? null);
        },
        { cache: false },
      );
      loaders.set(context, loader);
    }
    return loader.load(key);
  };
}
