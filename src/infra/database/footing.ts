import type { SqlDriverAdapterFactory } from '@prisma/driver-adapter-utils';

/** What a footing brings: a way for Prisma to talk, and one session of plain SQL to migrate with. */
export interface Footing {
  footing: 'embedded' | 'postgresql';
  adapter: SqlDriverAdapterFactory;
  /** One statement of plain SQL; `timeoutMs`: how long it may take, where that is not what any statement may. */
  query<Row>(sql: string, parameters: unknown[], timeoutMs?: number): Promise<Row[]>;
  /** See `Database.sql`. */
  transaction<T>(work: (session: OpenTransaction) => Promise<T>): Promise<T>;
  /**
   * One connection, for what only one of the nodes that start, and no `prisma migrate`, may do at a time. It is not used
   * for anything else afterwards.
   */
  exclusively<T>(work: (session: SqlSession) => Promise<T>): Promise<T>;
  /** From now on every new connection is given to `greet` before anything else runs on it. */
  onConnection(greet: (session: Pick<SqlSession, 'query'>) => Promise<void>): void;
  /** Ends all connections that are open at once: what is under way on them fails as UNAVAILABLE. */
  dropConnections(): void;
  /** Its connections; undefined where there is no pool of them. */
  pool(): PoolState | undefined;
  close(): Promise<void>;
}

export interface PoolState {
  busy: number;
  idle: number;
  /** Calls that wait for a connection. */
  waiting: number;
}

/** One connection, for statements that must stay on it. */
export interface SqlSession {
  /** Runs one or several statements without parameters. */
  run(sql: string): Promise<void>;
  query<Row>(sql: string, parameters?: unknown[]): Promise<Row[]>;
}

/** A transaction of plain SQL: see `SqlTransaction`. */
interface OpenTransaction {
  query<Row>(sql: string, parameters: unknown[], name?: string): Promise<Row[]>;
  finish(sql: string, parameters: unknown[], name: string): Promise<void>;
}
