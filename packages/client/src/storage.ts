import { cover, type Range } from './ranges.js';

/** An object of the API without nested objects: those are replaced by references. */
export interface Entity {
  id: string;
  __typename: string;
  conversationId?: string | undefined;
  [field: string]: unknown;
}

/** A change of the stored data. It is applied as a whole or not at all. */
export interface Change {
  /** Removes all objects and values first: `data` keeps the outbox and the session. */
  reset?: 'data' | 'all' | undefined;
  /** Objects to insert, or to merge into those with the same id. */
  put?: Entity[] | undefined;
  /** Ids of objects to remove. */
  remove?: string[] | undefined;
  /** Conversations whose messages are removed. */
  forget?: string[] | undefined;
  /** Values to set by key; `undefined` removes one. Keys that begin with `~` are kept in memory only. */
  set?: Record<string, unknown> | undefined;
  /** Ranges of `seq` of which all messages are known now. */
  cover?: [conversationId: string, from: number, to: number][] | undefined;
}

/** Where a client keeps its data between page loads. */
export interface Storage {
  /** Reads everything except messages. */
  load(): Promise<{ values: Map<string, unknown>; entities: Entity[] }>;
  /** Reads one value. */
  value(key: string): Promise<unknown>;
  /** Reads messages by their ids. */
  byId(ids: readonly string[]): Promise<Entity[]>;
  /** Reads the messages of a range, and the ranges of which all messages are stored. */
  messages(conversationId: string, from: number, to: number): Promise<{ found: Entity[]; ranges: readonly Range[] }>;
  /**
   * Applies a change in one transaction. With an `epoch`, the change is rejected if a later leader has written: see
   * `Fenced`.
   */
  write(change: Change, epoch?: number): Promise<void>;
  /** Starts a new epoch and returns its number. */
  nextEpoch(): Promise<number | undefined>;
  close(): void;
}

/** A write was rejected because another tab has become the leader. */
export class Fenced extends Error {}

/**
 * Whether a value remains after a reset. The epoch always does, because a leader that is still running must not write
 * with an epoch that is counted anew.
 */
export const survivesReset = (key: string, reset: 'data' | 'all'): boolean =>
  (reset === 'data' ? /^(outbox:|session$|epoch$|~)/ : /^(epoch$|~)/).test(key);

async function nothing(): Promise<undefined> {}

/** A storage that keeps nothing: the client then only has the data in memory. */
export const noStorage: Storage = {
  load: async () => ({ values: new Map(), entities: [] }),
  value: nothing,
  byId: async () => [],
  messages: async () => ({ found: [], ranges: [] }),
  write: nothing,
  nextEpoch: nothing,
  close: nothing,
};

const done = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const VALUES = 'values';
const ENTITIES = 'entities';
const MESSAGES = 'messages';
const ALL = [VALUES, ENTITIES, MESSAGES];

/** Opens a database of the browser. */
export async function openStorage(name: string): Promise<Storage> {
  const opening = indexedDB.open(name, 1);
  opening.onupgradeneeded = () => {
    const { result } = opening;
    result.createObjectStore(VALUES);
    result.createObjectStore(ENTITIES, { keyPath: 'id' });
    result.createObjectStore(MESSAGES, { keyPath: 'id' }).createIndex('seq', ['conversationId', 'seq']);
  };
  const db = await done(opening);
  // Otherwise another tab could not delete or upgrade the database.
  db.onversionchange = () => db.close();

  const read = (names: string[]) => {
    const tx = db.transaction(names);
    return (store: string) => tx.objectStore(store);
  };
  const bounds = (id: string, from: number, to: number) => IDBKeyRange.bound([id, from], [id, to]);

  async function transact(work: (tx: IDBTransaction) => Promise<void>): Promise<void> {
    const tx = db.transaction(ALL, 'readwrite');
    const complete = new Promise<void>((resolve, reject) => {
      tx.oncomplete = () => resolve();
      tx.onabort = () => reject(tx.error ?? new Error('The transaction was aborted.'));
    });
    try {
      await work(tx);
    } catch (error) {
      complete.catch(() => {});
      // It throws if the transaction has failed already.
      if (!tx.error) tx.abort();
      throw error;
    }
    await complete;
  }

  async function apply(tx: IDBTransaction, change: Change, epoch: number | undefined): Promise<void> {
    const [values, entities, messages] = ALL.map((store) => tx.objectStore(store)) as [
      IDBObjectStore,
      IDBObjectStore,
      IDBObjectStore,
    ];
    if (epoch !== undefined && epoch < ((await done(values.get('epoch'))) ?? 0)) throw new Fenced();
    if (change.reset) {
      entities.clear();
      messages.clear();
      for (const key of await done(values.getAllKeys())) {
        if (!survivesReset(key as string, change.reset)) values.delete(key);
      }
    }
    for (const id of change.remove ?? []) {
      entities.delete(id);
      messages.delete(id);
    }
    for (const id of change.forget ?? []) {
      values.delete(`ranges:${id}`);
      for (const key of await done(messages.index('seq').getAllKeys(bounds(id, 0, Number.POSITIVE_INFINITY)))) {
        messages.delete(key);
      }
    }
    for (const entity of change.put ?? []) {
      const store = entity.__typename === 'Message' ? messages : entities;
      store.put({ ...(await done(store.get(entity.id))), ...entity });
    }
    for (const [key, value] of Object.entries(change.set ?? {})) {
      if (key.startsWith('~')) continue;
      if (value === undefined) values.delete(key);
      else values.put(value, key);
    }
    for (const [id, from, to] of change.cover ?? []) {
      const key = `ranges:${id}`;
      values.put(cover((await done(values.get(key))) ?? [], from, to), key);
    }
  }

  return {
    async load() {
      const store = read([VALUES, ENTITIES]);
      const [keys, list, entities] = await Promise.all([
        done(store(VALUES).getAllKeys()),
        done(store(VALUES).getAll()),
        done(store(ENTITIES).getAll()),
      ]);
      return { values: new Map(keys.map((key, index) => [key as string, list[index]])), entities };
    },
    value: (key) => done(read([VALUES])(VALUES).get(key)),
    async byId(ids) {
      const store = read([MESSAGES]);
      const found = await Promise.all(ids.map((id) => done<Entity | undefined>(store(MESSAGES).get(id))));
      return found.filter((entity) => entity !== undefined);
    },
    async messages(id, from, to) {
      const store = read([VALUES, MESSAGES]);
      const [ranges, found] = await Promise.all([
        done<readonly Range[] | undefined>(store(VALUES).get(`ranges:${id}`)),
        done<Entity[]>(
          store(MESSAGES)
            .index('seq')
            .getAll(bounds(id, from, to)),
        ),
      ]);
      return { ranges: ranges ?? [], found };
    },
    write: (change, epoch) => transact((tx) => apply(tx, change, epoch)),
    async nextEpoch() {
      let epoch = 0;
      await transact(async (tx) => {
        const values = tx.objectStore(VALUES);
        epoch = ((await done<number | undefined>(values.get('epoch'))) ?? 0) + 1;
        values.put(epoch, 'epoch');
      });
      return epoch;
    },
    close: () => db.close(),
  };
}
