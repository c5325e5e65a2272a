import type { Duplex } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import type { Logger } from '../telemetry/log.js';
import type { Footing, SqlSession } from './footing.js';
import { explained, findDatabase } from './postgres-connection.js';

/** Milliseconds to wait for a free connection before a call fails as UNAVAILABLE. */
const CONNECT_TIMEOUT_MS = 5_000;

/** Milliseconds that a new connection may take to answer what it is asked before it is used. */
const GREETING_TIMEOUT_MS = CONNECT_TIMEOUT_MS;
/** pg takes it of single queries too, which its types do not say. */
const within = (timeoutMs: number) => ({ query_timeout: timeoutMs });
/** setTimeout's longest delay: migrations and index builds take as long as they take. */
const NO_TIMEOUT_MS = 2 ** 31 - 1;
/** A connection that is silent for so long is probed every second, and given up after ten probes without an answer. */
const KEEP_ALIVE_AFTER_MS = 10_000;

/**
 * Begins a transaction in which statements are planned once for each connection, without knowledge of what they are
 * asked for, and so by their indexes alone: a plan that suits the tables as they are at first (small) would be kept
 * when they have grown, and read all of them.
 */
const BEGIN_PREPARED = `BEGIN; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off;
  SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off`;

/**
 * PostgreSQL, over one pool that Prisma shares. With `prepared`, named statements stay prepared on a connection. A statement
 * that takes longer than `timeoutMs` fails as UNAVAILABLE, and its connection is destroyed: a server that has fallen silent (a
 * moved address, a firewall that has forgotten the connection) sends nothing, not even an error.
 * @throws {ConfigError} when the URL, the server or the database is wrong in a way that does not pass by itself.
 */
export async function openPostgres(
  url: string,
  { poolMax, prepared, timeoutMs, log }: { poolMax: number; prepared: boolean; timeoutMs: number; log: Logger },
): Promise<Footing> {
  const found = await findDatabase(url, CONNECT_TIMEOUT_MS);
  let preparing = prepared && found.prepared;
  let greet: Parameters<Footing['onConnection']>[0] | undefined;
  const sessionOn = (client: pg.ClientBase, limitMs: number): SqlSession => ({
    run: async (text) => void (await client.query({ text, ...within(limitMs) })),
    query: async <Row>(text: string, values: unknown[] = []) =>
      (await client.query({ text, values, ...within(limitMs) })).rows as Row[],
  });
  const pool = new pg.Pool({
    ...found.config,
    max: poolMax,
    query_timeout: timeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
    // What does not wait for an answer is sent at once.
    pipeline: true,
    async onConnect(client) {
      await client.query({ text: found.settings, ...within(GREETING_TIMEOUT_MS) });
      await greet?.(sessionOn(client, GREETING_TIMEOUT_MS));
    },
  });
  const withSession = async <T>(work: (session: SqlSession) => Promise<T>): Promise<T> => {
    const client = await pool.connect();
    client.on('error', hear);
    try {
      return await work(sessionOn(client, NO_TIMEOUT_MS));
    } catch (error) {
      throw explained(error);
    } finally {
      client.off('error', hear);
      // It may have settings of its own by now, or an open transaction.
      client.release(true);
    }
  };
  const hear = (error: Error) => {
    if (!(error instanceof DroppedError)) log.warn({ err: error }, 'idle PostgreSQL connection lost');
  };
  pool.on('error', hear);
  const open = new Set<OpenClient>();
  const idle = new Set<OpenClient>();
  pool.on('connect', (client) => open.add(client as OpenClient));
  pool.on('acquire', (client) => idle.delete(client as OpenClient));
  pool.on('release', (error, released) => {
    const client = released as OpenClient;
    // Where one connection broke or fell silent, the others to the same server are tried no more: each would take as
    // long to fail.
    if (isSilence(error) || !client._queryable) destroy([...idle]);
    else if (!error) idle.add(client);
  });
  pool.on('remove', (client) => {
    open.delete(client as OpenClient);
    idle.delete(client as OpenClient);
  });
  return {
    footing: 'postgresql',
    adapter: new PrismaPg(pool, {
      schema: found.schema,
      onPoolError: (error) => log.warn({ err: error }, 'PostgreSQL connection pool error'),
    }),
    query: async <Row>(text: string, values: unknown[], limitMs = timeoutMs) =>
      (await pool.query({ text, values, ...within(limitMs) })).rows as Row[],
    async transaction(work) {
      const client = await pool.connect();
      const prepares = preparing;
      // Between two statements a connection that breaks has nobody to tell: the next statement says so.
      client.on('error', hear);
      const send = (text: string, values: unknown[] = [], name?: string) =>
        client.query({ text, values, ...(prepares && name !== undefined && { name }) });
      let finished = false;
      let broken = false;
      try {
        const begun = client.query(prepares ? BEGIN_PREPARED : 'BEGIN');
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
        if (preparing && isStatementLost(error)) {
          preparing = false;
          log.warn(
            { err: error },
            'connection pooler does not keep prepared statements: they are disabled from now on; set DATABASE_PREPARED=off',
          );
        }
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
    exclusively: (work) =>
      withSession(async (lock) => {
        await takeLock(lock, log);
        const result = await withSession(work);
        await lock.run('COMMIT');
        return result;
      }),
    onConnection(next) {
      greet = next;
    },
    dropConnections: () => destroy([...open]),
    pool: () => ({ busy: pool.totalCount - pool.idleCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    close: () => pool.end(),
  };
}

/** What pg's client has beside its documented interface. */
type OpenClient = pg.PoolClient & { _queryable: boolean; connection: { stream: Duplex } };

/** Whether a statement was given up because no answer came. */
const isSilence = (error: unknown): boolean => error instanceof Error && error.message === 'Query read timeout';

/** Whether a prepared statement is not there, or is there though this connection did not prepare it. */
const isStatementLost = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === '26000' || error.code === '42P05');

/** A connection was ended by this node, for it leads nowhere, or to a server that was replaced. */
class DroppedError extends Error {
  constructor() {
    super('Connection terminated: it leads to a server that does not answer or was replaced');
  }
}

/** Ends connections at once. What is under way on them fails as UNAVAILABLE, and the pool lets go of them. */
function destroy(clients: readonly OpenClient[]): void {
  for (const client of clients) client.connection.stream.destroy(new DroppedError());
}

/** The advisory lock that `prisma migrate` takes: it and we exclude each other. */
const LOCK = 72_707_369;

/** How long a node waits before it asks for the lock again, in milliseconds. */
const LOCK_POLL_MS = 100;

/**
 * Begins a transaction that holds the lock until it ends: one of the session would be another transaction's behind a
 * pooler. Who waits asks again and again: a statement that waits holds a snapshot, and an index that is made
 * concurrently waits for all of those. An open transaction without a statement holds none.
 */
async function takeLock(session: SqlSession, log: Logger): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    await session.run('BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0');
    // Without parameters: the extended protocol's portal would keep its snapshot until the next statement.
    const [row] = await session.query<{ got: boolean }>(`SELECT pg_try_advisory_xact_lock(${LOCK}) AS got`);
    if (row?.got) return;
    await session.run('ROLLBACK');
    if (attempt === 10) log.info('waiting for another node to migrate the database');
    await setTimeout(LOCK_POLL_MS);
  }
}
