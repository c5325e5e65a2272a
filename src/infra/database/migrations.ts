import { createHash, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { ConfigError } from '../config/config-error.js';
import { version } from '../config/version.js';
import type { Logger } from '../telemetry/log.js';
import type { SqlSession } from './footing.js';

/** The same from src/infra and from dist/infra. */
const folder = new URL('../../../prisma/migrations/', import.meta.url);

/** As Prisma makes it, so that `prisma migrate deploy` and `prisma migrate status` work on the same database. */
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
  finished_at: Date | null;
}

/**
 * Applies what is missing of prisma/migrations, in order, each in one transaction with its row in Prisma's table. The
 * caller sees to it that only one node at a time does so: see `Footing.exclusively`. One that is `CREATE INDEX CONCURRENTLY` and nothing else
 * runs outside of a transaction, as that must. One that is given up as a deadlock, or because it waited too long for a lock,
 * is tried again.
 * @throws {ConfigError} naming `setting` when the database has migrations that this version does not know, unless the
 *   database says that this version may run on it.
 * @throws {Error} when a migration fails (it leaves nothing behind but its log), was changed after it was applied,
 *   or was left half done by another tool.
 */
export async function applyMigrations(
  session: SqlSession,
  log: Logger,
  setting: 'DATABASE_URL' | 'DATA_DIR' = 'DATABASE_URL',
): Promise<void> {
  await session.run(table);
  const rows = await session.query<AppliedRow>(
    'SELECT migration_name, checksum, finished_at FROM _prisma_migrations WHERE rolled_back_at IS NULL',
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
    if (row?.finished_at === null)
      throw new Error(`Migration ${name} was only partly applied: see "prisma migrate resolve".`);
    if (row && row.checksum !== checksum) throw new Error(`Migration ${name} was changed after it was applied.`);
    if (row) continue;
    await applyOne(session, { name, sql, checksum }, log);
    log.debug({ migration: name }, 'migration applied');
    count += 1;
  }
  if (count > 0) log.info({ count }, 'migrations applied');
}

/** What the migrations of a newer version say in the comment of `log_state`: see "Upgrade" in docs/OPERATIONS.md. */
const OLDEST = /^Oldest migration that a build must know: (\w+)$/;

/** Refuses a database of a newer version, unless it says that a build which knows this one's migrations may run on it. */
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

/** How long a migration waits for a lock: while it waits, everybody who sends waits behind it. */
const LOCK_TIMEOUT_MS = 2_000;

/** How often a migration is tried that others keep from its locks, and the pause before the next time, in milliseconds. */
const ATTEMPTS_MAX = 60;
const PAUSE_MS = { min: 200, max: 1_500 };

/** A deadlock, or a lock that was not granted in time: nothing of the migration is done, and it may be tried again. */
const isInTheWay = (error: unknown) => ['40P01', '55P03'].includes(String((error as { code?: unknown }).code));

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
      if (isInTheWay(error) && attempt < ATTEMPTS_MAX) {
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
  // It waits for transactions that are under way, which can take long, and meanwhile keeps nobody from sending.
  if (index !== undefined) await createConcurrently(session, index, sql);
  // A large table takes as long as it takes; see `settingsSql`.
  await session.run(`BEGIN; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}; SET LOCAL statement_timeout = 0`);
  if (index === undefined) await session.run(sql);
  await session.query(
    `INSERT INTO _prisma_migrations (id, migration_name, checksum, finished_at, applied_steps_count)
     VALUES ($1, $2, $3, now(), 1)`,
    [randomUUID(), name, checksum],
  );
  await session.run('COMMIT');
}

/** A migration of this one statement, which Prisma runs outside of a transaction as well. It names its index. */
const CONCURRENTLY = /^(?:\s|--.*\n)*CREATE INDEX CONCURRENTLY IF NOT EXISTS "(\w+)"[^;]*;\s*$/;

async function createConcurrently(session: SqlSession, index: string, sql: string): Promise<void> {
  // One that was not made to its end stays behind, is kept up and of no use.
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
