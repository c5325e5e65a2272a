import { Redis } from 'ioredis';
import pg from 'pg';
import { atEnd } from './ending.mjs';

const postgresUrl = process.env.TEST_DATABASE_URL ?? 'postgresql://postgres@127.0.0.1:5432/postgres';
export const redisUrl = process.env.TEST_REDIS_URL ?? 'redis://127.0.0.1:6379';

/** One statement on PostgreSQL, on a connection of its own. */
export async function query(url, text, values) {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  await client.connect();
  try {
    return (await client.query(text, values)).rows;
  } finally {
    await client.end();
  }
}

/**
 * A database and a prefix on Redis of this run's own, on the servers that answer; removed at the end.
 * @throws when there are none, or when PostgreSQL does not write as it does in earnest.
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
    local: ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname),
    description: [
      `PostgreSQL ${settings.server_version} (fsync ${settings.fsync}, synchronous_commit ${settings.synchronous_commit}, full_page_writes ${settings.full_page_writes}, shared_buffers ${settings.shared_buffers}), Redis ${redisVersion}`,
    ],
  };
}
