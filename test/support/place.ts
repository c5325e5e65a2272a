import { randomBytes } from 'node:crypto';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { inject } from 'vitest';
import { readConfig } from '../../src/app/config.js';
import { createLog } from '../../src/infra/telemetry/log.js';
import { type RunningNode, startNode } from '../../src/server/start.js';
import { forgetNode, noteNode } from './accounts.js';
import { eventually } from './client.js';
import { atEnd } from './ending.js';
import { alterDatabase, databaseSettings } from './environment.js';
import { otherDatabase, query } from './services.js';

export type Footing = 'embedded' | 'postgresql';

/** The footings to test on: the second only where its servers answer. */
export const footings: Footing[] = inject('services') ? ['embedded', 'postgresql'] : ['embedded'];
/** For what only several nodes can show: `describe.skipIf(!servicesFound)`. */
export const servicesFound = inject('services') !== null;

/** A database of its own, and a Redis prefix or a folder: where one or several nodes live. */
export interface Place {
  footing: Footing;
  env: Record<string, string>;
  /** Starts a node on a free port; it is stopped when the place is removed if nobody did before. */
  start(env?: Record<string, string>): Promise<RunningNode>;
}

/**
 * Makes a place, empty and (unless told otherwise, on PostgreSQL) migrated. It is removed after the test that makes it, else
 * after the file's tests: PostgreSQL has connections for so many nodes only.
 */
export async function makePlace(footing: Footing, { migrated = true } = {}): Promise<Place> {
  const name = `${inject('runName')}_${randomBytes(4).toString('hex')}`;
  const nodes = new Set<RunningNode>();
  const made = footing === 'embedded' ? makeFolder(name) : makeDatabase(name, migrated);
  // Before anything is waited for: a place that the body of a suite makes is no test's.
  atEnd(async () => {
    await Promise.all([...nodes].map((node) => node.stop()));
    await (await made).remove();
  });
  const { env } = await made;
  return {
    footing,
    env,
    async start(more = {}) {
      const config = readConfig({ ...testSettings, ...env, ...more });
      const node = await startNode(config, createLog(config.logLevel));
      noteNode(node);
      let stopped: Promise<void> | undefined;
      const stop = () => {
        forgetNode(node);
        stopped ??= node.stop();
        return stopped;
      };
      const started = { ...node, stop };
      nodes.add(started);
      return started;
    },
  };
}

/** Two nodes of a place; on the embedded footing, of which there is one, twice the same. */
export async function startTwo(place: Place, env: Record<string, string> = {}): Promise<[RunningNode, RunningNode]> {
  const node = await place.start(env);
  return [node, place.footing === 'postgresql' ? await place.start(env) : node];
}

/**
 * What tests change of the defaults: a free port, quick password hashes, quiet logs, no rates, and groups in which nothing is said
 * but what the test says.
 */
const testSettings = {
  NODE_ENV: 'test',
  PORT: '0',
  BCRYPT_COST: '4',
  SYSTEM_MESSAGES: 'off',
  RATE_LIMITS: 'off',
  // Clearing the default of 32 MB takes half of the CPU time of a start.
  DATA_DIR_CACHE_BYTES: '8388608',
  LOG_LEVEL: process.env['TEST_LOG_LEVEL'] ?? 'fatal',
  SHUTDOWN_TIMEOUT: '2s',
  DRAIN_TIME: '50ms',
};

async function makeFolder(name: string) {
  const folder = join(inject('scratch'), name);
  await cp(inject('embeddedTemplate'), folder, { recursive: true });
  return { env: { DATA_DIR: folder }, remove: () => rm(folder, { recursive: true, force: true }) };
}

async function makeDatabase(name: string, migrated: boolean) {
  const services = inject('services');
  if (!services) throw new Error('no services to make a database on');
  await query(
    services.databaseUrl,
    `CREATE DATABASE ${name} TEMPLATE ${migrated ? inject('databaseTemplate') : 'template0'}`,
  );
  // A commit need not wait for the disk: nothing here loses power.
  await alterDatabase(services.databaseUrl, name, `synchronous_commit=off;${databaseSettings}`);
  return {
    env: {
      // Nothing but mails goes there.
      DATA_DIR: join(inject('scratch'), name),
      DATABASE_URL: otherDatabase(services.databaseUrl, name),
      REDIS_URL: services.redisUrl,
      REDIS_PREFIX: name,
      JWT_SECRET: 'a secret of the tests, the same for all nodes of a place',
    },
    remove: async () => void (await query(services.databaseUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)),
  };
}

/** Resolves when so many transactions of the node's database (PostgreSQL) wait for others. */
export const waitingFor = ({ deps }: RunningNode, count: number): Promise<void> =>
  eventually(`${count} wait`, async () => {
    const [row] = await deps.database.db.$queryRaw<[{ waiting: number }]>`
      SELECT count(*)::int AS waiting FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    return row.waiting >= count;
  });
