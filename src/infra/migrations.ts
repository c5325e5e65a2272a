import { createHash, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import type { SqlSession } from './footing.js';
import type { Logger } from './log.js';

/** The same from src/infra and from dist/infra. */
const folder = new URL('../../prisma/migrations/', import.meta.url);

/** The advisory lock that `prisma migrate` takes: it and we exclude each other. */
const LOCK = 72_707_369;

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
 * Applies what is missing of prisma/migrations, in order, each in one transaction with its row in Prisma's table,
 * under an advisory lock: any number of nodes may start at once. One that is `CREATE INDEX CONCURRENTLY` and nothing else
 * runs outside of a transaction, as that must: it is repeated until it is done. Migrations of a newer version are left
 * alone.
 * @throws {Error} when a migration fails (it leaves nothing behind but its log), was changed after it was applied,
 *   or was left half done by another tool.
 */
export async function applyMigrations(session: SqlSession, log: Logger): Promise<void> {
  // A large table takes as long as it takes; see `settingsSql`.
  await session.run('SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0');
  await underLock(session, async () => {
    await session.run(table);
    const rows = await session.query<AppliedRow>(
      'SELECT migration_name, checksum, finished_at FROM _prisma_migrations WHERE rolled_back_at IS NULL',
    );
    const applied = new Map(rows.map((row) => [row.migration_name, row]));
    let count = 0;
    for (const { name, sql } of await readMigrations()) {
      const checksum = createHash('sha256').update(sql).digest('hex');
      const row = applied.get(name);
      if (row?.finished_at === null)
        throw new Error(`Migration ${name} was left half done: see prisma migrate resolve.`);
      if (row && row.checksum !== checksum) throw new Error(`Migration ${name} was changed after it was applied.`);
      if (row) continue;
      await applyOne(session, name, sql, checksum);
      log.debug({ migration: name }, 'migration applied');
      count += 1;
    }
    if (count > 0) log.info({ count }, 'migrations applied');
  });
}

/** How long a node waits before it asks for the lock again, in milliseconds. */
const LOCK_POLL_MS = 100;

/**
 * Runs what only one of the nodes that start may do at a time. Who waits asks again and again: a statement that waits
 * holds a snapshot, and an index that is made concurrently waits for all of those.
 */
export async function underLock<T>(session: SqlSession, work: () => Promise<T>): Promise<T> {
  for (;;) {
    const [row] = await session.query<{ got: boolean }>('SELECT pg_try_advisory_lock($1) AS got', [LOCK]);
    if (row?.got) break;
    await setTimeout(LOCK_POLL_MS);
  }
  try {
    return await work();
  } finally {
    await session.query('SELECT pg_advisory_unlock($1)', [LOCK]);
  }
}

async function applyOne(session: SqlSession, name: string, sql: string, checksum: string): Promise<void> {
  const id = randomUUID();
  const [, index] = CONCURRENTLY.exec(sql) ?? [];
  try {
    if (index !== undefined) await createConcurrently(session, index, sql);
    await session.run('BEGIN');
    if (index === undefined) await session.run(sql);
    await session.query(
      `INSERT INTO _prisma_migrations (id, migration_name, checksum, finished_at, applied_steps_count)
       VALUES ($1, $2, $3, now(), 1)`,
      [id, name, checksum],
    );
    await session.run('COMMIT');
  } catch (error) {
    await session.run('ROLLBACK');
    await session.query(
      `INSERT INTO _prisma_migrations (id, migration_name, checksum, logs, rolled_back_at) VALUES ($1, $2, $3, $4, now())`,
      [id, name, checksum, String(error)],
    );
    throw new Error(`Migration ${name} failed and was rolled back: ${String(error)}`, { cause: error });
  }
}

/** A migration of this one statement, which Prisma runs outside of a transaction as well. It names its index. */
const CONCURRENTLY = /^(?:\s|--.*\n)*CREATE INDEX CONCURRENTLY IF NOT EXISTS "(\w+)"[^;]*;\s*$/;

/** How often an index is begun that is given up for a deadlock: with an older node that waits for the lock. */
const ATTEMPTS_MAX = 5;

async function createConcurrently(session: SqlSession, index: string, sql: string): Promise<void> {
  for (let attempts = 1; ; attempts += 1) {
    // One that was not made to its end stays behind, is kept up and of no use.
    const [broken] = await session.query(`SELECT FROM pg_index WHERE indexrelid = to_regclass($1) AND NOT indisvalid`, [
      index,
    ]);
    if (broken) await session.run(`DROP INDEX CONCURRENTLY "${index}"`);
    try {
      await session.run(sql);
      return;
    } catch (error) {
      if ((error as { code?: unknown }).code !== '40P01' || attempts === ATTEMPTS_MAX) throw error;
    }
  }
}

async function readMigrations(): Promise<{ name: string; sql: string }[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.sort().map(async (name) => ({ name, sql: await readFile(new URL(`${name}/migration.sql`, folder), 'utf8') })),
  );
}
