import { existsSync, readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import pg from 'pg';
import { cpuOf } from './cpu.mjs';
import { atEnd } from './ending.mjs';

const postgresUrl = process.env.TEST_DATABASE_URL ?? 'postgresql://postgres@127.0.0.1:5432/postgres';
const redisUrl = process.env.TEST_REDIS_URL ?? 'redis://127.0.0.1:6379';

/**
 * The CPU time in microseconds of the PostgreSQL processes of the open connections to the database; undefined if the
 * processes are not visible, because they run on another machine or in a container. It leaves out autovacuum, whose
 * work does not belong to the measurement.
 */
export async function postgresCpu(place) {
  const times = await postgresTimes(place);
  return times && [...times.values()].reduce((sum, time) => sum + time, 0);
}

/** The same for each process, by its id: connections can be opened and closed while something is measured. */
export async function postgresTimes({ local, query: ask }) {
  if (!local) return undefined;
  const backends = await ask(
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
  );
  if (!backends.every(({ pid }) => isPostgres(pid))) return undefined;
  return new Map(backends.map(({ pid }) => [pid, cpuOf(pid)]));
}

function isPostgres(pid) {
  const path = `/proc/${pid}/comm`;
  return existsSync(path) && readFileSync(path, 'utf8').startsWith('postgres');
}

/** Runs one statement on PostgreSQL, on a connection of its own. */
async function query(url, text, values) {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  await client.connect();
  try {
    return (await client.query(text, values)).rows;
  } finally {
    await client.end();
  }
}

/**
 * Creates a database and a Redis prefix for this run, which are removed at the end.
 * @throws if no servers are available, or if PostgreSQL has durability disabled.
 */
export async function makePlace() {
  const name = `parley_bench_${process.pid}`;
  const settings = {};
  for (const setting of ['server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers']) {
    const [row] = await query(postgresUrl, `SHOW ${setting}`);
    settings[setting] = row[setting];
  }
  if (settings.fsync !== 'on' || settings.synchronous_commit !== 'on') {
    throw new Error('PostgreSQL has fsync or synchronous_commit off: its writes would not be those of a product');
  }
  await query(postgresUrl, `CREATE DATABASE ${name}`);
  atEnd(() => query(postgresUrl, `DROP DATABASE ${name} WITH (FORCE)`));
  const redis = new Redis(redisUrl, { lazyConnect: true, maxRetriesPerRequest: 0 });
  await redis.connect();
  const redisVersion = /redis_version:(\S+)/.exec(await redis.info('server'))[1];
  atEnd(async () => {
    for (const key of await redis.keys(`${name}*`)) await redis.del(key);
    redis.disconnect();
  });
  const url = new URL(postgresUrl);
  url.pathname = `/${name}`;
  return {
    name,
    databaseUrl: url.href,
    redisUrl,
    /** The environment of a node of Parley. */
    env: { DATABASE_URL: url.href, REDIS_URL: redisUrl, REDIS_PREFIX: name },
    query: (text, values) => query(url.href, text, values),
    /** Whether PostgreSQL may run on this machine. */
    local: ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname),
    description: [
      `PostgreSQL ${settings.server_version} (fsync ${settings.fsync}, synchronous_commit ${settings.synchronous_commit}, full_page_writes ${settings.full_page_writes}, shared_buffers ${settings.shared_buffers}), Redis ${redisVersion}`,
    ],
  };
}
