import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { query } from './services.js';

/**
 * Flags of Node for the processes of tests. The embedded database is WebAssembly, which V8 by default compiles twice,
 * the second time with optimizations in the background: a third of the CPU time of a short-lived process.
 */
export const nodeFlags = ['--liftoff-only'];

/**
 * Flags of Node for the processes that run test files. With V8's default of 16 MB for new objects, collecting them takes
 * an eighth of the CPU time of the tests.
 */
export const workerFlags = [...nodeFlags, '--max-semi-space-size=64'];

/**
 * Default settings of all databases of the tests, to simulate differently configured servers:
 * `TEST_DATABASE_SETTINGS="timezone=America/New_York;datestyle=SQL, DMY"`. See `npm run test:environments`.
 */
export const databaseSettings = process.env['TEST_DATABASE_SETTINGS'] ?? '';

const listed = (settings: string) =>
  settings
    .split(';')
    .filter((setting) => setting.trim() !== '')
    .map((setting) => {
      const [name = '', ...value] = setting.split('=');
      return { name: name.trim(), value: `'${value.join('=').trim()}'` };
    });

/** The statements that set default settings of a PostgreSQL database, which apply to later connections. */
export const settingStatements = (database: string, settings = databaseSettings): string[] =>
  listed(settings).map(
    ({ name, value }) =>
      `ALTER DATABASE "${database}" SET "${name}" = ${name === 'search_path' ? value.slice(1, -1) : value}`,
  );

/** Sets default settings of a PostgreSQL database. */
export async function alterDatabase(adminUrl: string, database: string, settings = databaseSettings): Promise<void> {
  const statements = settingStatements(database, settings);
  if (statements.length > 0) await query(adminUrl, statements.join('; '));
}

/**
 * Sets these settings in the embedded database of a DATA_DIR, which must be closed. PGlite does not apply settings of
 * databases.
 */
export async function alterEmbedded(dataDir: string, settings = databaseSettings): Promise<void> {
  const lines = listed(settings).map(({ name, value }) => `${name} = ${value}\n`);
  if (lines.length > 0) await appendFile(join(dataDir, 'pg', 'postgresql.conf'), `\n${lines.join('')}`);
}
