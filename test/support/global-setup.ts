import { createHash } from 'node:crypto';
import { statfsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import type { TestProject } from 'vitest/node';
import { readConfig } from '../../src/app/config.js';
import { isAlive } from '../../src/infra/database/data-dir.js';
import { openDatabase } from '../../src/infra/database/database.js';
import { createLog, type Logger } from '../../src/infra/telemetry/log.js';
import { alterDatabase, alterEmbedded, databaseSettings } from './environment.js';
import { findServices, otherDatabase, query, type Services } from './services.js';

declare module 'vitest' {
  interface ProvidedContext {
    services: Services | null;
    /** A directory with a migrated embedded database, to be copied. */
    embeddedTemplate: string;
    /** A migrated PostgreSQL database to be copied by CREATE DATABASE … TEMPLATE; '' without services. */
    databaseTemplate: string;
    /** The prefix of the names of all databases and Redis prefixes of this run. */
    runName: string;
    scratch: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const runName = `parley_test_${process.pid}_${Date.now().toString(36)}`;
  const parent = scratchParent();
  await removeAbandoned(parent);
  const scratch = await mkdtemp(join(parent, `${runName}_`));
  const { services, reason } = await findServices();
  if (!services && process.env['REQUIRE_SERVICES'] === '1') throw new Error(`REQUIRE_SERVICES: ${reason}`);
  const log = createLog('warn');

  const embeddedTemplate = join(scratch, 'template');
  await putTemplate(embeddedTemplate, log);
  const databaseTemplate = services ? `${runName}_template` : '';
  if (services) {
    await query(services.databaseUrl, `CREATE DATABASE ${databaseTemplate}`);
    await alterDatabase(services.databaseUrl, databaseTemplate);
    const DATABASE_URL = otherDatabase(services.databaseUrl, databaseTemplate);
    await (await openDatabase(readConfig({ DATABASE_URL }), log)).close();
  }
  project.provide('services', services ?? null);
  project.provide('embeddedTemplate', embeddedTemplate);
  project.provide('databaseTemplate', databaseTemplate);
  project.provide('runName', runName);
  project.provide('scratch', scratch);

  const ran = services
    ? 'embedded mode, and PostgreSQL with Redis'
    : `embedded mode only: ${reason}. Set TEST_DATABASE_URL and TEST_REDIS_URL to run the rest`;
  console.log(`\nTests run on: ${ran}.\n`);
  return async () => {
    console.log(`\nTests ran on: ${ran}.`);
    if (services) {
      const rows = await query<{ datname: string }>(
        services.databaseUrl,
        `SELECT datname FROM pg_database WHERE datname LIKE '${runName}%'`,
      );
      for (const { datname } of rows) await query(services.databaseUrl, `DROP DATABASE "${datname}" WITH (FORCE)`);
    }
    await rm(scratch, { recursive: true, force: true });
  };
}

/** The free space in bytes that a file system in memory needs for the embedded databases of all workers. */
const MEMORY_MIN_BYTES = 4_000_000_000;

/**
 * The parent of the tests' directories: in memory if there is enough space, because each embedded database is a copy of
 * 40 MB.
 */
function scratchParent(): string {
  if (process.env['TMPDIR'] !== undefined) return tmpdir();
  try {
    const { bavail, bsize } = statfsSync('/dev/shm');
    return bavail * bsize >= MEMORY_MIN_BYTES ? '/dev/shm' : tmpdir();
  } catch {
    return tmpdir();
  }
}

/** Removes the directories of runs that were killed, because they occupy memory. */
async function removeAbandoned(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = Number(/^parley_test_(\d+)_/.exec(name)?.[1] ?? 0);
    if (pid > 0 && !isAlive(pid)) await remove(join(parent, name));
  }
}

/** Removes a directory that another run may be removing at the same time, which lets `rm` fail (ENOTEMPTY). */
async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch(() => {});
}

/**
 * Settings of the embedded template. PostgreSQL clears memory of this size at each start, which takes a second with the
 * defaults.
 */
const EMBEDDED_SETTINGS = 'shared_buffers = 8MB; max_connections = 10';

/** Databases that nobody connects to. Without them, a copy of the embedded template has half as many files. */
const UNUSED_DATABASES = ['template0', 'template1'];

/** A cache between runs, keyed by a hash of the inputs, because creating a cluster takes seconds of CPU time. */
const KEPT = 'node_modules/.cache/parley-tests';

/** Creates a migrated embedded database in `folder`. */
async function putTemplate(folder: string, log: Logger): Promise<void> {
  const hash = createHash('sha256')
    .update(await readFile('package-lock.json'))
    .update(databaseSettings)
    .update(EMBEDDED_SETTINGS)
    .update(UNUSED_DATABASES.join());
  for (const source of ['prisma/migrations', 'src/infra']) {
    for (const name of (await readdir(source, { recursive: true })).sort()) {
      const path = join(source, name);
      if ((await stat(path)).isFile()) hash.update(`\n${path}\n`).update(await readFile(path));
    }
  }
  const kept = join(KEPT, hash.digest('hex').slice(0, 16));
  const found = await cp(kept, folder, { recursive: true }).then(
    () => true,
    () => false,
  );
  if (found) return;
  await rm(folder, { recursive: true, force: true });
  if (databaseSettings !== '') {
    await mkdir(folder, { recursive: true });
    await (await PGlite.create(join(folder, 'pg'))).close();
    await alterEmbedded(folder);
  }
  await (await openDatabase(readConfig({ DATA_DIR: folder }), log)).close();
  const database = await PGlite.create(join(folder, 'pg'));
  for (const name of UNUSED_DATABASES) {
    await database.exec(`UPDATE pg_database SET datistemplate = false WHERE datname = '${name}'`);
    await database.exec(`DROP DATABASE ${name}`);
  }
  await database.close();
  await alterEmbedded(folder, EMBEDDED_SETTINGS);
  await keepTemplate(folder, kept);
}

/** Replaces older templates in the cache. A new one appears atomically, and other runs may do the same at the same time. */
async function keepTemplate(folder: string, kept: string): Promise<void> {
  for (const name of await readdir(KEPT).catch(() => [])) {
    const pid = Number(/^of (\d+)$/.exec(name)?.[1] ?? 0);
    if (pid === 0 || !isAlive(pid)) await remove(join(KEPT, name));
  }
  const copy = join(KEPT, `of ${process.pid}`);
  await cp(folder, copy, { recursive: true });
  // Fails if another run was faster.
  await rename(copy, kept).catch(() => remove(copy));
}
