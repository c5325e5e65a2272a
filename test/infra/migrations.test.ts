import { readdir, readFile } from 'node:fs/promises';
import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { readConfig } from '../../src/app/config.js';
import { ConfigError } from '../../src/infra/config/config-error.js';
import { openDatabase } from '../../src/infra/database/database.js';
import type { SqlSession } from '../../src/infra/database/driver.js';
import { applyMigrations } from '../../src/infra/database/migrations.js';
import { createLog } from '../../src/infra/telemetry/log.js';
import { eventually } from '../support/client.js';
import { makeCluster, makePlace, servicesFound } from '../support/place.js';

const log = createLog('silent');

describe('migrations', () => {
  let database: PGlite;
  let session: SqlSession;
  beforeAll(async () => {
    database = await PGlite.create(await makeCluster());
    session = {
      run: async (sql) => void (await database.exec(sql)),
      query: async <Row>(sql: string, parameters: unknown[] = []) => (await database.query<Row>(sql, parameters)).rows,
    };
  });
  // Everything that migrations create is in one schema.
  beforeEach(() => database.exec('DROP SCHEMA public CASCADE; CREATE SCHEMA public'));
  afterAll(() => database.close());

  const rows = () =>
    session.query<{ migration_name: string; checksum: string; finished: boolean; steps: number }>(
      `SELECT migration_name, checksum, finished_at IS NOT NULL AS finished, applied_steps_count AS steps
       FROM _prisma_migrations ORDER BY started_at`,
    );

  it("are recorded in Prisma's table once", async () => {
    await applyMigrations(session, log);
    const first = await rows();
    expect(first[0]).toMatchObject({ migration_name: '20261121000000_core', finished: true, steps: 1 });
    expect(first[0]?.checksum).toMatch(/^[0-9a-f]{64}$/);
    await applyMigrations(session, log);
    expect(await rows()).toEqual(first);
  });

  it('that failed leave only their log entry, and are retried', async () => {
    await session.run('CREATE TABLE messages (id int)');
    await expect(applyMigrations(session, log)).rejects.toThrow('20261121000000_core');
    const failed = await session.query(
      `SELECT 1 FROM _prisma_migrations WHERE rolled_back_at IS NOT NULL AND logs LIKE '%messages%'`,
    );
    expect(failed).toHaveLength(1);
    expect(await session.query(`SELECT 1 FROM pg_class WHERE relname = 'users'`)).toEqual([]);
    await session.run('DROP TABLE messages');
    await applyMigrations(session, log);
    expect((await rows()).filter(({ finished }) => finished).length).toBeGreaterThan(0);
    expect(await session.query(`SELECT 1 FROM pg_class WHERE relname = 'users'`)).toHaveLength(1);
  });

  it('prevent the start if they were changed or left incomplete', async () => {
    await applyMigrations(session, log);
    await session.run(`UPDATE _prisma_migrations SET checksum = 'another'`);
    await expect(applyMigrations(session, log)).rejects.toThrow('was changed after it was applied');
    await session.run('UPDATE _prisma_migrations SET finished_at = NULL');
    await expect(applyMigrations(session, log)).rejects.toThrow('only partly applied');
  });

  it('of a newer version prevent the start, unless the database states that this version is compatible', async () => {
    const oldest = (name: string) =>
      session.run(`COMMENT ON TABLE log_state IS 'Oldest migration that a build must know: ${name}'`);
    await applyMigrations(session, log);
    await session.run(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at) VALUES ('x', 'y', '99991231000000_later', now())`,
    );
    await oldest('20261127120000_summaries');
    await applyMigrations(session, log);
    // The missing migrations are not applied either.
    await session.run(`DELETE FROM _prisma_migrations WHERE migration_name = '20261128160500_oldest_build'`);
    const before = await rows();
    for (const say of [
      () => oldest('99991230000000_sooner'),
      () => session.run('COMMENT ON TABLE log_state IS NULL'),
    ]) {
      await say();
      const starting = applyMigrations(session, log, 'DATA_DIR');
      await expect(starting).rejects.toThrow(ConfigError);
      await expect(starting).rejects.toThrow(
        /^DATA_DIR: .*99991231000000_later.*Start that version, or restore a backup/,
      );
    }
    expect(await rows()).toEqual(before);
  });

  it('are retried after a lock conflict without leaving a trace', async () => {
    const codes = ['40P01', '55P03'];
    const refusing: SqlSession = {
      ...session,
      async run(sql) {
        await session.run(sql);
        if (!sql.includes('"ServiceRole"')) return;
        const code = codes.shift();
        if (code !== undefined) throw Object.assign(new Error('others are in the way'), { code });
      },
    };
    await applyMigrations(refusing, log);
    expect(codes).toEqual([]);
    expect((await rows()).filter(({ finished }) => !finished)).toEqual([]);
  });
});

async function connected(connectionString: string | undefined): Promise<pg.Client> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

const sessionOn = (client: pg.Client): SqlSession => ({
  run: async (sql) => void (await client.query(sql)),
  query: async <Row>(sql: string, parameters: unknown[] = []) => (await client.query(sql, parameters)).rows as Row[],
});

describe.skipIf(!servicesFound)('a migration whose table others use', () => {
  it('releases its locks while waiting, so that others continue, and is applied afterwards', async () => {
    const { env } = await makePlace('postgresql', { migrated: false });
    const [migrating, using, other] = (await Promise.all(
      Array.from({ length: 3 }, () => connected(env['DATABASE_URL'])),
    )) as [pg.Client, pg.Client, pg.Client];
    await applyMigrations(sessionOn(migrating), log);
    // As if it were new, and a transaction were using its table.
    const name = '20261128160500_oldest_build';
    await migrating.query('DELETE FROM _prisma_migrations WHERE migration_name = $1', [name]);
    await using.query('BEGIN; LOCK TABLE log_state IN SHARE UPDATE EXCLUSIVE MODE');
    const warnings: object[] = [];
    const watching = {
      ...log,
      info() {},
      warn: (fields: object) => void warnings.push(fields),
    } as unknown as typeof log;
    const migrated = applyMigrations(sessionOn(migrating), watching);
    await eventually('it has given up once', () => warnings.length > 0);
    expect(warnings[0]).toMatchObject({ migration: name, attempt: 1, err: { code: '55P03' } });
    // Nothing waits for the lock at this time, or not for long.
    await other.query(`SET lock_timeout = '5s'`);
    await other.query('BEGIN; LOCK TABLE log_state IN ACCESS SHARE MODE; COMMIT');
    await using.query('COMMIT');
    await migrated;
    const { rows } = await other.query('SELECT finished_at FROM _prisma_migrations WHERE migration_name = $1', [name]);
    expect(rows).toHaveLength(1);
  });
});

describe.skipIf(!servicesFound)('the migration that is slow with many users', () => {
  it('does not block reads of users', async () => {
    const { env } = await makePlace('postgresql', { migrated: false });
    const [migrating, reading] = await Promise.all([connected(env['DATABASE_URL']), connected(env['DATABASE_URL'])]);
    const slow = '20261121230000_people_search';
    const folder = new URL('../../prisma/migrations/', import.meta.url);
    const names = (await readdir(folder)).filter((name) => name !== 'migration_lock.toml' && name <= slow).sort();
    expect(names.at(-1)).toBe(slow);
    for (const name of names) {
      await migrating.query('BEGIN');
      await migrating.query(await readFile(new URL(`${name}/migration.sql`, folder), 'utf8'));
      if (name !== slow) await migrating.query('COMMIT');
    }
    await reading.query(`SET lock_timeout = '1s'`);
    expect((await reading.query('SELECT id FROM users WHERE username_key = $1', ['ana'])).rows).toEqual([]);
  });
});

describe.skipIf(!servicesFound)('a migration that makes an index while messages are sent', () => {
  const name = '20261127110100_message_search_index';
  const clients = async (count: number) => {
    const { env } = await makePlace('postgresql', { migrated: false });
    return Promise.all(Array.from({ length: count }, () => connected(env['DATABASE_URL'])));
  };
  const isValid = async (client: pg.Client) =>
    (
      await client.query(
        `SELECT indisvalid AS valid FROM pg_index WHERE indexrelid = to_regclass('messages_search_idx')`,
      )
    ).rows[0]?.valid;

  it('is applied by one of the starting nodes without waiting for the others', async () => {
    const { env } = await makePlace('postgresql', { migrated: false });
    const config = readConfig(env);
    const databases = await Promise.all([openDatabase(config, log), openDatabase(config, log)]);
    await Promise.all(databases.map((database) => database.close()));
    const one = await connected(env['DATABASE_URL']);
    expect(await isValid(one)).toBe(true);
    const { rows } = await one.query(
      'SELECT count(*)::int AS count FROM _prisma_migrations WHERE migration_name = $1',
      [name],
    );
    expect(rows).toEqual([{ count: 1 }]);
  });

  it('does not block sends, and is repeated after an interruption', async () => {
    const [migrating, sending, other] = (await clients(3)) as [pg.Client, pg.Client, pg.Client];
    await applyMigrations(sessionOn(migrating), log);
    await sending.query(`
      INSERT INTO users (id, username, username_key, display_name, search_words)
      VALUES (gen_random_uuid(), 'ana', 'ana', 'Ana', '{}');
      INSERT INTO conversations (id, kind, created_by_id) SELECT gen_random_uuid(), 'GROUP', id FROM users`);
    const send = (client: pg.Client, seq: number) =>
      client.query(
        `INSERT INTO messages (id, conversation_id, seq, text) SELECT gen_random_uuid(), id, $1, 'x' FROM conversations`,
        [seq],
      );
    // The state that a process leaves which was killed meanwhile.
    await migrating.query(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'messages_search_idx'::regclass`);
    await migrating.query('DELETE FROM _prisma_migrations WHERE migration_name = $1', [name]);
    await sending.query('BEGIN');
    await send(sending, 1);
    const migrated = applyMigrations(sessionOn(migrating), log);
    await eventually('it waits for what is being sent', async () => {
      const { rows } = await other.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INDEX CONCURRENTLY%'`,
      );
      return rows.length > 0;
    });
    await other.query(`SET lock_timeout = '1s'`);
    await send(other, 2);
    await sending.query('COMMIT');
    await migrated;
    expect(await isValid(other)).toBe(true);
  });
});
