import type { Duplex } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import type { Logger } from '../telemetry/log.js';
import type { DatabaseDriver, SqlSession } from './driver.js';
import { asConfigError, findDatabase } from './postgres-connection.js';

/** Milliseconds to wait for a free connection before a call fails as UNAVAILABLE. */
const CONNECT_TIMEOUT_MS = 5_000;

/** The time limit of the statements that initialize a new connection, in milliseconds. */
const INITIALIZATION_TIMEOUT_MS = CONNECT_TIMEOUT_MS;
/** pg also supports this option for single queries, which its types omit. */
const within = (timeoutMs: number) => ({ query_timeout: timeoutMs });
/** The maximum delay of setTimeout, for migrations and index builds, whose duration is not limited. */
const NO_TIMEOUT_MS = 2 ** 31 - 1;
/** The idle time in milliseconds after which a connection is probed with TCP keep-alive packets. */
const KEEP_ALIVE_AFTER_MS = 10_000;

/**
 * Begins a transaction in which statements use generic plans that are made once per connection, and only use indexes.
 * Otherwise a plan with sequential scans, made while the tables are small, would be kept when they have grown.
 */
const BEGIN_PREPARED = `BEGIN; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off;
  SET LOCAL enable_bitmapscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off`;

/**
 * Opens PostgreSQL with one connection pool, which Prisma shares. With `prepared`, named statements stay prepared on
 * their connections. A statement that takes longer than `timeoutMs` fails as UNAVAILABLE and its connection is
 * destroyed, because a server that has become unreachable (a moved address, a firewall that dropped the connection)
 * sends no error.
 * @throws {ConfigError} if the URL, the server or the database is wrong in a way that a retry cannot resolve.
 */
export async function openPostgres(
  url: string,
  { poolMax, prepared, timeoutMs, log }: { poolMax: number; prepared: boolean; timeoutMs: number; log: Logger },
): Promise<DatabaseDriver> {
  const found = await findDatabase(url, CONNECT_TIMEOUT_MS);
  let preparing = prepared && found.prepared;
  let initialize: Parameters<DatabaseDriver['onConnection']>[0] | undefined;
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
    // Statements are sent without waiting for the results of preceding ones.
    pipeline: true,
    async onConnect(client) {
      await client.query({ text: found.settings, ...within(INITIALIZATION_TIMEOUT_MS) });
      await initialize?.(sessionOn(client, INITIALIZATION_TIMEOUT_MS));
    },
  });
  const withSession = async <T>(work: (session: SqlSession) => Promise<T>): Promise<T> => {
    const client = await pool.connect();
    client.on('error', logError);
    try {
      return await work(sessionOn(client, NO_TIMEOUT_MS));
    } catch (error) {
      throw asConfigError(error);
    } finally {
      client.off('error', logError);
      // Destroys the connection, because its settings may have changed, or a transaction may still be open.
      client.release(true);
    }
  };
  const logError = (error: Error) => {
    if (!(error instanceof DroppedError)) log.warn({ err: error }, 'idle PostgreSQL connection lost');
  };
  pool.on('error', logError);
  const open = new Set<OpenClient>();
  const idle = new Set<OpenClient>();
  pool.on('connect', (client) => open.add(client as OpenClient));
  pool.on('acquire', (client) => idle.delete(client as OpenClient));
  pool.on('release', (error, released) => {
    const client = released as OpenClient;
    // If one connection broke or timed out, idle connections to the same server are closed as well, because each of
    // them would take as long to fail.
    if (isTimeout(error) || !client._queryable) destroy([...idle]);
    else if (!error) idle.add(client);
  });
  pool.on('remove', (client) => {
    open.delete(client as OpenClient);
    idle.delete(client as OpenClient);
  });
  return {
    mode: 'postgresql',
    adapter: new PrismaPg(pool, {
      schema: found.schema,
      onPoolError: (error) => log.warn({ err: error }, 'PostgreSQL connection pool error'),
    }),
    query: async <Row>(text: string, values: unknown[], limitMs = timeoutMs) =>
      (await pool.query({ text, values, ...within(limitMs) })).rows as Row[],
    async transaction(work, plans = 'indexes') {
      const client = await pool.connect();
      const prepares = preparing;
      // An error between two statements has no receiver; the next statement fails with it.
      client.on('error', logError);
      const send = (text: string, values: unknown[] = [], name?: string) =>
        client.query({ text, values, ...(prepares && name !== undefined && { name }) });
      let finished = false;
      let broken = false;
      try {
        sendTogether(client);
        const beginning = client.query(prepares && plans === 'indexes' ? BEGIN_PREPARED : 'BEGIN');
        // Prevents an unhandled rejection; the first statement reports the error.
        beginning.catch(() => {});
        const result = await work({
          async query<Row>(sql: string, parameters: unknown[], name?: string) {
            const [, answer] = await Promise.all([beginning, send(sql, parameters, name)]);
            return answer.rows as Row[];
          },
          async finish(sql, parameters, name) {
            await beginning;
            sendTogether(client);
            // After a failed statement, COMMIT rolls back.
            await Promise.all([send(sql, parameters, name), send('COMMIT')]);
            finished = true;
          },
        });
        if (!finished) {
          await beginning;
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
        // A connection whose rollback fails is destroyed.
        broken = await send('ROLLBACK').then(
          () => false,
          () => true,
        );
        throw error;
      } finally {
        client.off('error', logError);
        client.release(broken);
      }
    },
    exclusively: (work) =>
      withSession(async (lock) => {
        await acquireLock(lock, log);
        const result = await withSession(work);
        await lock.run('COMMIT');
        return result;
      }),
    onConnection(next) {
      initialize = next;
    },
    dropConnections: () => destroy([...open]),
    pool: () => ({ busy: pool.totalCount - pool.idleCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    close: () => pool.end(),
  };
}

/** Properties of pg's client that are not part of its types. */
type OpenClient = pg.PoolClient & { _queryable: boolean; connection: { stream: Duplex } };

/** Whether a statement timed out. */
const isTimeout = (error: unknown): boolean => error instanceof Error && error.message === 'Query read timeout';

/**
 * Whether a prepared statement does not exist on this connection, or exists although this connection did not prepare
 * it.
 */
const isStatementLost = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === '26000' || error.code === '42P05');

/** This node closed the connection, because the server did not respond or was replaced. */
class DroppedError extends Error {
  constructor() {
    super('Connection terminated: it leads to a server that does not answer or was replaced');
  }
}

/**
 * Sends the statements of the current task, and of its promises, with one system call. Each one costs about as much CPU time
 * as a simple statement, and wakes the server.
 */
function sendTogether(client: pg.PoolClient): void {
  const { stream } = (client as OpenClient).connection;
  stream.cork();
  process.nextTick(() => stream.uncork());
}

/** Destroys connections at once. Statements in progress fail as UNAVAILABLE, and the pool removes the connections. */
function destroy(clients: readonly OpenClient[]): void {
  for (const client of clients) client.connection.stream.destroy(new DroppedError());
}

/** The advisory lock of `prisma migrate`, so that it and nodes exclude each other. */
const LOCK = 72_707_369;

/** The delay between two attempts to acquire the lock, in milliseconds. */
const LOCK_POLL_MS = 100;

/**
 * Acquires the lock in a transaction that stays open. A session-level lock would not work behind a pooler, where
 * another client may get the same session. The lock is polled, because a waiting statement holds a snapshot, and
 * `CREATE INDEX CONCURRENTLY` on another node waits for all snapshots. An open transaction without a statement holds
 * none.
 */
async function acquireLock(session: SqlSession, log: Logger): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    await session.run('BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0');
    // Without parameters: with the extended protocol, the portal would hold its snapshot until the next statement.
    const [row] = await session.query<{ got: boolean }>(`SELECT pg_try_advisory_xact_lock(${LOCK}) AS got`);
    if (row?.got) return;
    await session.run('ROLLBACK');
    if (attempt === 10) log.info('waiting for another node to migrate the database');
    await setTimeout(LOCK_POLL_MS);
  }
}
