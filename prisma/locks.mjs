// Checks the rules of docs/OPERATIONS.md (Upgrade) for new migrations: a transaction locks at most one of the tables that
// every send uses, because it could otherwise deadlock with sends; and the database states which builds may run on it.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HOT = ['users', 'sessions', 'conversations', 'memberships', 'marks', 'messages', 'mentions', 'changes'];
/** Migrations from before this rule that lock several tables. They have been applied, so they are not changed. */
const BEFORE = [
  '20261121160000_marks',
  '20261121200000_mentions',
  '20261121203000_people',
  '20261121220000_outside_users',
  '20261127100000_message_life',
  '20261127100100_message_life_indexes',
  '20261127120000_summaries',
];

/** Migrations that must lock several tables, and begin with a LOCK TABLE in the order in which sends use them. */
const IN_ORDER_OF_SENDS = ['20261129080000_personal_logs'];

const folder = join(dirname(fileURLToPath(import.meta.url)), 'migrations');
const names = readdirSync(folder, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name)
  .sort();

/** Applies the migrations to an empty database, and describes each that breaks a rule. */
export async function brokenRules(database) {
  const faults = [];
  for (const name of names) {
    const sql = readFileSync(join(folder, name, 'migration.sql'), 'utf8');
    // Such a migration runs outside of a transaction.
    const isIndex = /^(?:\s|--.*\n)*CREATE INDEX CONCURRENTLY/.test(sql);
    const { rows: before } = await database.query(`SELECT oid FROM pg_class WHERE relname = ANY ($1)`, [HOT]);
    if (!isIndex) await database.exec('BEGIN');
    await database.exec(sql);
    // The locks of reads and of foreign keys block nobody.
    const { rows: locked } = await database.query(
      `SELECT DISTINCT relation::regclass::text AS name FROM pg_locks
       WHERE relation = ANY ($1) AND granted AND mode NOT IN ('AccessShareLock', 'RowShareLock') ORDER BY name`,
      [before.map(({ oid }) => oid)],
    );
    if (!isIndex) await database.exec('COMMIT');
    if (locked.length > 1 && !BEFORE.includes(name) && !IN_ORDER_OF_SENDS.includes(name)) {
      faults.push(`${name} locks ${locked.map((table) => table.name).join(' and ')}: make one migration for each.`);
    }
  }

  const { rows } = await database.query(`SELECT obj_description('log_state'::regclass, 'pg_class') AS comment`);
  const oldest = /^Oldest migration that a build must know: (\d{14}_\w+)$/.exec(rows[0].comment ?? '')?.[1];
  if (!names.includes(oldest)) faults.push(`The comment of log_state names no migration: ${rows[0].comment}`);
  const lastReleased = newestReleased();
  const isNewer = lastReleased !== undefined && names.some((name) => name > lastReleased);
  if (isNewer && oldest !== lastReleased) {
    faults.push(
      `The first migration since the last release must state which builds may run on its tables:
COMMENT ON TABLE "log_state" IS 'Oldest migration that a build must know: ${lastReleased}';`,
    );
  }
  return faults;
}

/** The newest migration of the last release, a tag `v…`; undefined before there is one. */
function newestReleased() {
  const git = (...args) => {
    const { status, stdout } = spawnSync('git', args, { cwd: folder, encoding: 'utf8' });
    return status === 0 ? stdout.trim() : undefined;
  };
  const tag = git('describe', '--tags', '--match', 'v*', '--abbrev=0');
  if (tag === undefined) return undefined;
  return git('ls-tree', '--name-only', `${tag}:prisma/migrations`)
    ?.split('\n')
    .filter((name) => /^\d/.test(name))
    .sort()
    .at(-1);
}
