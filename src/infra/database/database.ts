import { setTimeout } from 'node:timers/promises';
import { isDriverAdapterError } from '@prisma/driver-adapter-utils';
import { Prisma, PrismaClient } from '../../generated/prisma/client.js';
import type { Config } from '../config/config.js';
import type { Logger } from '../telemetry/log.js';
import { type Metrics, noMetrics } from '../telemetry/metrics.js';
import { noTracing, type Tracing } from '../telemetry/tracing.js';
import type { Footing, PoolState, SqlSession } from './footing.js';
import { adoptChangeLog, beginBreak, beginEpoch, findServerSql, type ServerSql, standbyError } from './history.js';
import { applyMigrations } from './migrations.js';
import { openPglite } from './pglite.js';
import { openPostgres } from './postgres.js';
import { limitStatements, whenAllowed, withoutLimitOfUniqueReads } from './statements.js';
import { type Announcer, createAnnouncer } from './unit-of-work.js';

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

/** `read-only`: a standby in recovery, or a server that is set to take no writes; `disk full`: it has no room for them. */
export type DatabaseState = 'ok' | 'read-only' | 'disk full' | 'unreachable';

/** Which server's history the node is in. A standby that is promoted begins another one, which may lack the newest. */
interface History {
  /** How the server is asked for its run and its timeline. */
  readonly server: ServerSql;
  /** Writes down the run of the server that answers, where no new connection did: behind a pooler. */
  begin(): Promise<void>;
  /** Begins an epoch in which no older cursor is good. */
  beginBreak(): Promise<void>;
  /**
   * To be called with the timeline of whichever server has answered. When it is another one than before, all other
   * connections are ended, for they may lead to the old server, and the listeners are called.
   * @throws when that server is one that was left behind: the node has met its successor already.
   */
  met(timeline: string): void;
  /** Calls whenever the node comes to another timeline. */
  onChange(listener: () => void): void;
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
   * Runs `work` in one transaction (READ COMMITTED); what it throws rolls back. When PostgreSQL gave the transaction up
   * as a deadlock, `work` runs again in another one: what it does besides the database must be right to do again.
   * It resolves when the transaction is committed and what it recorded (`announceAfterCommit`) is announced.
   */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Sets what announces, after each commit, what the transaction has recorded. */
  readonly onCommitted: Announcer['handle'];
  /** Transactions of plain SQL, which are begun once, and single statements. */
  readonly sql: Sql & {
    transaction<T>(work: (sql: SqlTransaction) => Promise<T>): Promise<T>;
    /** One that fails as UNAVAILABLE, and its connection with it, when the answer has not come in that time. */
    queryWithin<Row>(timeoutMs: number, statement: Prisma.Sql): Promise<Row[]>;
  };
  readonly history: History;
  /** Resolves when the database answers. */
  ping(): Promise<void>;
  /** Asks the database whether it answers and takes writes. Resolves within some seconds, and never rejects. */
  check(): Promise<DatabaseState>;
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
    'Duration of transactions with several statements, including waits for a connection and for locks.',
  );
  const deadlocked = metrics.counter(
    'parley_database_deadlocks_total',
    'Transactions rolled back by a deadlock and retried.',
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
    opened.onConnection(async (session) => history.met(await beginEpoch(session, history.server)));
    /** What a transaction did is lost or unknown when the server was replaced while it was under way. */
    const inOneHistory = async <T>(work: () => Promise<T>): Promise<T> => {
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
    const writes = watchWrites(opened, log);
    const announcer = createAnnouncer(log);
    const db = withoutLimitOfUniqueReads(new PrismaClient({ adapter: limitStatements(opened.adapter) }));
    return {
      footing: opened.footing,
      db,
      generation,
      history,
      onCommitted: announcer.handle,
      transaction: (work) =>
        announcer.run((begin) =>
          againAfterDeadlocks(
            () =>
              watched(() =>
                inOneHistory(() => db.$transaction((tx) => work(begin(tx)), { maxWait: 10_000, timeout: 20_000 })),
              ),
            deadlocked,
          ),
        ),
      sql: {
        query: ({ text, values }) => whenAllowed(() => opened.query(text, values)),
        queryWithin: (timeoutMs, { text, values }) => opened.query(text, values, timeoutMs),
        transaction: (work) =>
          announcer.run((begin) =>
            watched(() =>
              inOneHistory(() =>
                opened.transaction((session) =>
                  work(
                    begin({
                      query: ({ text, values }, name) => session.query(text, values, name),
                      finish: ({ text, values }, name) => session.finish(text, values, name),
                    }),
                  ),
                ),
              ),
            ),
          ),
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

/** How long a server that was left behind is refused, in milliseconds, before it counts as restored on purpose. */
const LEFT_BEHIND_MS = 10_000;

function createHistory(
  opened: Footing,
  server: ServerSql,
  first: string,
  log: Logger,
): History & { /** Grows whenever the timeline changes. */ readonly version: number } {
  const session: Pick<SqlSession, 'query'> = { query: (sql, parameters = []) => opened.query(sql, parameters) };
  const listeners: (() => void)[] = [];
  let timeline = first;
  let version = 0;
  let refusedSince: number | undefined;
  function met(other: string): void {
    if (other === timeline) {
      refusedSince = undefined;
      return;
    }
    if (other < timeline) {
      refusedSince ??= performance.now();
      if (performance.now() - refusedSince < LEFT_BEHIND_MS) throw new FailoverError();
    }
    log.warn({ from: timeline, to: other }, 'PostgreSQL failover detected: the timeline has changed');
    refusedSince = undefined;
    timeline = other;
    version += 1;
    opened.dropConnections();
    for (const listener of listeners) listener();
  }
  return {
    server,
    begin: async () => met(await beginEpoch(session, server)),
    beginBreak: () => beginBreak(session, server),
    met,
    onChange: (listener) => void listeners.push(listener),
    get version() {
      return version;
    },
  };
}

/** How long `check` waits for an answer, in milliseconds. */
const CHECK_TIMEOUT_MS = 3_000;

const isReadOnlySession = async (session: Pick<SqlSession, 'query'>): Promise<boolean> => {
  const [row] = await session.query<{ readOnly: boolean }>(
    `SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS "readOnly"`,
  );
  return row?.readOnly ?? false;
};

/** Needs room for a new file on the disk, of which nothing is left. */
const TAKE_ROOM = `CREATE TEMPORARY TABLE parley_room ON COMMIT DROP AS SELECT repeat(md5(n::text), 30) AS text FROM generate_series(1, 50) n`;

/** Whether the database takes writes, as far as is known: logged whenever that changes, not with each write that fails. */
function watchWrites(opened: Footing, log: Logger): { failed(error: unknown): void; check(): Promise<DatabaseState> } {
  let state: DatabaseState = 'ok';
  function enter(next: DatabaseState, error?: unknown): DatabaseState {
    if (next === state) return state;
    if (next === 'read-only') log.warn({ err: error }, 'database is read-only or a standby: writes are rejected');
    if (next === 'disk full') log.warn({ err: error }, 'disk of the database is full: writes are rejected');
    if (next === 'ok' && state !== 'unreachable') log.info('database accepts writes again');
    state = next;
    return state;
  }
  async function ask(): Promise<DatabaseState> {
    const query = <Row>(sql: string, parameters: unknown[] = []) =>
      opened.query<Row>(sql, parameters, CHECK_TIMEOUT_MS);
    if (await isReadOnlySession({ query })) return 'read-only';
    // Whether there is room again, only a write can say.
    if (state === 'disk full') await query(TAKE_ROOM);
    return 'ok';
  }
  let asking: Promise<DatabaseState> | undefined;
  return {
    failed(error) {
      const why = stateOf(error);
      if (why === 'read-only' || why === 'disk full') enter(why, error);
    },
    check: () =>
      (asking ??= ask()
        .then(enter, (error: unknown) => {
          const why = stateOf(error);
          // Who may not make a temporary table cannot find out.
          return enter(why === 'ok' ? (state === 'disk full' ? 'ok' : 'unreachable') : why, error);
        })
        .finally(() => {
          asking = undefined;
        })),
  };
}

/** What an error says of the database; `ok` where it is of another kind. */
export function stateOf(error: unknown): DatabaseState {
  const code = String(sqlStateOf(error) ?? '');
  if (['25006', '55000'].includes(code)) return 'read-only';
  if (code === '53100') return 'disk full';
  return isUnavailable(error) ? 'unreachable' : 'ok';
}

/** The answer is of a server that another one has replaced, or came while that happened: the same call may be repeated. */
class FailoverError extends Error {
  readonly code = '57P01';
  constructor() {
    super('a failover of PostgreSQL occurred, or this server was demoted in one');
  }
}

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

// Of Node, of pg, and PostgreSQL's classes 08 (connection), 53 (resources) and 57P (shutdown); 25006 and 55000 are a
// server that takes no writes, 26000 and 42P05 a pooler that does not keep prepared statements.
const unreachable =
  /^25006|^55000|^26000|^42P05|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|Connection terminated|timeout exceeded when trying to connect|^08|^53|^57P|shutting down|starting up|Query read timeout|terminating connection|not queryable/;
