import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { PrismaPGlite } from 'pglite-prisma-adapter';
import { ChatError } from '../../core/errors.js';
import { settingsSql } from '../config/session-settings.js';
import type { Logger } from '../telemetry/log.js';
import { lockDataDir, openDataDir } from './data-dir.js';
import type { Footing, SqlSession } from './footing.js';
import { freeBytesOf, GuardedPGlite } from './guarded-pglite.js';
import { startMaintenance } from './pglite-maintenance.js';
import { syncTree } from './synced-node-fs.js';

const startParams = [
  // By default PGlite switches fsync off (-F): a loss of power would lose transactions whose mutations were answered.
  ...PGlite.defaultStartParams.filter((parameter) => parameter !== '-F'),
  // Of PostgreSQL's ways to synchronize its log the only one that reaches the file system: fdatasync does nothing in PGlite.
  ...['-c', 'wal_sync_method=fsync'],
  // The log is kept small: it is written over after each checkpoint, which the maintenance makes.
  ...['-c', 'min_wal_size=32MB', '-c', 'max_wal_size=128MB'],
];

/** PostgreSQL's default of 128 MB is cleared at each start; what is not cached there is in the file cache of the system. */
const CACHE_BYTES = 33_554_432;
const cacheParams = (bytes: number) => ['-c', `shared_buffers=${Math.floor(bytes / 1024)}kB`];

/** A new cluster is held in memory several times while PGlite makes it: segments of its log of 1 MB, and not of 16. */
const initDbStartParams = ['--wal-segsize=1'];

/** How often it is looked whether there is room again for a database that has ended, in milliseconds. */
const REOPEN_MS = 1_000;

/**
 * The embedded database: PostgreSQL in this process, kept in `dataDir`.
 * @param minFree bytes of its disk that are left free: with less nothing is written, and statements that would write
 *   fail as with a full disk (53100).
 * @param cacheBytes memory in which the database caches pages.
 * @throws {ConfigError} when another process holds the folder, or there can be no such folder.
 * @throws {ChatError} UNAVAILABLE: less is free.
 */
export async function openPglite(
  dataDir: string,
  minFree: number,
  log: Logger,
  cacheBytes = CACHE_BYTES,
): Promise<Footing> {
  const unlock = await lockDataDir(dataDir);
  const folder = join(dataDir, 'pg');
  let greet: Parameters<Footing['onConnection']>[0] = async () => {};
  let reopening: NodeJS.Timeout | undefined;
  let closed = false;
  let whenEnded: (ended: GuardedPGlite) => void = () => {};

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
      startParams: [...startParams, ...cacheParams(cacheBytes)],
      initDbStartParams,
    });
    await opened.waitReady;
    syncTree(folder);
    // PGlite gives files that it creates at a start permissions of its own, whatever the process's umask is.
    await openDataDir(dataDir, log);
    await opened.exec(settingsSql('public'));
    opened.onEnd = (cause) => {
      log.error({ err: cause }, 'embedded database stopped: its disk is full');
      whenEnded(opened);
    };
    return opened;
  }

  try {
    let database = await open();
    /** Opens another one in the place of one that has ended: what was answered is in its files. */
    const reopen = async (ended: GuardedPGlite): Promise<void> => {
      if (closed || freeBytesOf(dataDir) < minFree) return;
      clearInterval(reopening);
      await ended.close();
      try {
        const opened = await open();
        // Before anything else is written: it is another run of the server.
        await greet(sessionOn(opened));
        database = opened;
        log.info('embedded database reopened');
      } catch (error) {
        log.error({ err: error }, 'embedded database could not be reopened; the next call retries');
        reopening = setInterval(() => void reopen(ended), REOPEN_MS);
      }
    };
    whenEnded = (ended) => {
      reopening = setInterval(() => void reopen(ended), REOPEN_MS);
    };
    const maintenance = startMaintenance(() => database, log);
    return {
      footing: 'embedded',
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
      // The lock of the folder keeps others away.
      exclusively: (work) => work(sessionOn(database)),
      // There is one connection, and it is there; after a full disk there is another one.
      onConnection(next) {
        greet = next;
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
