import type { SqlDriverAdapterFactory } from '@prisma/driver-adapter-utils';

/**
 * What each kind of database provides: a driver adapter for Prisma, statements and transactions of plain SQL, and
 * sessions for migrations.
 */
export interface DatabaseDriver {
  mode: 'embedded' | 'postgresql';
  adapter: SqlDriverAdapterFactory;
  /** Runs one statement of plain SQL. `timeoutMs` overrides the general time limit of statements. */
  query<Row>(sql: string, parameters: unknown[], timeoutMs?: number): Promise<Row[]>;
  /** See `Database.sql`. */
  transaction<T>(work: (session: OpenTransaction) => Promise<T>, plans?: SqlPlans): Promise<T>;
  /**
   * Runs `work` with a connection of its own, mutually exclusive with other starting nodes and `prisma migrate`. The
   * connection is closed afterwards.
   */
  exclusively<T>(work: (session: SqlSession) => Promise<T>): Promise<T>;
  /** From now on, `initialize` initializes every new connection before it is used. */
  onConnection(initialize: (session: Pick<SqlSession, 'query'>) => Promise<void>): void;
  /** Closes all open connections at once. Statements in progress fail as UNAVAILABLE. */
  dropConnections(): void;
  /** The state of the connection pool; undefined if there is no pool. */
  pool(): PoolState | undefined;
  close(): Promise<void>;
}

/** See `SqlTransactionOptions.plans`. */
export type SqlPlans = 'indexes' | 'any';

export interface PoolState {
  busy: number;
  idle: number;
  /** The number of calls that wait for a connection. */
  waiting: number;
}

/** One connection, for statements that depend on its state. */
export interface SqlSession {
  /** Runs one or more statements without parameters. */
  run(sql: string): Promise<void>;
  query<Row>(sql: string, parameters?: unknown[]): Promise<Row[]>;
}

/** A transaction of plain SQL: see `SqlTransaction`. */
interface OpenTransaction {
  query<Row>(sql: string, parameters: unknown[], name?: string): Promise<Row[]>;
  finish(sql: string, parameters: unknown[], name: string): Promise<void>;
}
