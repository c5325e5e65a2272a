import { setTimeout } from 'node:timers/promises';
import { isDriverAdapterError } from '@prisma/driver-adapter-utils';
import { Prisma, PrismaClient } from '../generated/prisma/client.js';
import type { Config } from './config.js';
import type { Footing, PoolState, SqlSession } from './footing.js';
import { adoptChangeLog, beginEpoch } from './history.js';
import type { Logger } from './log.js';
import { type Metrics, noMetrics } from './metrics.js';
import { applyMigrations, underLock } from './migrations.js';
import { openPglite } from './pglite.js';
import { openPostgres } from './postgres.js';
import { noTracing, type Tracing } from './tracing.js';

/** The client outside a transaction. */
export type Db = PrismaClient;
/** The client inside one: on the embedded footing using the outer one there would wait for itself for ever. */
export type Tx = Prisma.TransactionClient;

/** Plain SQL, past Prisma: its way costs several times what a small statement does, which counts where many are asked. */
export interface Sql {
  query<Row>(statement: Prisma.Sql): Promise<Row[]>;
}

/**
 * A transaction of plain SQL. Its beginning goes to the server together with its first statement, so that one must be a
 * read or a lock: what must not happen outside of a transaction comes later.
 */
export interface SqlTransaction extends Sql {
  /** `name`: of a statement whose text never changes. It is parsed and planned once for each connection. */
  query<Row>(statement: Prisma.Sql, name?: string): Promise<Row[]>;
  /** Its last statement, which goes to the server together with the commit: that is done when the transaction resolves. */
  finish(statement: Prisma.Sql, name: string): Promise<void>;
}

export interface Database {
  readonly footing: Footing['footing'];
  readonly db: Db;
  /**
   * Which history this is: another database, or a table made anew by a restore, has another one. Names Redis
   * channels and is part of every cursor, so that neither is ever mixed up with another database's.
   */
  readonly generation: string;
  /**
   * Runs `work` in one transaction (READ COMMITTED); what it throws rolls back. When that was given up as a deadlock,
   * `work` runs again in another one: what it does beside the database must be right to do again.
   */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Transactions of plain SQL, which are begun once, and single statements. */
  readonly sql: Sql & { transaction<T>(work: (sql: SqlTransaction) => Promise<T>): Promise<T> };
  /** Resolves when the database answers. */
  ping(): Promise<void>;
  /** The connections to it; undefined on the embedded footing, which has one. */
  pool(): PoolState | undefined;
  close(): Promise<void>;
}

/**
 * Opens the database of the configured footing and brings it up to the newest migration.
 * @throws {ConfigError} when another process holds the embedded one.
 */
export async function openDatabase(
  config: Config,
  log: Logger,
  { metrics, tracing }: { metrics: Metrics; tracing: Tracing } = { metrics: noMetrics, tracing: noTracing },
): Promise<Database> {
  const lasted = metrics.duration(
    'parley_database_transaction_duration_seconds',
    'How long transactions of several statements last, with the wait for a connection and for locks.',
  );
  const deadlocked = metrics.counter(
    'parley_database_deadlocks_total',
    'Transactions that were given up as a deadlock, and tried again.',
  );
  const watched = <T>(work: () => Promise<T>): Promise<T> =>
    tracing.step('transaction', async () => {
      const began = performance.now();
      try {
        return await work();
      } finally {
        lasted((performance.now() - began) / 1000);
      }
    });
  const opened =
    config.databaseUrl === undefined
      ? await openPglite(config.dataDir, log)
      : await openPostgres(config.databaseUrl, {
          poolMax: config.databasePoolMax,
          prepared: config.databasePrepared,
          log,
        });
  try {
    const generation = await opened.withSession(async (session) => {
      await applyMigrations(session, log);
      const own = await underLock(session, () => adoptChangeLog(session));
      await beginEpoch(session);
      return own;
    });
    opened.onConnection(beginEpoch);
    const db = new PrismaClient({ adapter: opened.adapter });
    return {
      footing: opened.footing,
      db,
      generation,
      transaction: (work) =>
        againAfterDeadlocks(
          () => watched(() => db.$transaction(work, { maxWait: 10_000, timeout: 20_000 })),
          deadlocked,
        ),
      sql: {
        ...sqlOn(opened),
        transaction: (work) =>
          watched(() =>
            opened.transaction((session) =>
              work({
                query: ({ text, values }, name) => session.query(text, values, name),
                finish: ({ text, values }, name) => session.finish(text, values, name),
              }),
            ),
          ),
      },
      pool: () => opened.pool(),
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

/** How often a transaction is begun that ends in deadlocks, and the longest pause between two, in milliseconds. */
const ATTEMPTS_MAX = 3;
const PAUSE_MAX_MS = 50;

async function againAfterDeadlocks<T>(attempt: () => Promise<T>, onDeadlock: () => void): Promise<T> {
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!isDeadlock(error)) throw error;
      onDeadlock();
      if (attempts === ATTEMPTS_MAX) throw error;
      // Two that met each other must not do so again.
      await setTimeout(Math.random() * PAUSE_MAX_MS);
    }
  }
}

const sqlOn = ({ query }: Pick<SqlSession, 'query'>): Sql => ({ query: ({ text, values }) => query(text, values) });

/** Whether the error says that a row with this unique value is there already. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002';
}

/** Whether the error says that a row's lock was waited for as long as `lock_timeout` allows. */
export const isLockTimeout = (error: unknown): boolean => sqlStateOf(error) === '55P03';

/** Whether the error says that two transactions waited for each other, and this one was given up. */
export const isDeadlock = (error: unknown): boolean => sqlStateOf(error) === '40P01';

/** Whether it is the database that answered with this error: what it was asked for was not done. */
export const isRefusal = (error: unknown): boolean => error instanceof Error && 'severity' in error;

/** PostgreSQL's code of an error: of plain SQL, or as Prisma wraps it. */
function sqlStateOf(error: unknown): unknown {
  if (error instanceof Prisma.PrismaClientKnownRequestError) return sqlStateOf(error.meta?.['driverAdapterError']);
  if (!(error instanceof Error)) return undefined;
  return isDriverAdapterError(error) ? error.cause.originalCode : (error as { code?: unknown }).code;
}

/**
 * Whether the error says that the database cannot be reached or is overloaded, or gave up what met others there: the
 * same call may be repeated.
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

// Of Node, of pg, and PostgreSQL's classes 08 (connection), 53 (resources) and 57P (shutdown).
const unreachable =
  /ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|Connection terminated|timeout exceeded when trying to connect|^08|^53|^57P|shutting down|starting up|Query read timeout|terminating connection|not queryable/;
