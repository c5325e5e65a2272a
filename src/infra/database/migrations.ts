import { createHash, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { ConfigError } from '../config/config-error.js';
import { version } from '../config/version.js';
import type { Logger } from '../telemetry/log.js';
import type { SqlSession } from './driver.js';

/** The relative path is the same from src/infra and from dist/infra. */
const folder = new URL('../../../prisma/migrations/', import.meta.url);

/** The table of Prisma, so that `prisma migrate deploy` and `prisma migrate status` work with the same database. */
const table = `
  CREATE TABLE IF NOT EXISTS _prisma_migrations (
    id                  VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum            VARCHAR(64) NOT NULL,
    finished_at         TIMESTAMPTZ,
    migration_name      VARCHAR(255) NOT NULL,
    logs                TEXT,
    rolled_back_at      TIMESTAMPTZ,
    started_at          TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count INTEGER NOT NULL DEFAULT 0
  )`;

interface AppliedRow {
  migration_name: string;
  checksum: string;
  finished: boolean;
}

/**
 * Applies the missing migrations of prisma/migrations in order, each in a transaction together with its row in Prisma's
 * table. The caller makes sure that only one node does so at a time: see `DatabaseDriver.exclusively`. A migration that
 * consists of a single `CREATE INDEX CONCURRENTLY` runs outside of a transaction, as PostgreSQL requires. A migration
 * that fails because of a deadlock or a lock timeout is retried.
 * @throws {ConfigError} naming `setting` if the database has migrations that this version does not know, unless the
 *   database states that this version is compatible.
 * @throws {Error} if a migration fails (only its entry in Prisma's table remains), was changed after it was applied, or
 *   was left incomplete by another tool.
 */
export async function applyMigrations(
  session: SqlSession,
  log: Logger,
  setting: 'DATABASE_URL' | 'DATA_DIR' = 'DATABASE_URL',
): Promise<void> {
  await session.run(table);
  const rows = await session.query<AppliedRow>(
    'SELECT migration_name, checksum, finished_at IS NOT NULL AS finished FROM _prisma_migrations WHERE rolled_back_at IS NULL',
  );
  const applied = new Map(rows.map((row) => [row.migration_name, row]));
  const migrations = await readMigrations();
  const known = new Set(migrations.map(({ name }) => name));
  const newer = [...applied.keys()].filter((name) => !known.has(name)).sort();
  if (newer.length > 0) await checkNewer(session, newer, known, setting, log);
  let count = 0;
  for (const { name, sql } of migrations) {
    const checksum = createHash('sha256').update(sql).digest('hex');
    const row = applied.get(name);
    if (row && !row.finished)
      throw new Error(`Migration ${name} was only partly applied: see "prisma migrate resolve".`);
    if (row && row.checksum !== checksum) throw new Error(`Migration ${name} was changed after it was applied.`);
    if (row) continue;
    await applyOne(session, { name, sql, checksum }, log);
    log.debug({ migration: name }, 'migration applied');
    count += 1;
  }
  if (count > 0) log.info({ count }, 'migrations applied');
}

/**
 * The comment on `log_state` in which migrations of newer versions state their compatibility: see "Upgrade" in
 * docs/OPERATIONS.md.
 */
const OLDEST = /^Oldest migration that a build must know: (\w+)$/;

/**
 * Rejects a database with newer migrations, unless it states that a version with the migrations of this one is
 * compatible.
 */
async function checkNewer(
  session: SqlSession,
  newer: readonly string[],
  known: ReadonlySet<string>,
  setting: string,
  log: Logger,
): Promise<void> {
  const [row] = await session.query<{ comment: string | null }>(
    `SELECT obj_description(to_regclass('log_state'), 'pg_class') AS comment`,
  );
  const [, oldest] = OLDEST.exec(row?.comment ?? '') ?? [];
  if (oldest !== undefined && known.has(oldest)) {
    log.warn({ migrations: newer }, 'database was migrated by a newer version, which this version is compatible with');
    return;
  }
  const named = newer.length > 3 ? `${newer.slice(0, 3).join(', ')} and ${newer.length - 3} more` : newer.join(', ');
  throw new ConfigError(
    `${setting}: the database contains migrations that are unknown to version ${version} (${named}): a newer version has used it. Start that version, or restore a backup from before the upgrade`,
  );
}

/** How long a migration waits for a lock, in milliseconds. While it waits, all sends queue behind it. */
const LOCK_TIMEOUT_MS = 2_000;

/**
 * The maximum number of attempts for a migration that cannot get its locks, and the delay between two attempts in
 * milliseconds.
 */
const ATTEMPTS_MAX = 60;
const PAUSE_MS = { min: 200, max: 1_500 };

/** Whether a migration failed because of a deadlock or a lock timeout. It was rolled back and may be retried. */
const isLockConflict = (error: unknown) => ['40P01', '55P03'].includes(String((error as { code?: unknown }).code));

interface Migration {
  name: string;
  sql: string;
  checksum: string;
}

async function applyOne(session: SqlSession, migration: Migration, log: Logger): Promise<void> {
  const { name, checksum } = migration;
  for (let attempt = 1; ; attempt += 1) {
    try {
      await attemptOne(session, migration);
      return;
    } catch (error) {
      await session.run('ROLLBACK');
      if (isLockConflict(error) && attempt < ATTEMPTS_MAX) {
        log.warn({ migration: name, attempt, err: error }, 'migration could not acquire its locks; retrying');
        await setTimeout(PAUSE_MS.min + Math.random() * (PAUSE_MS.max - PAUSE_MS.min));
        continue;
      }
      await session.query(
        `INSERT INTO _prisma_migrations (id, migration_name, checksum, logs, rolled_back_at) VALUES ($1, $2, $3, $4, now())`,
        [randomUUID(), name, checksum, String(error)],
      );
      throw new Error(`Migration ${name} failed and was rolled back: ${String(error)}`, { cause: error });
    }
  }
}

async function attemptOne(session: SqlSession, { name, sql, checksum }: Migration): Promise<void> {
  const [, index] = CONCURRENTLY.exec(sql) ?? [];
  // It waits for open transactions, possibly for long, but does not block sends.
  if (index !== undefined) await createConcurrently(session, index, sql);
  // Without the general time limit of `settingsSql`, because a migration of a large table can take long.
  await session.run(`BEGIN; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}; SET LOCAL statement_timeout = 0`);
  if (index === undefined) await session.run(sql);
  await session.query(
    `INSERT INTO _prisma_migrations (id, migration_name, checksum, finished_at, applied_steps_count)
     VALUES ($1, $2, $3, now(), 1)`,
    [randomUUID(), name, checksum],
  );
  await session.run('COMMIT');
}

/**
 * Matches a migration that consists of this statement only, and captures the name of the index. Prisma runs such a
 * migration outside of a transaction as well.
 */
const CONCURRENTLY = /^(?:\s|--.*\n)*CREATE INDEX CONCURRENTLY IF NOT EXISTS "(\w+)"[^;]*;\s*$/;

async function createConcurrently(session: SqlSession, index: string, sql: string): Promise<void> {
  // An interrupted creation leaves an invalid index, which is maintained but never used.
  const [broken] = await session.query(`SELECT FROM pg_index WHERE indexrelid = to_regclass($1) AND NOT indisvalid`, [
    index,
  ]);
  await session.run('SET statement_timeout = 0');
  if (broken) await session.run(`DROP INDEX CONCURRENTLY "${index}"`);
  await session.run(sql);
}

async function readMigrations(): Promise<{ name: string; sql: string }[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.sort().map(async (name) => ({ name, sql: await readFile(new URL(`${name}/migration.sql`, folder), 'utf8') })),
  );
}
