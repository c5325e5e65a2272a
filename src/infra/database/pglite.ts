import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { PrismaPGlite } from 'pglite-prisma-adapter';
import { ChatError } from '../../core/errors.js';
import { settingsSql } from '../config/session-settings.js';
import type { Logger } from '../telemetry/log.js';
import { lockDataDir, openDataDir } from './data-dir.js';
import type { DatabaseDriver, SqlSession } from './driver.js';
import { freeBytesOf, GuardedPGlite } from './guarded-pglite.js';
import { startMaintenance } from './pglite-maintenance.js';
import { syncTree } from './synced-node-fs.js';

const startParams = [
  // PGlite disables fsync by default (-F): a loss of power would lose committed transactions.
  ...PGlite.defaultStartParams.filter((parameter) => parameter !== '-F'),
  // The only method to sync the log that reaches the file system: fdatasync does nothing in PGlite.
  ...['-c', 'wal_sync_method=fsync'],
  // Keeps the log small: its segments are reused after each checkpoint, which the maintenance triggers.
  ...['-c', 'min_wal_size=32MB', '-c', 'max_wal_size=128MB'],
];

/**
 * PostgreSQL's default of 128 MB is cleared at each start. Pages that are not cached there are in the system's file
 * cache.
 */
const CACHE_BYTES = 33_554_432;
const cacheParams = (bytes: number) => ['-c', `shared_buffers=${Math.floor(bytes / 1024)}kB`];

/**
 * PGlite holds several copies of a new cluster in memory while it creates it, so log segments have 1 MB instead of 16.
 */
const initDbStartParams = ['--wal-segsize=1'];

let program: Promise<WebAssembly.Module> | undefined;

/**
 * The WebAssembly program of PGlite. PGlite itself would compile it for each database that it opens, which takes a
 * quarter of the CPU time of opening one.
 */
function compiledProgram(): Promise<WebAssembly.Module> {
  program ??= readFile(join(dirname(createRequire(import.meta.url).resolve('@electric-sql/pglite')), 'pglite.wasm'))
    .then((bytes) => WebAssembly.compile(bytes))
    .catch((error: unknown) => {
      program = undefined;
      throw error;
    });
  return program;
}

/** How often a database that stopped because of a full disk is checked for free space, in milliseconds. */
const REOPEN_MS = 1_000;

/**
 * Opens the embedded database: PostgreSQL in this process, stored in `dataDir`.
 * @param minFree the free disk space to preserve, in bytes: with less, statements that write fail as with a full disk
 *   (53100).
 * @param cacheBytes the size of the database's page cache.
 * @throws {ConfigError} if another process uses the directory, or it cannot be created.
 * @throws {ChatError} UNAVAILABLE if less than `minFree` is free.
 */
export async function openPglite(
  dataDir: string,
  minFree: number,
  log: Logger,
  cacheBytes = CACHE_BYTES,
): Promise<DatabaseDriver> {
  const unlock = await lockDataDir(dataDir);
  const folder = join(dataDir, 'pg');
  let initialize: Parameters<DatabaseDriver['onConnection']>[0] = async () => {};
  let reopening: NodeJS.Timeout | undefined;
  let closed = false;
  let onDatabaseEnd: (ended: GuardedPGlite) => void = () => {};

  async function open(): Promise<GuardedPGlite> {
    const free = freeBytesOf(dataDir);
    if (free < minFree) {
      const megabytes = (bytes: number) => Math.floor(bytes / 1_000_000);
      throw new ChatError(
        'UNAVAILABLE',
        `DATA_DIR: the disk of ${dataDir} is full: ${megabytes(free)} MB are free, and the embedded database requires ` +
          `${megabytes(minFree)} MB (DATA_DIR_MIN_FREE_BYTES)`,
      );
    }
    const opened = new GuardedPGlite(folder, minFree, {
      pgliteWasmModule: await compiledProgram(),
      startParams: [...startParams, ...cacheParams(cacheBytes)],
      initDbStartParams,
    });
    await opened.waitReady;
    syncTree(folder);
    // PGlite sets permissions of new files itself, regardless of the umask.
    await openDataDir(dataDir, log);
    await opened.exec(settingsSql('public'));
    await opened.separateParsersOfRows();
    opened.onEnd = (cause) => {
      log.error({ err: cause }, 'embedded database stopped: its disk is full');
      onDatabaseEnd(opened);
    };
    return opened;
  }

  try {
    let database = await open();
    /** Reopens a database that has stopped. Its files contain all committed transactions. */
    const reopen = async (ended: GuardedPGlite): Promise<void> => {
      if (closed || freeBytesOf(dataDir) < minFree) return;
      clearInterval(reopening);
      await ended.close();
      try {
        const opened = await open();
        // Before any other write, because this is a new run of the server.
        await initialize(sessionOn(opened));
        database = opened;
        log.info('embedded database reopened');
      } catch (error) {
        log.error({ err: error }, 'embedded database could not be reopened; the next call retries');
        reopening = setInterval(() => void reopen(ended), REOPEN_MS);
      }
    };
    onDatabaseEnd = (ended) => {
      reopening = setInterval(() => void reopen(ended), REOPEN_MS);
    };
    const maintenance = startMaintenance(() => database, log);
    return {
      mode: 'embedded',
      adapter: new PrismaPGlite({
        query: (...call: Parameters<PGlite['query']>) => database.query(...call),
        exec: (...call: Parameters<PGlite['exec']>) => database.exec(...call),
        transaction: (...call: Parameters<PGlite['transaction']>) => database.transaction(...call),
      } as unknown as PGlite),
      query: async <Row>(sql: string, parameters: unknown[]) => (await database.query<Row>(sql, parameters)).rows,
      transaction: (work) =>
        database.transaction((tx) =>
          work({
            query: async <Row>(sql: string, parameters: unknown[]) => (await tx.query<Row>(sql, parameters)).rows,
            finish: async (sql, parameters) => void (await tx.query(sql, parameters)),
          }),
        ),
      // The lock of the directory already excludes other processes.
      exclusively: (work) => work(sessionOn(database)),
      // The only connection already exists; a new one is opened only after a full disk.
      onConnection(next) {
        initialize = next;
      },
      dropConnections() {},
      pool: () => undefined,
      async close() {
        closed = true;
        clearInterval(reopening);
        await maintenance.close();
        await database.close();
        await unlock();
      },
    };
  } catch (error) {
    await unlock();
    throw error;
  }
}

const sessionOn = (database: PGlite): SqlSession => ({
  run: async (sql) => void (await database.exec(sql)),
  query: async <Row>(sql: string, parameters: unknown[] = []) => (await database.query<Row>(sql, parameters)).rows,
});
