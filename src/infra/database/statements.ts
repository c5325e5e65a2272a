import type { SqlDriverAdapter, SqlDriverAdapterFactory } from '@prisma/driver-adapter-utils';
import { createGates, type Gates } from '../async/gates.js';
import { currentRequest, type StatementLimit, withoutRequest } from '../telemetry/request.js';

/** Limits how many statements outside of transactions run at once. */
export interface StatementLimits {
  /** For one operation of this person or address; `key` undefined: of somebody who acts for everybody. */
  forOperation(key: string | undefined): StatementLimit;
  /** Statements that wait, of everybody together. */
  readonly waiting: number;
}

/**
 * @param perPersonMax statements of one person at once. One operation has one fewer, so that another one of the same
 *   person goes on meanwhile.
 */
export function createStatementLimits(perPersonMax: number): StatementLimits {
  const people = createGates({ atOnce: perPersonMax });
  const perOperation = Math.max(1, perPersonMax - 1);
  return {
    forOperation(key) {
      // Most operations that are kept, subscriptions, need none.
      let own: Gates | undefined;
      return (work) => {
        own ??= createGates({ atOnce: perOperation });
        return own.run('', key === undefined ? work : () => people.run(key, work));
      };
    },
    get waiting() {
      return people.waiting;
    },
  };
}

/**
 * Runs a statement when the request that it is for may run one more. Work of the node's own is not limited, nor is what
 * runs in a transaction: it holds locks, and others would wait with it.
 */
export const whenAllowed = <T>(work: () => Promise<T>): Promise<T> => {
  const limit = currentRequest()?.limitStatement;
  return limit ? limit(work) : work();
};

/** The same for statements of Prisma's. */
export function limitStatements(factory: SqlDriverAdapterFactory): SqlDriverAdapterFactory {
  return {
    provider: factory.provider,
    adapterName: factory.adapterName,
    async connect() {
      const adapter = await factory.connect();
      const limited: Partial<SqlDriverAdapter> = {
        queryRaw: (query) => whenAllowed(() => adapter.queryRaw(query)),
        executeRaw: (query) => whenAllowed(() => adapter.executeRaw(query)),
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
 * Reads by unique keys run for nobody's request: Prisma puts those of one moment into one statement, whoever they are
 * for, and one person's limit must not keep the others waiting. They are the cheapest statements that there are.
 */
export function withoutLimitOfUniqueReads<Client extends object>(client: Client): Client {
  const wrapped = new Map<PropertyKey, unknown>();
  return new Proxy(client, {
    get(target, name) {
      if (wrapped.has(name)) return wrapped.get(name);
      const value: unknown = Reflect.get(target, name);
      // Models only: what begins with $ or _ is the client's own.
      if (typeof name !== 'string' || /^[$_]/.test(name) || typeof value !== 'object' || value === null) return value;
      const model = new Proxy(value, {
        get(delegate, method) {
          const own: unknown = Reflect.get(delegate, method);
          if (typeof own !== 'function' || !UNIQUE_READS.has(method)) return own;
          // Asked for at once: Prisma's promises begin only when somebody waits for them, which would be their request.
          return (...args: unknown[]) => withoutRequest(() => (own(...args) as Promise<unknown>).then((row) => row));
        },
      });
      wrapped.set(name, model);
      return model;
    },
  });
}
