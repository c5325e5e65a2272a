import { setTimeout } from 'node:timers/promises';
import { isDriverAdapterError } from '@prisma/driver-adapter-utils';
import { Prisma, PrismaClient } from '../../generated/prisma/client.js';
import type { Config } from '../config/config.js';
import type { Logger } from '../telemetry/log.js';
import { type Metrics, noMetrics } from '../telemetry/metrics.js';
import { noTracing, type Tracing } from '../telemetry/tracing.js';
import type { DatabaseDriver, PoolState, SqlPlans, SqlSession } from './driver.js';
import { adoptChangeLog, beginBreak, beginEpoch, findServerSql, type ServerSql, standbyError } from './history.js';
import { applyMigrations } from './migrations.js';
import { openPglite } from './pglite.js';
import { openPostgres } from './postgres.js';
import { limitStatements, withoutLimitOfUniqueReads, withStatementLimit } from './statements.js';
import { type Announcer, createAnnouncer, runLastStatements } from './unit-of-work.js';

/** The Prisma client outside of transactions. */
export type Db = PrismaClient;
/**
 * The Prisma client inside a transaction. With the embedded database, using the outer client inside a transaction would
 * deadlock, because there is only one connection.
 */
export type Tx = Prisma.TransactionClient;

/**
 * Plain SQL without Prisma, whose overhead is several times the cost of a small statement. It is meant for hot paths.
 */
export interface Sql {
  query<Row>(statement: Prisma.Sql): Promise<Row[]>;
}

/**
 * A transaction of plain SQL. BEGIN is sent to the server together with the first statement, which must therefore be a
 * read or a lock: a statement that must not run outside of the transaction comes later.
 */
export interface SqlTransaction extends Sql {
  /**
   * Runs a statement.
   * @param name the name of a prepared statement, for statements whose text never changes. It is parsed and planned
   *   once per connection.
   */
  query<Row>(statement: Prisma.Sql, name?: string): Promise<Row[]>;
  /** Runs the last statement, which is sent together with COMMIT. It is complete when the transaction resolves. */
  finish(statement: Prisma.Sql, name: string): Promise<void>;
}

/** Runs a statement in a transaction of either kind; in one of plain SQL, as a prepared statement if it has a name. */
export const queryIn = <Row>(tx: Tx | SqlTransaction, statement: Prisma.Sql, name?: string): Promise<Row[]> =>
  '$queryRaw' in tx ? tx.$queryRaw<Row[]>(statement) : tx.query<Row>(statement, name);

interface SqlTransactionOptions {
  /**
   * Whether `work` runs again in a new transaction if PostgreSQL aborts it because of a deadlock, so its side effects must
   * be repeatable. By default it does not.
   */
  repeatable?: boolean;
  /**
   * `indexes`, the default: named statements keep their first plan, which only uses indexes. `any`: PostgreSQL chooses, for
   * transactions with statements about many rows.
   */
  plans?: SqlPlans;
}

/**
 * `read-only`: the server is a standby in recovery, or does not accept writes; `disk full`: it has no space for them.
 */
export type DatabaseState = 'ok' | 'read-only' | 'disk full' | 'unreachable';

/**
 * The server history that the node is connected to. A promoted standby begins a new history, which may lack the latest
 * transactions.
 */
interface History {
  /** The SQL expressions for the run and the timeline of the server. */
  readonly server: ServerSql;
  /** Records the run of the current server, if no new connection did so: this is necessary behind a pooler. */
  begin(): Promise<void>;
  /** Begins an epoch that invalidates all older cursors. */
  beginBreak(): Promise<void>;
  /**
   * Reports the timeline of a server that responded. If it differs from the previous one, all connections are closed,
   * because they may lead to the old server, and the listeners are called.
   * @throws {FailoverError} if the server was replaced by another one that the node has already seen.
   */
  observeTimeline(timeline: string): void;
  /** Registers a listener for changes of the timeline. */
  onChange(listener: () => void): void;
}

export interface Database {
  readonly mode: DatabaseDriver['mode'];
  readonly db: Db;
  /**
   * Identifies the change log: another database, or a change log recreated by a restore, has another generation. It is
   * part of the names of Redis channels and of all cursors, so that those of different databases are never mixed up.
   */
  readonly generation: string;
  /**
   * Runs `work` in a transaction (READ COMMITTED), which is rolled back if `work` throws. If PostgreSQL aborts the
   * transaction because of a deadlock, `work` runs again in a new one, so its side effects must be repeatable. Resolves
   * after the commit, when the recorded changes (`announceAfterCommit`) have been announced.
   * @param options.timeoutMs the maximum duration in milliseconds, by default 20 seconds. A longer transaction is rolled
   *   back, and fails as UNAVAILABLE.
   */
  transaction<T>(work: (tx: Tx) => Promise<T>, options?: { timeoutMs?: number }): Promise<T>;
  /** Sets the handler of an announcement, which is called after each commit with the recorded items. */
  readonly onCommitted: Announcer['handle'];
  /** Single statements and transactions of plain SQL. */
  readonly sql: Sql & {
    transaction<T>(work: (sql: SqlTransaction) => Promise<T>, options?: SqlTransactionOptions): Promise<T>;
    /**
     * Runs a statement with its own time limit. If it is exceeded, the call fails as UNAVAILABLE and the connection is
     * closed.
     */
    queryWithin<Row>(timeoutMs: number, statement: Prisma.Sql): Promise<Row[]>;
  };
  readonly history: History;
  /** Resolves when the database has responded to a statement. */
  ping(): Promise<void>;
  /** Checks whether the database responds and accepts writes. Resolves within a few seconds and never rejects. */
  check(): Promise<DatabaseState>;
  /** The state of the connection pool; undefined with the embedded database, which has one connection. */
  pool(): PoolState | undefined;
  close(): Promise<void>;
}

/** The default of the maximum duration of a transaction, in milliseconds. */
const TRANSACTION_MAX_MS = 20_000;

/**
 * Opens the configured database and applies all missing migrations.
 * @throws {ConfigError} if another process uses the embedded database.
 */
export async function openDatabase(
  config: Config,
  log: Logger,
  { metrics, tracing }: { metrics: Metrics; tracing: Tracing } = { metrics: noMetrics, tracing: noTracing },
): Promise<Database> {
  const recordDuration = metrics.duration(
    'parley_database_transaction_duration_seconds',
    'Duration of transactions with several statements, including waits for a connection and for locks.',
  );
  const countDeadlock = metrics.counter(
    'parley_database_deadlocks_total',
    'Transactions rolled back by a deadlock and retried.',
  );
  const measured = <T>(work: () => Promise<T>): Promise<T> =>
    tracing.step('transaction', async () => {
      const began = performance.now();
      try {
        return await work();
      } finally {
        recordDuration((performance.now() - began) / 1000);
      }
    });
  const opened =
    config.databaseUrl === undefined
      ? await openPglite(config.dataDir, config.dataDirMinFreeBytes, log, config.dataDirCacheBytes)
      : await openPostgres(config.databaseUrl, {
          poolMax: config.databasePoolMax,
          prepared: config.databasePrepared,
          timeoutMs: config.databaseStatementTimeoutMs,
          log,
        });
  try {
    const { generation, history } = await opened.exclusively(async (session) => {
      const { server, precise } = await findServerSql(session);
      if (!precise) {
        log.warn(
          'PostgreSQL timeline cannot be read: each restart of PostgreSQL will expire all cursors, as a failover does',
        );
      }
      if (await isReadOnlySession(session)) throw standbyError();
      await applyMigrations(session, log, config.databaseUrl === undefined ? 'DATA_DIR' : 'DATABASE_URL');
      const own = await adoptChangeLog(session);
      return { generation: own, history: createHistory(opened, server, await beginEpoch(session, server), log) };
    });
    opened.onConnection(async (session) => history.observeTimeline(await beginEpoch(session, history.server)));
    /**
     * Fails if the server was replaced during `work`, because the result of the transaction is then lost or unknown.
     */
    const failingOnFailover = async <T>(work: () => Promise<T>): Promise<T> => {
      const { version } = history;
      try {
        const result = await work();
        if (history.version !== version) throw new FailoverError();
        return result;
      } catch (error) {
        writes.failed(error);
        throw error;
      }
    };
    const writes = trackWritability(opened, log);
    const announcer = createAnnouncer(log);
    // The embedded database runs one transaction at a time, so all other callers wait for those of one user. PostgreSQL
    // runs them in parallel, and they would hold their turn while they wait for locks.
    const inTurn = opened.mode === 'embedded' ? withStatementLimit : <T>(work: () => Promise<T>) => work();
    const db = withoutLimitOfUniqueReads(new PrismaClient({ adapter: limitStatements(opened.adapter) }));
    return {
      mode: opened.mode,
      db,
      generation,
      history,
      onCommitted: announcer.handle,
      transaction: (work, { timeoutMs = TRANSACTION_MAX_MS } = {}) =>
        announcer.run((begin) =>
          inTurn(() =>
            retryDeadlocks(
              () =>
                measured(() =>
                  failingOnFailover(() =>
                    db.$transaction(
                      async (tx) => {
                        const result = await work(begin(tx));
                        await runLastStatements(tx);
                        return result;
                      },
                      { maxWait: 10_000, timeout: timeoutMs },
                    ),
                  ),
                ),
              countDeadlock,
            ),
          ),
        ),
      sql: {
        query: ({ text, values }) => withStatementLimit(() => opened.query(text, values)),
        queryWithin: (timeoutMs, { text, values }) => opened.query(text, values, timeoutMs),
        transaction: (work, { repeatable = false, plans = 'indexes' } = {}) =>
          announcer.run((begin) => {
            const attempt = () =>
              measured(() =>
                failingOnFailover(() =>
                  opened.transaction(async (session) => {
                    const sql: SqlTransaction = begin({
                      query: ({ text, values }, name) => session.query(text, values, name),
                      finish: ({ text, values }, name) => session.finish(text, values, name),
                    });
                    const result = await work(sql);
                    await runLastStatements(sql);
                    return result;
                  }, plans),
                ),
              );
            return inTurn(() => (repeatable ? retryDeadlocks(attempt, countDeadlock) : attempt()));
          }),
      },
      pool: () => opened.pool(),
      check: writes.check,
      ping: async () => void (await db.$queryRaw`SELECT 1`),
      async close() {
        await db.$disconnect();
        await opened.close();
      },
    };
  } catch (error) {
    await opened.close().catch(() => {});
    throw error;
  }
}

/**
 * The maximum number of attempts for a transaction that deadlocks, and the maximum delay between two attempts in
 * milliseconds.
 */
const ATTEMPTS_MAX = 3;
const PAUSE_MAX_MS = 50;

async function retryDeadlocks<T>(attempt: () => Promise<T>, onDeadlock: () => void): Promise<T> {
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!isDeadlock(error)) throw error;
      onDeadlock();
      if (attempts === ATTEMPTS_MAX) throw error;
      // A random delay prevents the same transactions from deadlocking again.
      await setTimeout(Math.random() * PAUSE_MAX_MS);
    }
  }
}

/**
 * How long a server with an older timeline is rejected, in milliseconds, before it is considered restored on purpose.
 */
const OLD_SERVER_REJECTED_MS = 10_000;

function createHistory(
  opened: DatabaseDriver,
  server: ServerSql,
  first: string,
  log: Logger,
): History & { /** Incremented whenever the timeline changes. */ readonly version: number } {
  const session: Pick<SqlSession, 'query'> = { query: (sql, parameters = []) => opened.query(sql, parameters) };
  const listeners: (() => void)[] = [];
  let timeline = first;
  let version = 0;
  let rejectedSince: number | undefined;
  function observeTimeline(other: string): void {
    if (other === timeline) {
      rejectedSince = undefined;
      return;
    }
    if (other < timeline) {
      rejectedSince ??= performance.now();
      if (performance.now() - rejectedSince < OLD_SERVER_REJECTED_MS) throw new FailoverError();
    }
    log.warn({ from: timeline, to: other }, 'PostgreSQL failover detected: the timeline has changed');
    rejectedSince = undefined;
    timeline = other;
    version += 1;
    opened.dropConnections();
    for (const listener of listeners) listener();
  }
  return {
    server,
    begin: async () => observeTimeline(await beginEpoch(session, server)),
    beginBreak: () => beginBreak(session, server),
    observeTimeline,
    onChange: (listener) => void listeners.push(listener),
    get version() {
      return version;
    },
  };
}

/** How long `check` waits for a response, in milliseconds. */
const CHECK_TIMEOUT_MS = 3_000;

const isReadOnlySession = async (session: Pick<SqlSession, 'query'>): Promise<boolean> => {
  const [row] = await session.query<{ readOnly: boolean }>(
    `SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS "readOnly"`,
  );
  return row?.readOnly ?? false;
};

/** Allocates a new file on the disk, which is removed at once. */
const ALLOCATE_SPACE = `CREATE TEMPORARY TABLE parley_room ON COMMIT DROP AS SELECT repeat(md5(n::text), 30) AS text FROM generate_series(1, 50) n`;

/** Tracks whether the database accepts writes. Only changes of this state are logged, not each failed write. */
function trackWritability(
  opened: DatabaseDriver,
  log: Logger,
): { failed(error: unknown): void; check(): Promise<DatabaseState> } {
  let state: DatabaseState = 'ok';
  function enter(next: DatabaseState, error?: unknown): DatabaseState {
    if (next === state) return state;
    if (next === 'read-only') log.warn({ err: error }, 'database is read-only or a standby: writes are rejected');
    if (next === 'disk full') log.warn({ err: error }, 'disk of the database is full: writes are rejected');
    if (next === 'ok' && state !== 'unreachable') log.info('database accepts writes again');
    state = next;
    return state;
  }
  async function checkWrites(): Promise<DatabaseState> {
    const query = <Row>(sql: string, parameters: unknown[] = []) =>
      opened.query<Row>(sql, parameters, CHECK_TIMEOUT_MS);
    if (await isReadOnlySession({ query })) return 'read-only';
    // Only a write can tell whether there is space again.
    if (state === 'disk full') await query(ALLOCATE_SPACE);
    return 'ok';
  }
  let checking: Promise<DatabaseState> | undefined;
  return {
    failed(error) {
      const reason = stateOf(error);
      if (reason === 'read-only' || reason === 'disk full') enter(reason, error);
    },
    check: () =>
      (checking ??= checkWrites()
        .then(enter, (error: unknown) => {
          const reason = stateOf(error);
          // If temporary tables are not permitted, this cannot be checked, so the disk is assumed to have space.
          return enter(reason === 'ok' ? (state === 'disk full' ? 'ok' : 'unreachable') : reason, error);
        })
        .finally(() => {
          checking = undefined;
        })),
  };
}

/** The state of the database according to an error; `ok` for errors of another kind. */
export function stateOf(error: unknown): DatabaseState {
  const code = String(sqlStateOf(error) ?? '');
  if (['25006', '55000'].includes(code)) return 'read-only';
  if (code === '53100') return 'disk full';
  return isUnavailable(error) ? 'unreachable' : 'ok';
}

/** The response came from a server that was replaced, or while it was being replaced. The call may be retried. */
class FailoverError extends Error {
  readonly code = '57P01';
  constructor() {
    super('a failover of PostgreSQL occurred, or this server was demoted in one');
  }
}

/** Whether the error is a violation of a unique constraint. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002';
}

/** Whether the error means that the wait for a lock exceeded `lock_timeout`. */
export const isLockTimeout = (error: unknown): boolean => sqlStateOf(error) === '55P03';

/** Whether PostgreSQL aborted the transaction because of a deadlock. */
export const isDeadlock = (error: unknown): boolean => sqlStateOf(error) === '40P01';

/** Whether the database reported this error, so that the statement definitely had no effect. */
export const isDatabaseError = (error: unknown): boolean => error instanceof Error && 'severity' in error;

/** The SQLSTATE of an error, either of plain SQL or wrapped by Prisma. */
function sqlStateOf(error: unknown): unknown {
  if (error instanceof Prisma.PrismaClientKnownRequestError) return sqlStateOf(error.meta?.['driverAdapterError']);
  if (!(error instanceof Error)) return undefined;
  return isDriverAdapterError(error) ? error.cause.originalCode : (error as { code?: unknown }).code;
}

/**
 * Whether the error means that the database cannot be reached, is overloaded, or aborted a transaction because of a
 * conflict. The call may be retried.
 */
export function isUnavailable(error: unknown): boolean {
  if (isDeadlock(error)) return true;
  if (error instanceof Prisma.PrismaClientInitializationError) return true;
  if (error instanceof Prisma.PrismaClientKnownRequestError) {
    return (
      ['P1000', 'P1001', 'P1002', 'P1008', 'P1011', 'P1017', 'P2024', 'P2028', 'P2034', 'P2037'].includes(error.code) ||
      isUnavailable(error.meta?.['driverAdapterError'] ?? error.cause)
    );
  }
  if (error instanceof Error && isDriverAdapterError(error)) {
    const { cause } = error;
    return (
      [
        'SocketTimeout',
        'DatabaseNotReachable',
        'ConnectionClosed',
        'TooManyConnections',
        'TlsConnectionError',
      ].includes(cause.kind) ||
      unreachable.test(cause.originalCode ?? '') ||
      unreachable.test(cause.originalMessage ?? error.message)
    );
  }
  return error instanceof Error && unreachable.test(`${(error as NodeJS.ErrnoException).code ?? ''} ${error.message}`);
}

// Error codes of Node and pg, and PostgreSQL's classes 08 (connection), 53 (resources) and 57P (shutdown). 25006 and
// 55000 are reported by servers that accept no writes, 26000 and 42P05 by poolers that do not keep prepared statements.
const unreachable =
  /^25006|^55000|^26000|^42P05|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|Connection terminated|timeout exceeded when trying to connect|^08|^53|^57P|shutting down|starting up|Query read timeout|terminating connection|not queryable/;
