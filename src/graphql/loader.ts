import DataLoader from 'dataloader';
import type { Context } from './context.js';

/** The maximum number of keys in one statement, far below the 32,767 parameters of PostgreSQL's protocol. */
const KEYS_MAX = 1_000;

/**
 * Defines a loader that batches lookups of rows by key. Keys that are requested in one turn of the event loop are read
 * in one statement (more than KEYS_MAX keys in several), each key once. Nothing is cached between turns, because the
 * context of a subscription exists as long as the subscription.
 * @param read returns the rows of these keys in the same order, with null for those that do not exist.
 */
export function defineLoader<Row>(
  read: (context: Context, keys: readonly string[]) => Promise<readonly (Row | null)[]>,
): (context: Context, key: string) => Promise<Row | null> {
  return loaderOf(async (context, keys) => {
    const distinct = [...new Set(keys)];
    const byKey = new Map<string, Row | null>();
    await Promise.all(
      chunksOf(distinct).map(async (chunk) => {
        const rows = await read(context, chunk);
        for (const [index, key] of chunk.entries()) byKey.set(key, rows[index] ?? null);
      }),
    );
    return keys.map((key) => byKey.get(key) ?? null);
  });
}

/**
 * Defines a loader that batches lookups of lists by their owner and by the requested part of the list, for example a
 * page. Lists with equal requests are read together, and each list is read once.
 * @param read returns the requested part of the lists of these owners, in the same order.
 */
export function defineListLoader<Wanted, Value>(
  read: (context: Context, ownerIds: readonly string[], wanted: Wanted) => Promise<readonly Value[]>,
): (context: Context, ownerId: string, wanted: Wanted) => Promise<Value> {
  type Key = { ownerId: string; wanted: Wanted };
  const load = loaderOf<Key, Value>(async (context, keys) => {
    const texts = new Map<Wanted, string>();
    const textOf = (wanted: Wanted) => {
      const text = texts.get(wanted) ?? JSON.stringify(wanted);
      texts.set(wanted, text);
      return text;
    };
    const groups = new Map<string, { wanted: Wanted; ownerIds: Set<string>; byOwner: Map<string, Promise<Value>> }>();
    for (const { ownerId, wanted } of keys) {
      const group = groups.get(textOf(wanted)) ?? { wanted, ownerIds: new Set(), byOwner: new Map() };
      group.ownerIds.add(ownerId);
      groups.set(textOf(wanted), group);
    }
    for (const { wanted, ownerIds, byOwner } of groups.values()) {
      for (const chunk of chunksOf([...ownerIds])) {
        const values = read(context, chunk, wanted);
        for (const [index, ownerId] of chunk.entries()) {
          byOwner.set(
            ownerId,
            values.then((all) => all[index] as Value),
          );
        }
      }
    }
    const settled = await Promise.allSettled(
      keys.map(({ ownerId, wanted }) => groups.get(textOf(wanted))?.byOwner.get(ownerId) as Promise<Value>),
    );
    return settled.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : (outcome.reason as Error)));
  });
  return (context, ownerId, wanted) => load(context, { ownerId, wanted });
}

/**
 * The maximum number of rows that resolvers process in one turn of the event loop, so that other requests are not
 * blocked.
 */
const ROWS_IN_TURN = 250;

/** A value, and the turn of the event loop in which it can be processed; undefined for the current turn. */
interface Given<Value> {
  value: Value;
  turn: Promise<void> | undefined;
}

function loaderOf<Key, Value>(
  batch: (context: Context, keys: readonly Key[]) => Promise<(Value | Error)[]>,
): (context: Context, key: Key) => Promise<Value> {
  const loaders = new WeakMap<Context, DataLoader<Key, Given<Value>>>();
  return async (context, key) => {
    let loader = loaders.get(context);
    if (!loader) {
      loader = new DataLoader(async (keys) => inTurns(await batch(context, keys)), { cache: false });
      loaders.set(context, loader);
    }
    const { value, turn } = await loader.load(key);
    if (turn) await turn;
    return value;
  };
}

/** Distributes many values over several turns of the event loop. */
function inTurns<Value>(values: readonly (Value | Error)[]): (Given<Value> | Error)[] {
  const begins: (() => void)[] = [];
  let turn: Promise<void> | undefined;
  let rows = 0;
  const given = values.map((value) => {
    rows += Array.isArray(value) ? Math.max(1, value.length) : 1;
    if (rows > ROWS_IN_TURN) {
      turn = new Promise((resolve) => begins.push(resolve));
      rows = 0;
    }
    return value instanceof Error ? value : { value, turn };
  });
  const next = () => {
    const begin = begins.shift();
    if (!begin) return;
    begin();
    setImmediate(next);
  };
  if (begins.length > 0) setImmediate(next);
  return given;
}

function chunksOf<Item>(items: readonly Item[]): Item[][] {
  const chunks: Item[][] = [];
  for (let at = 0; at < items.length; at += KEYS_MAX) chunks.push(items.slice(at, at + KEYS_MAX));
  return chunks;
}
