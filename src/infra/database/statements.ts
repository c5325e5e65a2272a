import type { SqlDriverAdapter, SqlDriverAdapterFactory } from '@prisma/driver-adapter-utils';
import { createKeyedQueue, type KeyedQueue } from '../async/keyed-queue.js';
import { currentRequest, type StatementLimit, withoutRequest } from '../telemetry/request.js';

/**
 * Limits the number of concurrent statements outside of transactions; with the embedded database, each transaction counts
 * as a statement.
 */
export interface StatementLimits {
  /**
   * Creates the limit of one operation of this person or address. With `key` undefined, only the operation is limited,
   * for callers that act on behalf of everybody.
   */
  forOperation(key: string | undefined): StatementLimit;
  /** The number of waiting statements of all callers. */
  readonly waiting: number;
}

/**
 * @param perPersonMax the maximum number of concurrent statements of one person. A single operation may use one fewer,
 *   so that other operations of the same person are not blocked.
 */
export function createStatementLimits(perPersonMax: number): StatementLimits {
  const people = createKeyedQueue({ atOnce: perPersonMax });
  const perOperation = Math.max(1, perPersonMax - 1);
  return {
    forOperation(key) {
      // Created lazily, because most long-lived operations, subscriptions, run no statements.
      let own: KeyedQueue | undefined;
      return (work) => {
        own ??= createKeyedQueue({ atOnce: perOperation });
        return own.run('', key === undefined ? work : () => people.run(key, work));
      };
    },
    get waiting() {
      return people.waiting;
    },
  };
}

/**
 * Runs a statement within the limit of the current request. Background work is not limited, and neither are
 * transactions of PostgreSQL, because they hold locks that others wait for.
 */
export const withStatementLimit = <T>(work: () => Promise<T>): Promise<T> => {
  const limit = currentRequest()?.limitStatement;
  return limit ? limit(work) : work();
};

/** Applies `withStatementLimit` to the statements of Prisma. */
export function limitStatements(factory: SqlDriverAdapterFactory): SqlDriverAdapterFactory {
  return {
    provider: factory.provider,
    adapterName: factory.adapterName,
    async connect() {
      const adapter = await factory.connect();
      const limited: Partial<SqlDriverAdapter> = {
        queryRaw: (query) => withStatementLimit(() => adapter.queryRaw(query)),
        executeRaw: (query) => withStatementLimit(() => adapter.executeRaw(query)),
      };
      return new Proxy(adapter, {
        get(target, name) {
          const own = limited[name as keyof SqlDriverAdapter];
          if (own) return own;
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    },
  };
}

const UNIQUE_READS: ReadonlySet<unknown> = new Set(['findUnique', 'findUniqueOrThrow']);

/**
 * Runs reads by unique keys outside of any request: Prisma batches those of the same tick into one statement,
 * regardless of the caller, and the limit of one person must not delay the others. They are the cheapest statements.
 */
export function withoutLimitOfUniqueReads<Client extends object>(client: Client): Client {
  const wrapped = new Map<PropertyKey, unknown>();
  return new Proxy(client, {
    get(target, name) {
      if (wrapped.has(name)) return wrapped.get(name);
      const value: unknown = Reflect.get(target, name);
      // Only models are wrapped; properties that begin with $ or _ belong to the client itself.
      if (typeof name !== 'string' || /^[$_]/.test(name) || typeof value !== 'object' || value === null) return value;
      const model = new Proxy(value, {
        get(delegate, method) {
          const own: unknown = Reflect.get(delegate, method);
          if (typeof own !== 'function' || !UNIQUE_READS.has(method)) return own;
          // `then` starts the query at once. Prisma's promises are lazy and would otherwise start in the request of the
          // caller that awaits them.
          return (...args: unknown[]) => withoutRequest(() => (own(...args) as Promise<unknown>).then((row) => row));
        },
      });
      wrapped.set(name, model);
      return model;
    },
  });
}
