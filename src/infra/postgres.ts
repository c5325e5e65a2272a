import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import type { Footing, SqlSession } from './footing.js';
import type { Logger } from './log.js';
import { explained, findDatabase } from './postgres-connection.js';

/** Milliseconds to wait for a free connection before a call fails as UNAVAILABLE. */
const CONNECT_TIMEOUT_MS = 5_000;

/** Milliseconds that a plain statement may take before it fails as UNAVAILABLE: a server that has fallen silent says nothing. */
const timed = { query_timeout: 20_000 };

/**
 * Begins a transaction in which statements are planned once for each connection, without knowledge of what they are
 * asked for, and so by their indexes alone: a plan that suits the tables as they are at first (small) would be kept
 * when they have grown, and read all of them.
 */
const BEGIN_PREPARED = `BEGIN; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off;
  SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off`;

/**
 * PostgreSQL, over one pool that Prisma shares. With `prepared`, named statements stay prepared on a connection.
 * @throws {ConfigError} when the URL, the server or the database is wrong in a way that does not pass by itself.
 */
export async function openPostgres(
  url: string,
  { poolMax, prepared, log }: { poolMax: number; prepared: boolean; log: Logger },
): Promise<Footing> {
  const found = await findDatabase(url, CONNECT_TIMEOUT_MS);
  const prepare = prepared && found.prepared;
  let greet: Parameters<Footing['onConnection']>[0] | undefined;
  const sessionOn = (client: pg.ClientBase): SqlSession => ({
    run: async (sql) => void (await client.query(sql)),
    query: async <Row>(sql: string, parameters: unknown[] = []) => (await client.query(sql, parameters)).rows as Row[],
  });
  const pool = new pg.Pool({
    ...found.config,
    max: poolMax,
    // What does not wait for an answer is sent at once.
    pipeline: true,
    async onConnect(client) {
      await client.query(found.settings);
      await greet?.(sessionOn(client));
    },
  });
  const hear = (error: Error) => log.warn({ err: error }, 'an idle connection to PostgreSQL broke');
  pool.on('error', hear);
  return {
    footing: 'postgresql',
    adapter: new PrismaPg(pool, {
      schema: found.schema,
      onPoolError: (error) => log.warn({ err: error }, 'the connection pool of PostgreSQL reported an error'),
    }),
    query: async <Row>(sql: string, parameters: unknown[]) =>
      (await pool.query({ text: sql, values: parameters, ...timed })).rows as Row[],
    async transaction(work) {
      const client = await pool.connect();
      // Between two statements a connection that breaks has nobody to tell: the next statement says so.
      client.on('error', hear);
      const send = (text: string, values: unknown[] = [], name?: string) =>
        client.query({ text, values, ...(prepare && name !== undefined && { name }), ...timed });
      let finished = false;
      let broken = false;
      try {
        const begun = client.query({ text: prepare ? BEGIN_PREPARED : 'BEGIN', ...timed });
        // Whoever waits for it hears of it.
        begun.catch(() => {});
        const result = await work({
          async query<Row>(sql: string, parameters: unknown[], name?: string) {
            const [, answer] = await Promise.all([begun, send(sql, parameters, name)]);
            return answer.rows as Row[];
          },
          async finish(sql, parameters, name) {
            await begun;
            // After a statement that failed, COMMIT rolls back.
            await Promise.all([send(sql, parameters, name), send('COMMIT')]);
            finished = true;
          },
        });
        if (!finished) {
          await begun;
          await send('COMMIT');
        }
        return result;
      } catch (error) {
        // A connection on which not even this works is not given back.
        broken = await send('ROLLBACK').then(
          () => false,
          () => true,
        );
        throw error;
      } finally {
        client.off('error', hear);
        client.release(broken);
      }
    },
    async withSession(work) {
      const client = await pool.connect();
      client.on('error', hear);
      try {
        return await work(sessionOn(client));
      } catch (error) {
        throw explained(error);
      } finally {
        client.off('error', hear);
        // It may have settings of its own by now.
        client.release(true);
      }
    },
    onConnection(next) {
      greet = next;
    },
    pool: () => ({ busy: pool.totalCount - pool.idleCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    close: () => pool.end(),
  };
}
