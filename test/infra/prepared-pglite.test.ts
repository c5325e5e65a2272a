import { dirname } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { openPglite } from '../../src/infra/database/pglite.js';
import { PreparedPGlite } from '../../src/infra/database/prepared-pglite.js';
import { createLog } from '../../src/infra/telemetry/log.js';
import { eventually } from '../support/client.js';
import { makeCluster } from '../support/place.js';

let database: PreparedPGlite;
beforeAll(async () => {
  database = new PreparedPGlite(await makeCluster());
});
afterAll(() => database.close());
beforeEach(async () => {
  // This also discards the statements that the previous test has prepared.
  await database.exec('DROP TABLE IF EXISTS notes');
  await database.exec('CREATE TABLE notes (id int PRIMARY KEY, text text)');
  await database.exec("INSERT INTO notes SELECT n, 'note ' || n FROM generate_series(1, 3) AS n");
});

const preparedTexts = async () => {
  const [result] = await database.exec("SELECT statement FROM pg_prepared_statements WHERE name LIKE 'parley%'");
  return ((result?.rows ?? []) as { statement: string }[]).map(({ statement }) => statement);
};

const BY_ID = 'SELECT id, text FROM notes WHERE id = $1';

describe('statements of the embedded database', () => {
  it('are prepared once per text, and return what each set of parameters selects', async () => {
    for (const id of [1, 2, 3, 1]) {
      const { rows, fields } = await database.query(BY_ID, [id]);
      expect(rows).toEqual([{ id, text: `note ${id}` }]);
      expect(fields.map(({ name }) => name)).toEqual(['id', 'text']);
    }
    expect((await database.query(BY_ID, [4])).rows).toEqual([]);
    expect(await preparedTexts()).toEqual([BY_ID]);
  });

  it('do not copy the parsers of rows of tables when they have parsers of their own', async () => {
    const own = new PreparedPGlite(await makeCluster());
    const query = `SELECT '{DIRECT}'::"ConversationKind"[] AS enums, ARRAY['a', 'b'] AS texts, '{}'::epochs[] AS rows, 7::bigint AS big`;
    const read = async (parsers?: Record<number, (text: string) => unknown>) =>
      (await own.query(query, [], parsers && { parsers })).rows[0];
    const before = await read();
    expect(before).toEqual({ enums: ['DIRECT'], texts: ['a', 'b'], rows: [], big: 7 });
    const copied = Object.keys(own.parsers).length;
    await own.separateParsersOfRows();
    expect(Object.keys(own.parsers).length).toBeLessThan(copied / 2);
    expect(await read()).toEqual(before);
    const { rows: _, ...others } = before as { rows: unknown };
    expect(await read({ 20: (text) => `${text}n` })).toMatchObject({ ...others, big: '7n' });
    await own.close();
    // A node does so when it opens its database.
    const separate = vi.spyOn(PreparedPGlite.prototype, 'separateParsersOfRows');
    onTestFinished(() => separate.mockRestore());
    const opened = await openPglite(dirname(await makeCluster()), 0, createLog('silent'));
    expect(separate).toHaveBeenCalledTimes(1);
    await opened.close();
  });

  it('return the columns of a table after it was altered', async () => {
    const all = 'SELECT * FROM notes WHERE id = 1';
    for (const _ of [1, 2]) expect((await database.query(all)).rows).toEqual([{ id: 1, text: 'note 1' }]);
    await database.exec('ALTER TABLE notes ADD COLUMN pinned boolean NOT NULL DEFAULT false');
    expect((await database.query(all)).rows).toEqual([{ id: 1, text: 'note 1', pinned: false }]);
    // By a statement that is prepared itself.
    await database.query('ALTER TABLE notes DROP COLUMN text');
    await expect(database.query(all)).rejects.toMatchObject({ code: '0A000' });
    expect((await database.query(all)).rows).toEqual([{ id: 1, pinned: false }]);
  });

  it('are planned anew when a table has grown', async () => {
    await database.exec(
      'ALTER TABLE notes ADD COLUMN parent int; CREATE INDEX by_parent ON notes (parent); ANALYZE notes',
    );
    const children =
      'SELECT (SELECT count(*) FROM notes child WHERE child.parent = note.id) FROM notes note WHERE id = $1';
    for (let n = 0; n < 10; n += 1) await database.query(children, [1]);
    await database.exec('INSERT INTO notes SELECT n, NULL, n / 2 FROM generate_series(10, 20000) AS n');
    const named = 'SELECT name FROM pg_prepared_statements WHERE statement = $1';
    const { name } = (await database.query<{ name: string }>(named, [children])).rows[0] ?? { name: '' };
    await eventually('it uses the index', async () => {
      await database.query(children, [1]);
      const [plan] = await database.exec(`EXPLAIN EXECUTE ${name} (1)`);
      return JSON.stringify(plan?.rows).includes('by_parent');
    });
  });

  it('can be repeated after an error, even in a transaction that was rolled back', async () => {
    const insert = 'INSERT INTO notes (id, text) VALUES ($1, $2)';
    await database.query(insert, [4, 'four']);
    await expect(database.query(insert, [4, 'again'])).rejects.toMatchObject({ code: '23505' });
    const failed = database.transaction(async (tx) => {
      await tx.query(insert, [5, 'five']);
      await tx.query(insert, [4, 'again']).catch(() => {});
      await tx.query(BY_ID, [5]);
    });
    await expect(failed).rejects.toMatchObject({ code: '25P02' });
    await database.query(insert, [5, 'five']);
    expect((await database.query(BY_ID, [5])).rows).toEqual([{ id: 5, text: 'five' }]);
    await expect(database.query('SELECT nothing FROM notes')).rejects.toMatchObject({ code: '42703' });
    await expect(database.query('SELECT nothing FROM notes')).rejects.toMatchObject({ code: '42703' });
  });

  it('stay prepared only up to a maximum number and text length', async () => {
    for (let n = 0; n < 400; n += 1) await database.query(`SELECT ${n} AS n, $1::int AS m`, [n]);
    const prepared = await preparedTexts();
    expect(prepared).toHaveLength(300);
    expect(prepared).toContain('SELECT 399 AS n, $1::int AS m');
    expect((await database.query('SELECT 0 AS n, $1::int AS m', [7])).rows).toEqual([{ n: 0, m: 7 }]);
    const long = `SELECT 1 AS one /* ${'long '.repeat(4_000)} */`;
    for (const _ of [1, 2]) expect((await database.query(long)).rows).toEqual([{ one: 1 }]);
    expect(await preparedTexts()).not.toContain(long);
  });
});
