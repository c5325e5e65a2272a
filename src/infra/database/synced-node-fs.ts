import { closeSync, fdatasyncSync, fsyncSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import { NodeFS } from '@electric-sql/pglite/nodefs';

type FileSystemOptions = Awaited<ReturnType<NodeFS['init']>>['emscriptenOpts'];

/** The parts of Emscripten's module that this file uses. */
interface EmscriptenModule {
  FS: { isDir(mode: number): boolean };
  NODEFS: {
    stream_ops: { fsync?: (stream: { nfd: number; node: { mode: number } }) => number };
    /** Runs `operation`; what it throws becomes an error that PostgreSQL understands. */
    tryFSOperation<T>(operation: () => T): T;
  };
}

/**
 * A folder as PGlite's file system, in which PostgreSQL's fsync reaches the disk. Emscripten's own has no such
 * operation: it answers success and does nothing, and a loss of power would lose transactions that were committed.
 */
export class SyncedNodeFS extends NodeFS {
  override async init(pg: PGlite, options: FileSystemOptions) {
    const { emscriptenOpts } = await super.init(pg, options);
    const addSync = (module: unknown) => {
      const { FS, NODEFS } = module as EmscriptenModule;
      NODEFS.stream_ops.fsync = ({ nfd, node }) => {
        if (FS.isDir(node.mode)) syncFolder(nfd);
        // The size of the file is synchronized as well, its times are not.
        else NODEFS.tryFSOperation(() => fdatasyncSync(nfd));
        return 0;
      };
    };
    return { emscriptenOpts: { ...emscriptenOpts, preRun: [...(emscriptenOpts.preRun ?? []), addSync] } };
  }
}

/**
 * Writes everything in a folder through to the disk: PostgreSQL synchronizes only what it changes itself, not the files
 * of a new cluster, of a copy, or of a version that did not synchronize.
 */
export function syncTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) syncTree(path);
    else if (entry.isFile()) withDescriptor(path, 'r+', fdatasyncSync);
  }
  // Windows opens no folders.
  if (process.platform !== 'win32') withDescriptor(folder, 'r', syncFolder);
}

function withDescriptor(path: string, flags: string, work: (descriptor: number) => void): void {
  const descriptor = openSync(path, flags);
  try {
    work(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Some file systems do not synchronize folders, and write them with their files. */
function syncFolder(descriptor: number): void {
  try {
    fsyncSync(descriptor);
  } catch (error) {
    if (!['EINVAL', 'EPERM', 'EISDIR', 'EACCES', 'ENOTSUP'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
  }
}
