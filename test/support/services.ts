import { Redis } from 'ioredis';
import pg from 'pg';

/** Servers that tests may use; tests remove what they create on them. */
export interface Services {
  /** The URL of an existing database on a PostgreSQL server. */
  databaseUrl: string;
  redisUrl: string;
}

/**
 * Finds the servers: TEST_DATABASE_URL and TEST_REDIS_URL, or those on 127.0.0.1. Undefined, with the reason, if one is
 * missing.
 */
export async function findServices(): Promise<{ services: Services | undefined; reason: string }> {
  const databaseUrl = process.env['TEST_DATABASE_URL'] ?? 'postgresql://postgres@127.0.0.1:5432/postgres';
  const redisUrl = process.env['TEST_REDIS_URL'] ?? 'redis://127.0.0.1:6379';
  const answers = await Promise.all([
    query(databaseUrl, 'SELECT 1').then(
      () => undefined,
      (error: Error) => `PostgreSQL does not answer at ${databaseUrl} (${error.message})`,
    ),
    pingRedis(redisUrl).then(
      () => undefined,
      (error: Error) => `Redis does not answer at ${redisUrl} (${error.message})`,
    ),
  ]);
  const reason = answers.filter((answer) => answer !== undefined).join('; ');
  return { services: reason === '' ? { databaseUrl, redisUrl } : undefined, reason };
}

/** Runs one statement on a connection of its own. */
export async function query<Row extends object = object>(databaseUrl: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 2_000 });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** The URL of another database on the same server. */
export function otherDatabase(databaseUrl: string, name: string): string {
  const url = new URL(databaseUrl);
  url.pathname = `/${name}`;
  return url.href;
}

async function pingRedis(redisUrl: string): Promise<void> {
  const redis = new Redis(redisUrl, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
  redis.on('error', () => {});
  try {
    await redis.connect();
    await redis.ping();
  } finally {
    redis.disconnect();
  }
}
