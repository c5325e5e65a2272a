/**
 * Where keys are kept. Values are structured-cloneable: objects, strings, numbers and byte arrays. An implementation must not
 * return before what it has written survives a power failure, because what is published to the server must never be lost here.
 */
export interface E2eeStorage {
  /** The value of a key; undefined if there is none. */
  get(key: string): Promise<unknown>;
  /** All values whose keys begin with `prefix`, by their keys. */
  list(prefix: string): Promise<Map<string, unknown>>;
  /**
   * Sets values in one transaction; undefined removes one.
   * @param guard a key and the `revision` that its value must have (undefined: no value). Otherwise nothing is written.
   * @returns whether the values were written.
   */
  write(changes: Record<string, unknown>, guard?: Guard): Promise<boolean>;
  close(): void;
}

/** A condition of a write, so that of two writers one fails. */
export interface Guard {
  key: string;
  revision: number | undefined;
}

const revisionOf = (value: unknown) => (value as { revision?: number } | undefined)?.revision;

/** Keeps everything in this object, which several clients can share, as tabs share a database. */
export function memoryStorage(): E2eeStorage {
  const values = new Map<string, unknown>();
  return {
    get: async (key) => structuredClone(values.get(key)),
    list: async (prefix) => structuredClone(new Map([...values].filter(([key]) => key.startsWith(prefix)))),
    async write(changes, guard) {
      if (guard && revisionOf(values.get(guard.key)) !== guard.revision) return false;
      for (const [key, value] of Object.entries(changes)) {
        if (value === undefined) values.delete(key);
        else values.set(key, structuredClone(value));
      }
      return true;
    },
    close() {},
  };
}

const STORE = 'values';

const resultOf = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Keeps everything in a database of IndexedDB. */
export async function indexedDbStorage(name: string): Promise<E2eeStorage> {
  const opening = indexedDB.open(name, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  const database = await resultOf(opening);
  return {
    get: (key) => resultOf(database.transaction(STORE).objectStore(STORE).get(key)),
    async list(prefix) {
      const store = database.transaction(STORE).objectStore(STORE);
      const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`);
      const [keys, values] = await Promise.all([resultOf(store.getAllKeys(range)), resultOf(store.getAll(range))]);
      return new Map(keys.map((key, index) => [String(key), values[index]]));
    },
    write(changes, guard) {
      return new Promise((resolve, reject) => {
        // By default, a browser may report a transaction as complete before it is on the disk.
        const transaction = database.transaction(STORE, 'readwrite', { durability: 'strict' });
        const store = transaction.objectStore(STORE);
        let isRefused = false;
        const apply = () => {
          for (const [key, value] of Object.entries(changes)) {
            if (value === undefined) store.delete(key);
            else store.put(value, key);
          }
        };
        if (guard) {
          const reading = store.get(guard.key);
          reading.onsuccess = () => {
            isRefused = revisionOf(reading.result) !== guard.revision;
            if (!isRefused) apply();
          };
        } else {
          apply();
        }
        transaction.oncomplete = () => resolve(!isRefused);
        transaction.onerror = () => reject(transaction.error);
        transaction.onabort = () => reject(transaction.error);
      });
    },
    close: () => database.close(),
  };
}
