import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { query } from './services.js';

/**
 * Settings that every database of the tests gets, as a server elsewhere may have them:
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

/** Gives a database on PostgreSQL these settings; they count for connections that are made afterwards. */
export async function alterDatabase(adminUrl: string, database: string, settings = databaseSettings): Promise<void> {
  const statements = listed(settings).map(
    ({ name, value }) =>
      `ALTER DATABASE "${database}" SET "${name}" = ${name === 'search_path' ? value.slice(1, -1) : value}`,
  );
  if (statements.length > 0) await query(adminUrl, statements.join('; '));
}

/** Gives the embedded database in a DATA_DIR these settings; it has to be closed. PGlite reads no settings of databases. */
export async function alterEmbedded(dataDir: string, settings = databaseSettings): Promise<void> {
  const lines = listed(settings).map(({ name, value }) => `${name} = ${value}\n`);
  if (lines.length > 0) await appendFile(join(dataDir, 'pg', 'postgresql.conf'), `\n${lines.join('')}`);
}
