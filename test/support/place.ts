import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { inject, type SuiteAPI, type TestAPI } from 'vitest';
import { readConfig } from '../../src/app/config.js';
import { createLog } from '../../src/infra/telemetry/log.js';
import { type RunningNode, startNode } from '../../src/server/start.js';
import { forgetNode, noteNode } from './accounts.js';
import { eventually } from './client.js';
import { atEnd, atFileEnd } from './ending.js';
import { databaseSettings, settingStatements } from './environment.js';
import { otherDatabase } from './services.js';
import { share } from './shared.js';

export type Mode = 'embedded' | 'postgresql';

/** The databases to test with: PostgreSQL only if its servers are available. */
export const modes: Mode[] = inject('services') ? ['embedded', 'postgresql'] : ['embedded'];
/** For tests in which the database makes no difference: nodes start in a third of the CPU time with PostgreSQL. */
export const anyMode = modes.at(-1) as Mode;
/** For tests that need several nodes: `describe.skipIf(!servicesFound)`. */
export const servicesFound = inject('services') !== null;

/** A database and a Redis prefix, or a directory, for one or several nodes. */
export interface Place {
  mode: Mode;
  env: Record<string, string>;
  /** Starts a node on a free port. It is stopped when the place is removed, if not before. */
  start(env?: Record<string, string>): Promise<RunningNode>;
}

/**
 * Creates an empty place, migrated by default. It is removed at the end of the current test, or of the file if called
 * outside of a test, because PostgreSQL has a limited number of connections.
 * @param options.web whether its nodes serve the web app, whose files each of them reads when it starts.
 */
export async function makePlace(mode: Mode, { migrated = true, web = false, end = atEnd } = {}): Promise<Place> {
  const name = `${inject('runName')}_${randomBytes(4).toString('hex')}`;
  const nodes = new Set<RunningNode>();
  const made = mode === 'embedded' ? makeFolder(name) : makeDatabase(name, migrated);
  // Called synchronously: a place created in the body of a suite does not belong to a test.
  end(async () => {
    await Promise.all([...nodes].map((node) => node.stop()));
    await (await made).remove();
  });
  const env = { ...(await made).env, ...(web && { WEB: 'on' }) };
  return {
    mode,
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

/**
 * Starts two nodes of a place, and waits until each receives messages of the other. With the embedded database, which
 * supports one node, the same one is returned twice.
 */
export async function startTwo(place: Place, env: Record<string, string> = {}): Promise<[RunningNode, RunningNode]> {
  const node = await place.start(env);
  const other = place.mode === 'postgresql' ? await place.start(env) : node;
  await eventually('the nodes are connected', () => node.deps.bus.connected && other.deps.bus.connected);
  return [node, other];
}

/**
 * A node that the test files of this process share, one per mode and combination of settings. It is for tests that do not
 * stop or change the node, and whose results do not depend on what other tests have stored.
 */
export async function sharedNode(mode: Mode, env: Record<string, string> = {}): Promise<RunningNode> {
  const [node] = await sharedNodes(mode, env, 1);
  return node;
}

/** Two nodes of one place that test files share, as `startTwo` starts them. */
export function sharedTwo(mode: Mode, env: Record<string, string> = {}): Promise<[RunningNode, RunningNode]> {
  return sharedNodes(mode, env, mode === 'embedded' ? 1 : 2);
}

function sharedNodes(mode: Mode, env: Record<string, string>, count: 1 | 2): Promise<[RunningNode, RunningNode]> {
  const key = JSON.stringify([mode, count, Object.entries(env).sort()]);
  return share(key, {
    async start(end) {
      const place = await makePlace(mode, { end });
      const nodes = count === 1 ? [await place.start(env)] : await startTwo(place, env);
      const stop = () => Promise.reject(new Error('a shared node must not be stopped'));
      const [node, other = node] = nodes.map((started) => ({ ...started, stop }));
      if (!node || !other) throw new Error('no node was started');
      return [node, other];
    },
    // A socket that one file leaves open would be counted in the next one.
    async settle(nodes) {
      await eventually('all WebSockets of this file are closed', () => nodes.every((node) => node.openSockets() === 0));
      await eventually('all streams of this file have ended', () =>
        nodes.every(({ deps }) => deps.feed.listeners === 0),
      );
    },
  });
}

/** Small limits of features that do not affect each other, so that their tests can share nodes. */
export const smallLimits = {
  BLOCKS_MAX: '3',
  CONTACTS_MAX: '3',
  MENTIONS_MAX: '2',
  MESSAGE_EDIT_WINDOW: '1h',
  MESSAGE_VERSIONS_MAX: '3',
  PINS_MAX: '3',
  REACTION_EMOJIS_MAX: '4',
  REACTIONS_PER_PERSON_MAX: '3',
  RECEIPT_MAX_MEMBERS: '4',
};

/** The modes of suites whose results do not depend on the database, while others test the same feature in both modes. */
export const detailModes: Mode[] = process.env['MODES'] === 'all' ? modes : [anyMode];

/**
 * `it` or `describe` for such tests in a suite that runs in both modes: `const itOnce = inOneMode(mode, it)`. They run
 * with PostgreSQL if it is available, and in both modes with `npm run test:modes`.
 */
export function inOneMode<Api extends TestAPI | SuiteAPI>(mode: Mode, api: Api): Api {
  return detailModes.includes(mode) ? api : (none as Api);
}

/** Registers nothing. */
const none: unknown = Object.assign((): unknown => none, { each: (): unknown => none });

/**
 * The settings of tests that differ from the defaults: a free port, fast password hashes, a quiet log, no rate limits,
 * and no system messages in groups.
 */
const testSettings = {
  NODE_ENV: 'test',
  PORT: '0',
  BCRYPT_COST: '4',
  SYSTEM_MESSAGES: 'off',
  RATE_LIMITS: 'off',
  WEB: 'off',
  // Clearing the default of 32 MB takes half of the CPU time of a start.
  DATA_DIR_CACHE_BYTES: '8388608',
  // PostgreSQL accepts 100 connections by default, and four workers start several nodes each.
  // Each connection plans the statements again. Tests of locks need one that holds the lock, two that wait, and one for
  // others.
  DATABASE_POOL_MAX: '4',
  LOG_LEVEL: process.env['TEST_LOG_LEVEL'] ?? 'fatal',
  SHUTDOWN_TIMEOUT: '2s',
  DRAIN_TIME: '50ms',
};

/**
 * The path of a migrated embedded database of its own for `new PGlite`, which is removed at the end of the file. Creating
 * a cluster instead would take seconds of CPU time.
 */
export async function makeCluster(): Promise<string> {
  const { env, remove } = await makeFolder(`${inject('runName')}_${randomBytes(4).toString('hex')}`);
  atFileEnd(remove);
  return join(env.DATA_DIR, 'pg');
}

async function makeFolder(name: string) {
  const folder = join(inject('scratch'), name);
  const template = inject('embeddedTemplate');
  // Node takes a fifth of a second of CPU time for these thousand files.
  if (process.platform === 'win32') await cp(template, folder, { recursive: true });
  else await promisify(execFile)('cp', ['-R', template, folder]);
  return { env: { DATA_DIR: folder }, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** A connection to an existing database, which this process keeps, because opening one costs as much as dropping a database. */
let administration: Promise<pg.Client> | undefined;

/** Runs statements outside of the databases of the tests. */
async function administer<Row extends object>(sql: string, values: unknown[] = []): Promise<Row[]> {
  administration ??= connect();
  return (await (await administration).query<Row>(sql, values)).rows;

  async function connect() {
    const client = new pg.Client({ connectionString: inject('services')?.databaseUrl });
    // The next statement uses another one.
    client.on('error', () => {
      administration = undefined;
    });
    await client.connect();
    return client;
  }
}

async function makeDatabase(name: string, migrated: boolean) {
  const services = inject('services');
  if (!services) throw new Error('no services to make a database on');
  await administer(`CREATE DATABASE ${name} TEMPLATE ${migrated ? inject('databaseTemplate') : 'template0'}`);
  // Commits need not wait for the disk, because no test of this kind simulates a crash.
  await administer(settingStatements(name, `synchronous_commit=off;${databaseSettings}`).join('; '));
  return {
    env: {
      // Only emails and files of users are written there.
      DATA_DIR: join(inject('scratch'), name),
      DATABASE_URL: otherDatabase(services.databaseUrl, name),
      REDIS_URL: services.redisUrl,
      REDIS_PREFIX: name,
      MEDIA_DIR: join(inject('scratch'), name, 'media'),
      JWT_SECRET: 'a secret of the tests, the same for all nodes of a place',
    },
    remove: async () => void (await administer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)),
  };
}

/** Resolves when this number of transactions of the node's PostgreSQL database wait for locks. */
export const waitingFor = ({ deps }: RunningNode, count: number): Promise<void> =>
  eventually(`${count} wait`, async () => {
    // On another connection, because those of the node wait.
    const [row] = await administer<{ waiting: number }>(
      `SELECT count(*)::int AS waiting FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'`,
      [new URL(deps.config.databaseUrl ?? '').pathname.slice(1)],
    );
    return (row?.waiting ?? 0) >= count;
  });
