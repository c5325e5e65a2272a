// `npm run move -- postgresql://…`: copies the embedded database in DATA_DIR to PostgreSQL. No node may be running.

import { readConfig } from './app/config.js';
import { exitWithError } from './app/exit.js';
import { ConfigError } from './infra/config/config-error.js';
import { openDataDir } from './infra/database/data-dir.js';
import { adoptChangeLog } from './infra/database/history.js';
import { applyMigrations } from './infra/database/migrations.js';
import { copyDatabase } from './infra/database/move.js';
import { openPglite } from './infra/database/pglite.js';
import { openPostgres } from './infra/database/postgres.js';
import { createLog } from './infra/telemetry/log.js';

/**
 * The time limit of one statement, in milliseconds. It is long because a constraint is checked against all rows of its
 * table.
 */
const COPY_MS = 86_400_000;

// Files in DATA_DIR are accessible to their owner only.
process.umask(0o077);
try {
  const [url] = process.argv.slice(2);
  if (url === undefined) throw new ConfigError('usage: npm run move -- postgresql://user:password@host/database');
  const { DATABASE_URL: _own, REDIS_URL: _redis, ...env } = process.env;
  const config = readConfig({ ...env, DATABASE_URL: url });
  const log = createLog('warn');
  await openDataDir(config.dataDir, log);
  const embedded = await openPglite(config.dataDir, config.dataDirMinFreeBytes, log, config.dataDirCacheBytes);
  try {
    const postgres = await openPostgres(url, {
      poolMax: 2,
      prepared: config.databasePrepared,
      timeoutMs: COPY_MS,
      log,
    });
    try {
      const counts = await embedded.exclusively(async (source) => {
        await applyMigrations(source, log, 'DATA_DIR');
        return postgres.exclusively(async (target) => {
          await applyMigrations(target, log);
          await adoptChangeLog(target);
          return copyDatabase(source, target);
        });
      });
      for (const [table, count] of counts) if (count > 0) console.log(`${String(count).padStart(10)}  ${table}`);
      const secret =
        config.jwtSecret === undefined ? ` and with JWT_SECRET set to the content of ${config.dataDir}/jwt-secret` : '';
      console.log(
        `The database in ${config.dataDir} has been copied to PostgreSQL. Start nodes with this DATABASE_URL${secret}.`,
      );
    } finally {
      await postgres.close();
    }
  } finally {
    await embedded.close();
  }
} catch (error) {
  exitWithError(error);
}
