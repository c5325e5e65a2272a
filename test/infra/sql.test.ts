import { beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../src/core/ids.js';
import { Prisma } from '../../src/generated/prisma/client.js';
import { presentError } from '../../src/graphql/errors.js';
import { type Database, isUnavailable, type Tx } from '../../src/infra/database/database.js';
import { createLog } from '../../src/infra/telemetry/log.js';
import { eventually } from '../support/client.js';
import { makePlace, modes, servicesFound, sharedNode } from '../support/place.js';

describe.each(modes)('plain SQL in %s mode', (mode) => {
  let database: Database;
  beforeAll(async () => {
    ({ database } = (await sharedNode(mode)).deps);
  });

  it('rolls the transaction back if the callback throws', async () => {
    const mark = Prisma.sql`SELECT trimmed_xid::text AS xid FROM log_state`;
    const before = await database.sql.query(mark);
    const failing = database.sql.transaction(async (sql) => {
      await sql.query(Prisma.sql`UPDATE log_state SET trimmed_xid = '1'`);
      throw new Error('never mind');
    });
    await expect(failing).rejects.toThrow('never mind');
    expect(await database.sql.query(mark)).toEqual(before);
  });

  it('rolls a transaction back that takes longer than its own time limit, as unavailable', async () => {
    const id = newId();
    const data = { id, username: id, usernameKey: id, displayName: 'x' };
    const failing = database.transaction(
      async (tx) => {
        await tx.user.create({ data });
        const isOver = () =>
          tx.user.count().then(
            () => false,
            () => true,
          );
        await eventually('the transaction is over', isOver);
        await tx.user.count();
      },
      { timeoutMs: 300 },
    );
    expect(isUnavailable(await failing.catch((error: unknown) => error))).toBe(true);
    expect(await database.db.user.findUnique({ where: { id } })).toBe(null);
  });
});

describe.skipIf(!servicesFound)('statements with a name', () => {
  it.each(['on', 'off'])('stay prepared on their connection, depending on DATABASE_PREPARED: %s', async (setting) => {
    const { database } = (await (await makePlace('postgresql')).start({ DATABASE_PREPARED: setting })).deps;
    const [row] = await database.sql.transaction(async (sql) => {
      await sql.query(Prisma.sql`SELECT ${1}::int AS one`, 'one');
      return sql.query<{ names: string[]; plans: string }>(
        Prisma.sql`SELECT array_agg(name) AS names, current_setting('plan_cache_mode') AS plans FROM pg_prepared_statements`,
      );
    });
    expect(row?.names?.includes('one') ?? false).toBe(setting === 'on');
    expect(row?.plans).toBe(setting === 'on' ? 'force_generic_plan' : 'auto');
    const plans = Prisma.sql`SELECT current_setting('plan_cache_mode') AS mode`;
    const [free] = await database.sql.transaction((sql) => sql.query<{ mode: string }>(plans), { plans: 'any' });
    expect(free?.mode).toBe('auto');
    // Only in this transaction.
    const outside = Prisma.sql`SELECT current_setting('enable_seqscan') AS value`;
    expect(await database.sql.query(outside)).toEqual([{ value: 'on' }]);
  });
});

describe.skipIf(!servicesFound)('transactions that deadlock', () => {
  let database: Database;
  beforeAll(async () => {
    ({ database } = (await (await makePlace('postgresql')).start()).deps);
  });

  const ways = {
    'a statement': (tx: Tx, id: string) =>
      tx.$executeRaw`UPDATE users SET search_words = search_words || '{x}' WHERE id = ${id}::uuid`,
    'a model': (tx: Tx, id: string) => tx.user.update({ where: { id }, data: { searchWords: { push: 'x' } } }),
  };

  const makeTwo = async () => {
    const ids = [newId(), newId()] as const;
    for (const id of ids) {
      await database.db.user.create({ data: { id, username: id, usernameKey: id, displayName: id } });
    }
    return ids;
  };

  it.each(Object.entries(ways))('all succeed exactly once after a deadlock: by %s', async (_way, change) => {
    const [one, other] = await makeTwo();
    const begun: string[] = [];
    const cross = (first: string, second: string) =>
      database.transaction(async (tx) => {
        await change(tx, first);
        begun.push(first);
        await eventually('both are under way', () => begun.includes(second));
        await change(tx, second);
      });
    await Promise.all([cross(one, other), cross(other, one)]);
    // The repetition can lock the row before the transaction that waits for it does, and deadlock again.
    expect(begun.length).toBeGreaterThan(2);
    const people = await database.db.user.findMany({ where: { id: { in: [one, other] } } });
    expect(people.map(({ searchWords }) => searchWords.join())).toEqual(['x,x', 'x,x']);
  });

  it('of plain SQL succeed exactly once after a deadlock if they are repeatable', async () => {
    const [one, other] = await makeTwo();
    const begun: string[] = [];
    const append = (id: string) =>
      Prisma.sql`UPDATE users SET search_words = array_append(search_words, 'x') WHERE id = ${id}::uuid`;
    const cross = (first: string, second: string) =>
      database.sql.transaction(
        async (sql) => {
          await sql.query(append(first));
          begun.push(first);
          await eventually('both are under way', () => begun.includes(second));
          await sql.query(append(second));
        },
        { repeatable: true },
      );
    await Promise.all([cross(one, other), cross(other, one)]);
    // The repetition can lock the row before the transaction that waits for it does, and deadlock again.
    expect(begun.length).toBeGreaterThan(2);
    const people = await database.db.user.findMany({ where: { id: { in: [one, other] } } });
    expect(people.map(({ searchWords }) => searchWords.join())).toEqual(['x,x', 'x,x']);
  });

  it.each(Object.entries(ways))('fail as unavailable after the third deadlock: by %s', async (_way, change) => {
    const [one, other] = await makeTwo();
    const rivals: Promise<unknown>[] = [];
    const failing = database.transaction(async (tx) => {
      // This transaction checks for deadlocks first, so it is the one that is aborted.
      await tx.$executeRaw`SET LOCAL deadlock_timeout = '1ms'`;
      await change(tx, one);
      const lock = (id: string) => Prisma.sql`SELECT FROM users WHERE id = ${id}::uuid FOR UPDATE`;
      rivals.push(
        database.sql.transaction(async (sql) => {
          await sql.query(lock(other));
          await sql.query(lock(one));
        }),
      );
      await eventually('the rival waits', async () => {
        const [row] = await database.sql.query<{ count: number }>(Prisma.sql`
          SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`);
        return row?.count === 1;
      });
      await change(tx, other);
    });
    const error: unknown = await failing.catch((thrown: unknown) => thrown);
    await Promise.all(rivals);
    expect(rivals).toHaveLength(3);
    expect(presentError(error, createLog('silent')).extensions['code']).toBe('UNAVAILABLE');
  });
});

describe.skipIf(!servicesFound)('a connection that breaks between two statements', () => {
  it('fails only the next statement, as unavailable', async () => {
    const { database } = (await (await makePlace('postgresql')).start()).deps;
    const failing = database.sql.transaction(async (sql) => {
      const [own] = await sql.query<{ pid: number }>(Prisma.sql`SELECT pg_backend_pid() AS pid`);
      const pid = own?.pid ?? 0;
      await database.sql.query(Prisma.sql`SELECT pg_terminate_backend(${pid}::int)`);
      await eventually('it is gone', async () => {
        const alive = await database.sql.query(Prisma.sql`SELECT 1 FROM pg_stat_activity WHERE pid = ${pid}::int`);
        return alive.length === 0;
      });
      // Until this process has noticed it as well.
      await new Promise((resolve) => setTimeout(resolve, 50));
      await sql.query(Prisma.sql`SELECT 1`);
    });
    const error: unknown = await failing.catch((thrown: unknown) => thrown);
    expect(isUnavailable(error)).toBe(true);
    expect(await database.sql.query(Prisma.sql`SELECT 1 AS one`)).toEqual([{ one: 1 }]);
  });
});
