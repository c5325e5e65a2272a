import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import type { Footing, SqlSession } from './footing.js';
import type { Logger } from './log.js';

/** Milliseconds to wait for a free connection before a call fails as UNAVAILABLE. */
const CONNECT_TIMEOUT_MS = 5_000;

/** Milliseconds that a plain statement may take before it fails as UNAVAILABLE: a server that has fallen silent says nothing. */
const timed = { query_timeout: 20_000 };

/** PostgreSQL, over one pool that Prisma shares. */
export function openPostgres(url: string, poolMax: number, log: Logger): Footing {
  let greet: Parameters<Footing['onConnection']>[0] | undefined;
  const sessionOn = (client: pg.ClientBase): SqlSession => ({
    run: async (sql) => void (await client.query(sql)),
    query: async <Row>(sql: string, parameters: unknown[] = []) => (await client.query(sql, parameters)).rows as Row[],
  });
  const pool = new pg.Pool({
    connectionString: url,
    max: poolMax,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: 'parley',
    onConnect: (client) => greet?.(sessionOn(client)),
  });
  const hear = (error: Error) => log.warn({ err: error }, 'an idle connection to PostgreSQL broke');
  pool.on('error', hear);
  return {
    footing: 'postgresql',
    adapter: new PrismaPg(pool, { onPoolError: (error) => log.warn({ err: error }, 'PostgreSQL pool') }),
    query: async <Row>(sql: string, parameters: unknown[]) =>
      (await pool.query({ text: sql, values: parameters, ...timed })).rows as Row[],
    async transaction(work) {
      const client = await pool.connect();
      // Between two statements a connection that breaks has nobody to tell: the next statement says so.
      client.on('error', hear);
      try {
        await client.query({ text: 'BEGIN', ...timed });
        const result = await work({
          query: async <Row>(sql: string, parameters: unknown[] = []) =>
            (await client.query({ text: sql, values: parameters, ...timed })).rows as Row[],
        });
        await client.query({ text: 'COMMIT', ...timed });
        client.off('error', hear);
        client.release();
        return result;
      } catch (error) {
        // A connection on which not even this works is not given back.
        const broken = await client.query({ text: 'ROLLBACK', ...timed }).then(
          () => false,
          () => true,
        );
        client.off('error', hear);
        client.release(broken);
        throw error;
      }
    },
    async withSession(work) {
      const client = await pool.connect();
      client.on('error', hear);
      try {
        return await work(sessionOn(client));
      } finally {
        client.off('error', hear);
        client.release();
      }
    },
    onConnection(next) {
      greet = next;
    },
    close: () => pool.end(),
  };
}
