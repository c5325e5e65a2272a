import type { SqlDriverAdapterFactory } from '@prisma/driver-adapter-utils';

/** What a footing brings: a way for Prisma to talk, and one session of plain SQL to migrate with. */
export interface Footing {
  footing: 'embedded' | 'postgresql';
  adapter: SqlDriverAdapterFactory;
  withSession<T>(work: (session: SqlSession) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** One connection, for statements that must stay on it. */
export interface SqlSession {
  /** Runs one or several statements without parameters. */
  run(sql: string): Promise<void>;
  query<Row>(sql: string, parameters?: unknown[]): Promise<Row[]>;
}
