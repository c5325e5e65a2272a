import { ConfigError } from '../config/config-error.js';
import type { SqlSession } from './driver.js';

/**
 * Tables that are not copied: those that describe the database itself, and the change log with the position up to which
 * the notifier has read it, because their transaction ids are only valid in their own database.
 */
const OWN_TABLES = ['_prisma_migrations', 'epochs', 'changes', 'log_state', 'notifier_state'];

/** The number of rows per INSERT. */
const BATCH_ROWS = 500;

/**
 * Copies a migrated embedded database to an empty, migrated PostgreSQL database in one transaction. Sequences continue
 * with the next number. The change log is not copied, so that all older cursors expire and none is mistaken for a
 * cursor of the new database. The caller makes sure that nobody else changes the tables: see `DatabaseDriver.exclusively`.
 * @returns the number of rows of each table.
 * @throws {ConfigError} if the target already contains rows.
 */
export async function copyDatabase(source: SqlSession, target: SqlSession): Promise<Map<string, number>> {
  const tables = await tablesOf(source);
  const counts = new Map<string, number>();
  await target.run('BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0');
  try {
    for (const { name } of tables) {
      await target.run(`LOCK TABLE ${name}`);
      const [filled] = await target.query(`SELECT 1 FROM ${name} LIMIT 1`);
      if (filled) throw new ConfigError(`the target database must be empty, but its table ${name} contains rows`);
    }
    // Rows are inserted unchanged and in any order: foreign keys are checked at the end, and triggers do not run.
    const references = await target.query<{ table: string; name: string; definition: string }>(
      `SELECT conrelid::regclass::text AS "table", quote_ident(conname) AS name, pg_get_constraintdef(oid) AS definition
       FROM pg_constraint WHERE contype = 'f' AND connamespace = current_schema()::regnamespace`,
    );
    for (const { table, name } of references) await target.run(`ALTER TABLE ${table} DROP CONSTRAINT ${name}`);
    for (const { name } of tables) await target.run(`ALTER TABLE ${name} DISABLE TRIGGER USER`);
    for (const table of tables) counts.set(table.name, await copyTable(source, target, table));
    for (const { name } of tables) await target.run(`ALTER TABLE ${name} ENABLE TRIGGER USER`);
    for (const { table, name, definition } of references) {
      await target.run(`ALTER TABLE ${table} ADD CONSTRAINT ${name} ${definition}`);
    }
    await copySequences(source, target);
    for (const [name, count] of counts) {
      const [stored] = await target.query<{ count: number }>(`SELECT count(*)::int AS count FROM ${name}`);
      if (stored?.count !== count) throw new Error(`${name} has ${stored?.count} rows instead of ${count}`);
    }
    await target.run('COMMIT');
  } catch (error) {
    await target.run('ROLLBACK');
    throw error;
  }
  for (const { name } of tables) await target.run(`ANALYZE ${name}`);
  return counts;
}

interface Table {
  /** Quoted, like the following names. */
  name: string;
  /** Without generated columns. */
  columns: string;
}

const tablesOf = ({ query }: SqlSession): Promise<Table[]> =>
  query<Table>(
    `SELECT quote_ident(relname) AS name, (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
       WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '') AS columns
     FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND relname <> ALL ($1)
     ORDER BY relname`,
    [OWN_TABLES],
  );

async function copyTable(source: SqlSession, target: SqlSession, { name, columns }: Table): Promise<number> {
  let count = 0;
  await source.run('BEGIN');
  try {
    await source.run(`DECLARE moving NO SCROLL CURSOR FOR SELECT to_json(${name}.*)::text AS row FROM ${name}`);
    for (;;) {
      const rows = await source.query<{ row: string }>(`FETCH ${BATCH_ROWS} FROM moving`);
      if (rows.length === 0) return count;
      // The rows are copied as JSON text, so that no value is converted to a JavaScript number or date.
      await target.query(
        `INSERT INTO ${name} (${columns}) OVERRIDING SYSTEM VALUE
         SELECT ${columns} FROM json_populate_recordset(NULL::${name}, $1::json)`,
        [`[${rows.map(({ row }) => row).join(',')}]`],
      );
      count += rows.length;
    }
  } finally {
    await source.run('COMMIT');
  }
}

async function copySequences(source: SqlSession, target: SqlSession): Promise<void> {
  const sequences = await source.query<{ name: string }>(
    `SELECT quote_ident(relname) AS name FROM pg_class
     WHERE relkind = 'S' AND relnamespace = current_schema()::regnamespace`,
  );
  for (const { name } of sequences) {
    const [state] = await source.query<{ value: string; called: boolean }>(
      `SELECT last_value::text AS value, is_called AS called FROM ${name}`,
    );
    if (state) await target.query('SELECT setval($1::regclass, $2::bigint, $3)', [name, state.value, state.called]);
  }
}
