import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { PrismaPGlite } from 'pglite-prisma-adapter';
import { lockDataDir, openDataDir } from './data-dir.js';
import type { Footing } from './footing.js';
import type { Logger } from './log.js';
import { settingsSql } from './session-settings.js';

/** PGlite has no autovacuum: without statistics its planner reads lists four times slower. */
const ANALYZE_INTERVAL_MS = 10 * 60_000;

/** The embedded database: PostgreSQL in this process, kept in `dataDir`. */
export async function openPglite(dataDir: string, log: Logger): Promise<Footing> {
  const unlock = await lockDataDir(dataDir);
  try {
    const database = await PGlite.create(join(dataDir, 'pg'));
    // PGlite gives the files of a new database permissions of its own, whatever the process's umask is.
    await openDataDir(dataDir, log);
    await database.exec(settingsSql('public'));
    const analyze = setInterval(() => {
      database.exec('ANALYZE').catch((error) => log.warn({ err: error }, 'ANALYZE failed'));
    }, ANALYZE_INTERVAL_MS);
    analyze.unref();
    return {
      footing: 'embedded',
      adapter: new PrismaPGlite(database),
      query: async <Row>(sql: string, parameters: unknown[]) => (await database.query<Row>(sql, parameters)).rows,
      transaction: (work) =>
        database.transaction((tx) =>
          work({
            query: async <Row>(sql: string, parameters: unknown[]) => (await tx.query<Row>(sql, parameters)).rows,
            finish: async (sql, parameters) => void (await tx.query(sql, parameters)),
          }),
        ),
      withSession: (work) =>
        work({
          run: async (sql) => void (await database.exec(sql)),
          query: async <Row>(sql: string, parameters: unknown[] = []) =>
            (await database.query<Row>(sql, parameters)).rows,
        }),
      // There is one connection, and it is there.
      onConnection() {},
      dropConnections() {},
      pool: () => undefined,
      async close() {
        clearInterval(analyze);
        await database.close();
        await unlock();
      },
    };
  } catch (error) {
    await unlock();
    throw error;
  }
}
