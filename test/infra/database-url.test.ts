import { randomBytes } from 'node:crypto';
import { describe, expect, inject, it } from 'vitest';
import { readConfig } from '../../src/app/config.js';
import { Prisma } from '../../src/generated/prisma/client.js';
import { ConfigError } from '../../src/infra/config/config-error.js';
import { parseDatabaseUrl } from '../../src/infra/config/database-url.js';
import { openDatabase } from '../../src/infra/database/database.js';
import { findDatabase } from '../../src/infra/database/postgres-connection.js';
import { createLog } from '../../src/infra/telemetry/log.js';
import { register } from '../support/client.js';
import { atEnd } from '../support/ending.js';
import { makePlace, servicesFound } from '../support/place.js';
import { otherDatabase, query } from '../support/services.js';
import { createGroup, send } from '../support/talk.js';

describe('a DATABASE_URL', () => {
  it.each([
    ['postgresql://ana:pw@db/chat', { host: 'db', port: 5432, user: 'ana', password: 'pw', database: 'chat' }],
    ['postgres://ana:p%40%2Fw@db:6000/my%20chat', { port: 6000, password: 'p@/w', database: 'my chat' }],
    ['postgresql://ana:p@w@db/chat', { user: 'ana', password: 'p@w', host: 'db' }],
    ['postgresql://ana:a:b@db/chat', { password: 'a:b' }],
    ['postgresql://db', { host: 'db', user: undefined, database: undefined }],
    ['postgresql:///chat', { host: undefined, database: 'chat' }],
    ['postgresql://[::1]:6000/chat', { host: '::1', port: 6000 }],
    ['postgresql://ana@/chat?host=/run/postgresql', { host: '/run/postgresql', user: 'ana', database: 'chat' }],
    ['postgresql://ana@%2Frun%2Fpostgresql:6000/chat', { host: '/run/postgresql', port: 6000, user: 'ana' }],
    ['postgresql:///chat?host=/run/postgresql&user=ana&password=a%26b', { user: 'ana', password: 'a&b' }],
    ['postgresql://db/chat?port=6000&dbname=other', { port: 6000, database: 'other' }],
    ['postgresql://db/chat?schema=talk', { schema: 'talk', searchPath: undefined }],
    ['postgresql://db/chat?options=-c%20search_path%3Dtalk,public', { searchPath: 'talk,public' }],
    ['postgresql://db/chat?options=-csearch_path%3Dtalk', { searchPath: 'talk' }],
    ['postgresql://db/chat?options=--work-mem%3D8MB%20-c%20timezone%3Dutc', { settings: { work_mem: '8MB' } }],
    ['postgresql://db/chat?options=-c+a.b%3Dx%5C%20y', { settings: { 'a.b': 'x y' } }],
    ['postgresql://db/chat?pgbouncer=true', { prepared: false }],
    ['postgresql://db/chat?connect_timeout=3&application_name=x', { connectTimeoutMs: 3_000, applicationName: 'x' }],
    ['postgresql://db/chat?target_session_attrs=read-write&gssencmode=disable&channel_binding=prefer', { host: 'db' }],
    ['postgresql://db/chat', { ssl: { mode: 'disable', direct: false } }],
    ['postgresql://db/chat?sslmode=verify-ca&sslrootcert=/ca.pem', { ssl: { mode: 'verify-ca', rootCert: '/ca.pem' } }],
    ['postgresql://db/chat?sslmode=require&sslnegotiation=direct', { ssl: { mode: 'require', direct: true } }],
  ])('%s is applied', (url, expected) => {
    expect(parseDatabaseUrl(url)).toMatchObject(expected);
    expect(readConfig({ DATABASE_URL: url }).databaseUrl).toBe(url);
  });

  it.each([
    ['db/chat', 'must be a postgresql:// URL'],
    ['postgresql://one,two/chat', 'several hosts'],
    ['postgresql://one:5432,two:5432/chat?target_session_attrs=read-write', 'several hosts'],
    ['postgresql:///chat?host=one,two', 'several hosts'],
    ['postgresql://db/chat?port=1,2', 'several hosts'],
    ['postgresql://ana:a/b@db/chat', 'percent-encode'],
    ['postgresql://ana:a#b@db/chat', 'percent-encode'],
    ['postgresql://ana:100%@db/chat', 'write % as %25'],
    ['postgresql://db:port/chat', 'malformed port'],
    ['postgresql://db:70000/chat', 'malformed port'],
    ['postgresql://::1/chat', 'malformed'],
    ['postgresql://[::1/chat', 'brackets'],
    ['postgresql://db/chat?sslmode=verify', 'sslmode must be disable or'],
    ['postgresql://db/chat?sslmode=verify-ca', 'sslrootcert'],
    ['postgresql://db/chat?sslrootcert=/ca.pem', 'require an sslmode'],
    ['postgresql://db/chat?sslmode=require&sslcert=/c.pem', 'set together'],
    ['postgresql://db/chat?sslmode=require&sslrootcert=system', 'verify-full'],
    ['postgresql://db/chat?sslmode=require&sslaccept=strict', 'sslmode=verify-full does'],
    ['postgresql://db/chat?target_session_attrs=standby', 'target_session_attrs must be'],
    ['postgresql://db/chat?connection_limit=5', 'DATABASE_POOL_MAX'],
    ['postgresql://db/chat?schema=', 'schema is empty'],
    ['postgresql://db/chat?schema=a&options=-csearch_path%3Db', 'must not be used together'],
    ['postgresql://db/chat?options=-c%20timezone%3DAsia/Tokyo', 'TimeZone'],
    ['postgresql://db/chat?options=-E', 'as -c name=value'],
    ['postgresql://db/chat?options=work_mem%3D1MB', 'as -c name=value'],
    ['postgresql://db/chat?service=chat', 'service is not supported'],
    ['postgresql://db/chat?constructor=1', 'constructor is not supported'],
    ['postgresql://db/chat?flag', 'has no value'],
  ])('%s is refused with the reason', (url, reason) => {
    const read = () => readConfig({ DATABASE_URL: url });
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(reason);
    expect(read).toThrow(/^DATABASE_URL: .*$/);
  });
});

describe.skipIf(!servicesFound)('the schema of a DATABASE_URL', () => {
  /** An empty database, and a role that may do everything in it. */
  async function makeDatabase(...statements: string[]) {
    const services = inject('services');
    if (!services) throw new Error('no services');
    const name = `${inject('runName')}_${randomBytes(4).toString('hex')}`;
    await query(services.databaseUrl, `CREATE ROLE ${name} LOGIN SUPERUSER`);
    await query(services.databaseUrl, `CREATE DATABASE ${name} OWNER ${name}`);
    const url = new URL(otherDatabase(services.databaseUrl, name));
    url.username = name;
    atEnd(async () => {
      await query(services.databaseUrl, `DROP DATABASE ${name} WITH (FORCE)`);
      await query(services.databaseUrl, `DROP ROLE ${name}`);
    });
    for (const statement of statements) await query(url.href, statement.replaceAll('ROLE_NAME', name));
    return { name, url: url.href };
  }
  const schemaOf = async (url: string) => (await findDatabase(url, 5_000)).schema;
  const migrated = (schema: string) => [
    `CREATE SCHEMA IF NOT EXISTS ${schema}`,
    `CREATE TABLE ${schema}.log_state ()`,
    `CREATE TABLE ${schema}._prisma_migrations ()`,
  ];

  it('is public by default, or that of the role if it exists', async () => {
    const { name, url } = await makeDatabase();
    expect(await schemaOf(url)).toBe('public');
    await query(url, `CREATE SCHEMA ${name}`);
    expect(await schemaOf(url)).toBe(name);
  });

  it('does not change when a schema named like the role is created later', async () => {
    const { url } = await makeDatabase(...migrated('public'), 'CREATE SCHEMA ROLE_NAME');
    expect(await schemaOf(url)).toBe('public');
  });

  it('is that of schema=, which is created, or the first existing one of the search_path', async () => {
    const { url } = await makeDatabase('CREATE SCHEMA chat');
    expect(await schemaOf(`${url}?schema=talk`)).toBe('talk');
    expect(await query(url, `SELECT FROM pg_namespace WHERE nspname = 'talk'`)).toHaveLength(1);
    expect(await schemaOf(`${url}?options=-c%20search_path%3Dnone,chat,public`)).toBe('chat');
  });

  it('follows the search_path of the database or the role', async () => {
    const { url } = await makeDatabase('CREATE SCHEMA chat', 'ALTER DATABASE ROLE_NAME SET search_path = chat, public');
    expect(await schemaOf(url)).toBe('chat');
  });

  it('causes an error if no schema exists, or if the tables are in another one', async () => {
    const { url } = await makeDatabase(...migrated('public'), 'CREATE SCHEMA chat');
    await expect(schemaOf(`${url}?options=-csearch_path%3Dchat`)).rejects.toThrow(
      /^DATABASE_URL: Parley's tables are in the schema public, .*\?schema=public/,
    );
    expect(await schemaOf(`${url}?schema=chat`)).toBe('chat');
    const { url: other } = await makeDatabase();
    await expect(schemaOf(`${other}?options=-csearch_path%3Dnone`)).rejects.toThrow(
      'DATABASE_URL: no schema of the search_path exists',
    );
  });

  it.each([
    [
      'a password that is wrong or a role that does not exist',
      (url: string) => url.replace('//', '//nobody_'),
      'does not exist',
    ],
    ['a database that does not exist', (url: string) => `${url}_none`, 'does not exist'],
    ['a setting that does not exist', (url: string) => `${url}?options=-cno_such%3D1`, 'no_such'],
    ['a Unix socket that does not exist', (url: string) => `${url}?host=/nowhere`, 'no server listens'],
    [
      'encryption that the server does not offer',
      (url: string) => `${url}?sslmode=require`,
      'does not support encrypted',
    ],
    [
      'a certificate that cannot be read',
      (url: string) => `${url}?sslmode=verify-ca&sslrootcert=/none`,
      'sslrootcert cannot be read',
    ],
  ])('%s is one line', async (_what, wrong, reason) => {
    const { url } = await makeDatabase();
    const error = await findDatabase(wrong(url), 5_000).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(/^DATABASE_URL: .*$/);
    expect((error as Error).message).toContain(reason);
  });

  it('a role without permission to create tables causes an error of one line', async () => {
    const { name, url } = await makeDatabase(
      'REVOKE CREATE ON SCHEMA public FROM PUBLIC',
      'ALTER ROLE ROLE_NAME NOSUPERUSER',
    );
    await query(inject('services')?.databaseUrl ?? '', `ALTER DATABASE ${name} OWNER TO postgres`);
    const opening = openDatabase(readConfig({ DATABASE_URL: url }), createLog('silent'));
    await expect(opening).rejects.toThrow(/^DATABASE_URL: permission denied for schema public$/);
    await expect(opening).rejects.toThrow(ConfigError);
  });

  it.each(['prefer', 'allow'])('sslmode=%s connects without encryption if the server has none', async (mode) => {
    const { url } = await makeDatabase();
    expect((await findDatabase(`${url}?sslmode=${mode}`, 5_000)).config.ssl).toBe(false);
  });

  it('contains all tables, and works with the models and plain SQL', async () => {
    const place = await makePlace('postgresql', { migrated: false });
    const node = await place.start({ DATABASE_URL: `${place.env['DATABASE_URL']}?schema=Our%20chat` });
    const ana = await register(node.url, 'ana');
    await send(ana, await createGroup(ana, []), 'hello');
    const schemas = await node.deps.database.sql.query(
      Prisma.sql`SELECT DISTINCT nspname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
                 WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'`,
    );
    expect(schemas).toEqual([{ name: 'Our chat' }]);
  });
});
