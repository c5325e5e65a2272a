import { closeSync, fdatasyncSync, fsyncSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { PGlite } from '@electric-sql/pglite';
import { NodeFS } from '@electric-sql/pglite/nodefs';

type FileSystemOptions = Awaited<ReturnType<NodeFS['init']>>['emscriptenOpts'];

/** The properties of Emscripten's module that this file uses. */
interface EmscriptenModule {
  FS: { isDir(mode: number): boolean };
  NODEFS: {
    stream_ops: { fsync?: (stream: { nfd: number; node: { mode: number } }) => number };
    /** Runs `operation` and converts its errors to error codes that PostgreSQL understands. */
    tryFSOperation<T>(operation: () => T): T;
  };
}

/**
 * A directory as PGlite's file system, in which fsync reaches the disk. Emscripten's own file system reports success
 * without doing anything, so that a loss of power would lose committed transactions.
 */
export class SyncedNodeFS extends NodeFS {
  override async init(pg: PGlite, options: FileSystemOptions) {
    const { emscriptenOpts } = await super.init(pg, options);
    const addSync = (module: unknown) => {
      const { FS, NODEFS } = module as EmscriptenModule;
      NODEFS.stream_ops.fsync = ({ nfd, node }) => {
        if (FS.isDir(node.mode)) syncDirectory(nfd);
        // fdatasync includes the size of a file, but not its times.
        else NODEFS.tryFSOperation(() => fdatasyncSync(nfd));
        return 0;
      };
    };
    return { emscriptenOpts: { ...emscriptenOpts, preRun: [...(emscriptenOpts.preRun ?? []), addSync] } };
  }
}

/**
 * Syncs a directory tree to the disk. PostgreSQL only syncs the files that it changes itself, and not those of a new
 * cluster, of a copy, or of an earlier version that did not sync.
 */
export function syncTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) syncTree(path);
    else if (entry.isFile()) withDescriptor(path, 'r+', fdatasyncSync);
  }
  // Windows cannot open directories.
  if (process.platform !== 'win32') withDescriptor(folder, 'r', syncDirectory);
}

function withDescriptor(path: string, flags: string, work: (descriptor: number) => void): void {
  const descriptor = openSync(path, flags);
  try {
    work(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Ignores the errors of file systems that cannot sync directories. */
function syncDirectory(descriptor: number): void {
  try {
    fsyncSync(descriptor);
  } catch (error) {
    if (!['EINVAL', 'EPERM', 'EISDIR', 'EACCES', 'ENOTSUP'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
  }
}
