import { FILES } from './storage.js';

/** The files that wait to be sent, in a database of the browser. */
export function createFiles(name: string) {
  let opening: Promise<IDBDatabase> | undefined;

  async function open(): Promise<IDBDatabase> {
    const request = indexedDB.open(name + FILES, 1);
    request.onupgradeneeded = () => request.result.createObjectStore('files');
    const db = await done(request);
    // It is deleted when the user signs out.
    db.onversionchange = close;
    return db;
  }

  async function use<T>(work: (files: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    opening ??= open();
    const db = await opening;
    return done(work(db.transaction('files', 'readwrite').objectStore('files')));
  }

  /** Closes the database until it is used again. */
  function close(): void {
    void opening?.then((db) => db.close());
    opening = undefined;
  }

  return {
    get: (id: string) => use<Blob | undefined>((files) => files.get(id)),
    put: (id: string, file: Blob) => use((files) => files.put(file, id)),
    delete: (id: string) => use((files) => files.delete(id)),
    ids: () => use((files) => files.getAllKeys() as IDBRequest<string[]>),
    close,
  };
}

const done = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
