import { beforeAll, describe, expect, it } from 'vitest';
import { Prisma } from '../../src/generated/prisma/client.js';
import { type Database, isUnavailable } from '../../src/infra/database.js';
import { eventually } from '../support/client.js';
import { footings, makePlace, servicesFound } from '../support/place.js';

describe.each(footings)('plain SQL on the %s footing', (footing) => {
  let database: Database;
  beforeAll(async () => {
    ({ database } = (await (await makePlace(footing)).start()).deps);
  });

  it('is rolled back with what is thrown', async () => {
    const mark = Prisma.sql`SELECT trimmed_xid::text AS xid FROM log_state`;
    const before = await database.sql.query(mark);
    const failing = database.sql.transaction(async (sql) => {
      await sql.query(Prisma.sql`UPDATE log_state SET trimmed_xid = '1'`);
      throw new Error('never mind');
    });
    await expect(failing).rejects.toThrow('never mind');
    expect(await database.sql.query(mark)).toEqual(before);
  });
});

describe.skipIf(!servicesFound)('statements with a name', () => {
  it.each(['on', 'off'])('stay prepared on their connection as DATABASE_PREPARED says: %s', async (setting) => {
    const { database } = (await (await makePlace('postgresql')).start({ DATABASE_PREPARED: setting })).deps;
    const [row] = await database.sql.transaction(async (sql) => {
      await sql.query(Prisma.sql`SELECT ${1}::int AS one`, 'one');
      return sql.query<{ names: string[]; plans: string }>(
        Prisma.sql`SELECT array_agg(name) AS names, current_setting('plan_cache_mode') AS plans FROM pg_prepared_statements`,
      );
    });
    expect(row?.names?.includes('one') ?? false).toBe(setting === 'on');
    expect(row?.plans).toBe(setting === 'on' ? 'force_generic_plan' : 'auto');
    // Only in there.
    const outside = Prisma.sql`SELECT current_setting('enable_seqscan') AS value`;
    expect(await database.sql.query(outside)).toEqual([{ value: 'on' }]);
  });
});

describe.skipIf(!servicesFound)('a connection that breaks between two statements', () => {
  it('fails the next one as unavailable, and nothing else', async () => {
    const { database } = (await (await makePlace('postgresql')).start()).deps;
    const failing = database.sql.transaction(async (sql) => {
      const [own] = await sql.query<{ pid: number }>(Prisma.sql`SELECT pg_backend_pid() AS pid`);
      const pid = own?.pid ?? 0;
      await database.sql.query(Prisma.sql`SELECT pg_terminate_backend(${pid}::int)`);
      await eventually('it is gone', async () => {
        const alive = await database.sql.query(Prisma.sql`SELECT 1 FROM pg_stat_activity WHERE pid = ${pid}::int`);
        return alive.length === 0;
      });
      // Until this process has heard of it as well.
      await new Promise((resolve) => setTimeout(resolve, 50));
      await sql.query(Prisma.sql`SELECT 1`);
    });
    const error: unknown = await failing.catch((thrown: unknown) => thrown);
    expect(isUnavailable(error)).toBe(true);
    expect(await database.sql.query(Prisma.sql`SELECT 1 AS one`)).toEqual([{ one: 1 }]);
  });
});
