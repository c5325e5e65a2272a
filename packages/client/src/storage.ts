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

/** Where a client keeps its data between page reloads. */
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

/** An object with the fields that have arrived. A preview or a quote of a message does not replace its attachments: it lacks most of their fields. */
export const merge = (old: Entity | undefined, entity: Entity): Entity => ({
  ...old,
  ...entity,
  ...(old?.['replyCount'] !== undefined && entity['replyCount'] === undefined && { attachments: old['attachments'] }),
});

/**
 * Whether a value remains after a reset. The epoch always does, because a leader that is still running must not write
 * with an epoch whose count has started again.
 */
export const remainsAfterReset = (key: string, reset: 'data' | 'all'): boolean =>
  (reset === 'data' ? /^(outbox|session$|epoch$|~)/ : /^(epoch$|~)/).test(key);

async function nothing(): Promise<undefined> {}
const empty = async () => ({ values: new Map(), entities: [], found: [], ranges: [] });

/** A storage that keeps nothing: the client then only has the data in memory. */
export const noStorage: Storage = {
  load: empty,
  value: nothing,
  byId: async () => [],
  messages: empty,
  write: nothing,
  nextEpoch: nothing,
  close: nothing,
};

const done = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const STORES = ['values', 'entities', 'messages'];
type Stores = [values: IDBObjectStore, entities: IDBObjectStore, messages: IDBObjectStore];

/** The suffix of the name of the database with the files that wait to be sent. A full disk then affects only these. */
export const FILES = ':files';

/** Opens a database of the browser. */
export async function openStorage(name: string): Promise<Storage> {
  const opening = indexedDB.open(name, 1);
  opening.onupgradeneeded = () => {
    const { result } = opening;
    result.createObjectStore('values');
    result.createObjectStore('entities', { keyPath: 'id' });
    result.createObjectStore('messages', { keyPath: 'id' }).createIndex('seq', ['conversationId', 'seq']);
  };
  const db = await done(opening);
  // Otherwise another tab could not delete or upgrade the database.
  db.onversionchange = () => db.close();

  const stores = (tx: IDBTransaction) => STORES.map((name) => tx.objectStore(name)) as Stores;
  const read = () => stores(db.transaction(STORES));
  const bounds = (id: string, from: number, to: number) => IDBKeyRange.bound([id, from], [id, to]);

  async function transact(work: (stores: Stores) => Promise<void>): Promise<void> {
    const tx = db.transaction(STORES, 'readwrite');
    try {
      await work(stores(tx));
    } catch (error) {
      // It throws if the transaction has failed already.
      tx.abort();
      throw error;
    }
    // Otherwise the browser aborts the transaction if the page is closed right now.
    tx.commit();
    await new Promise((resolve, reject) => {
      tx.oncomplete = resolve;
      tx.onabort = () => reject(tx.error);
    });
  }

  async function apply(
    [values, entities, messages]: Stores,
    { reset, remove = [], forget = [], put = [], set = {}, cover: covered = [] }: Change,
    epoch: number | undefined,
  ): Promise<void> {
    if (epoch !== undefined && epoch < ((await done(values.get('epoch'))) ?? 0)) throw new Fenced();
    if (reset) {
      entities.clear();
      messages.clear();
      if (reset === 'all') indexedDB.deleteDatabase(name + FILES);
      for (const key of await done(values.getAllKeys())) {
        if (!remainsAfterReset(key as string, reset)) values.delete(key);
      }
    }
    for (const id of remove) {
      entities.delete(id);
      messages.delete(id);
    }
    for (const id of forget) {
      values.delete(`ranges:${id}`);
      for (const key of await done(messages.index('seq').getAllKeys(bounds(id, 0, Number.POSITIVE_INFINITY)))) {
        messages.delete(key);
      }
    }
    for (const entity of put) {
      const store = entity.__typename === 'Message' ? messages : entities;
      store.put(merge(await done(store.get(entity.id)), entity));
    }
    for (const [key, value] of Object.entries(set)) {
      if (key.startsWith('~')) continue;
      if (value === undefined) values.delete(key);
      else values.put(value, key);
    }
    for (const [id, from, to] of covered) {
      const key = `ranges:${id}`;
      values.put(cover((await done(values.get(key))) ?? [], from, to), key);
    }
  }

  return {
    async load() {
      const [values, objects] = read();
      const [keys, list, entities] = await Promise.all([
        done(values.getAllKeys()),
        done(values.getAll()),
        done(objects.getAll()),
      ]);
      return { values: new Map(keys.map((key, index) => [key as string, list[index]])), entities };
    },
    value: (key) => done(read()[0].get(key)),
    async byId(ids) {
      const [, , messages] = read();
      const found = await Promise.all(ids.map((id) => done<Entity | undefined>(messages.get(id))));
      return found.flatMap((entity) => entity ?? []);
    },
    async messages(id, from, to) {
      const [values, , messages] = read();
      const [ranges = [], found] = await Promise.all([
        done<readonly Range[] | undefined>(values.get(`ranges:${id}`)),
        done<Entity[]>(messages.index('seq').getAll(bounds(id, from, to))),
      ]);
      return { ranges, found };
    },
    write: (change, epoch) => transact((stores) => apply(stores, change, epoch)),
    async nextEpoch() {
      let epoch = 0;
      await transact(async ([values]) => {
        epoch = ((await done<number | undefined>(values.get('epoch'))) ?? 0) + 1;
        values.put(epoch, 'epoch');
      });
      return epoch;
    },
    close: () => db.close(),
  };
}
