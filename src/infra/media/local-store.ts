import { createReadStream, createWriteStream } from 'node:fs';
import { type FileHandle, mkdir, open, opendir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Interrupted, type MediaStore, WrongLength } from './store.js';

/** How many bytes of a part wait in memory while earlier ones are being written. They are written together. */
const WRITE_BUFFER = 1024 * 1024;

/**
 * A store in a directory: `ab/abcdef…/original`. Several nodes can share the directory.
 */
export function createLocalStore(root: string): MediaStore {
  const folderOf = (key: string) => {
    // Keys are read from the database only. This is a second protection against paths in them.
    if (!/^[0-9a-f]{32}$/.test(key)) throw new Error('Not a key of the media store');
    return join(root, key.slice(0, 2), key);
  };
  const pathOf = (key: string, name: string) => join(folderOf(key), name);

  return {
    uploads: {
      receiver: 'NODE',
      async writePart(key, { offset, byteSize }, source) {
        await mkdir(folderOf(key), { recursive: true, mode: 0o700 });
        const path = pathOf(key, 'upload');
        const file = await openForWriting(path);
        try {
          const target = createWriteStream(path, { flags: 'r+', start: offset, highWaterMark: WRITE_BUFFER });
          try {
            // The request must not be destroyed by an error, because it needs a response.
            await pipeline(source.iterator({ destroyOnReturn: false }), exactly(byteSize), target);
          } catch (error) {
            if (error instanceof WrongLength || !source.errored) throw error;
            await file.datasync();
            throw new Interrupted(target.bytesWritten, error);
          }
          await file.datasync();
        } finally {
          await file.close();
        }
      },
    },
    withFile: (key, name, use) => use(pathOf(key, name)),
    async put(key, name, path) {
      const target = pathOf(key, name);
      const file = await open(path, 'r+');
      try {
        await file.datasync();
      } finally {
        await file.close();
      }
      await rename(path, target);
      await syncFolder(dirname(target));
    },
    remove: (key, name) => rm(pathOf(key, name), { force: true }),
    async read(key, name, { start, end }) {
      try {
        const file = await open(pathOf(key, name), 'r');
        return createReadStream('', { fd: file, start, end, highWaterMark: 256 * 1024 });
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    async size(key, name) {
      try {
        return (await stat(pathOf(key, name))).size;
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    deleteAll: (key) => rm(folderOf(key), { recursive: true, force: true }),
    async *keys() {
      for await (const shard of entriesOf(root)) {
        for await (const key of entriesOf(join(root, shard))) yield key;
      }
    },
    isAvailable: async () => true,
    close() {},
  };
}

async function* entriesOf(path: string): AsyncIterable<string> {
  try {
    for await (const entry of await opendir(path)) if (entry.isDirectory()) yield entry.name;
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** Opens a file for writing at any offset, without truncating it. */
async function openForWriting(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r+');
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  try {
    return await open(path, 'wx+', 0o600);
  } catch (error) {
    // Another part has created it in the meantime.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return open(path, 'r+');
  }
}

/** Passes on what it reads. @throws {WrongLength} if it is more or fewer bytes. */
function exactly(byteSize: number) {
  return async function* (source: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
    let passed = 0;
    for await (const chunk of source) {
      passed += chunk.length;
      if (passed > byteSize) throw new WrongLength();
      yield chunk;
    }
    if (passed < byteSize) throw new WrongLength();
  };
}

/** Makes the names in a folder durable. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';
