import { execFile } from 'node:child_process';
import { chmod, chown, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/infra/config/config-error.js';
import { findDatabase } from '../../src/infra/database/postgres-connection.js';
import { form, ownServers } from '../support/fleet.js';
import { type OwnServers, serversLacking } from '../support/servers.js';
import { query } from '../support/services.js';

// Only in the long form, because it needs a server with encryption.
describe.skipIf(form(true, false) || serversLacking !== undefined)('the connection of a DATABASE_URL', () => {
  let servers: OwnServers;
  let port: string;
  let ca: string;
  let otherCa: string;
  beforeAll(async () => {
    servers = await ownServers();
    const { postgres } = servers;
    port = new URL(postgres.url).port;
    const certificate = async (name: string) => {
      const [key, cert] = [join(postgres.folder, `${name}.key`), join(postgres.folder, `${name}.pem`)];
      const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
      const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
      await promisify(execFile)('openssl', [...made, ...subject, '-keyout', key, '-out', cert]);
      // PostgreSQL runs as another user, and rejects a key that others can read.
      const { uid, gid } = await stat(postgres.folder);
      await chown(key, uid, gid);
      await chmod(key, 0o600);
      return { key, cert };
    };
    const own = await certificate('server');
    ca = own.cert;
    otherCa = (await certificate('other')).cert;
    for (const statement of [
      'ALTER SYSTEM SET ssl = on',
      `ALTER SYSTEM SET ssl_cert_file = '${own.cert}'`,
      `ALTER SYSTEM SET ssl_key_file = '${own.key}'`,
      `ALTER SYSTEM SET unix_socket_directories = '${postgres.folder}'`,
      'CREATE ROLE encrypted LOGIN',
      'CREATE ROLE plain LOGIN',
    ]) {
      await query(postgres.url, statement);
    }
    const rules = [
      'local all all trust',
      'hostnossl all encrypted all reject',
      'hostssl all plain all reject',
      'host all all all trust',
    ];
    const [{ hba_file: hba }] = (await query(postgres.url, 'SHOW hba_file')) as [{ hba_file: string }];
    await writeFile(hba, `${rules.join('\n')}\n`);
    await postgres.stop('fast');
    // Settings of the command line would take precedence over ALTER SYSTEM.
    await postgres.start([`unix_socket_directories=${postgres.folder}`]);
  }, 120_000);

  /** Whether the connection of a URL is encrypted; null for a Unix socket. */
  async function reach(url: string): Promise<boolean | null> {
    const { default: pg } = await import('pg');
    const { config } = await findDatabase(
      url
        .replaceAll('PORT', port)
        .replaceAll('FOLDER', servers.postgres.folder)
        .replaceAll('ENCODED', encodeURIComponent(servers.postgres.folder))
        .replaceAll('OTHER', otherCa)
        .replaceAll('CA', ca),
      5_000,
    );
    const client = new pg.Client(config);
    await client.connect();
    try {
      const { rows } = await client.query(
        'SELECT ssl, inet_server_addr() IS NULL AS local FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
      );
      return rows[0].local ? null : rows[0].ssl;
    } finally {
      await client.end();
    }
  }

  it.each([
    ['postgresql://postgres@/postgres?host=FOLDER&port=PORT', null],
    ['postgresql://postgres@ENCODED:PORT/postgres', null],
    ['postgresql://postgres@/postgres?host=FOLDER&port=PORT&sslmode=require', null],
    ['postgresql://postgres@127.0.0.1:PORT/postgres', false],
    ['postgresql://postgres@127.0.0.1:PORT/postgres?sslmode=disable', false],
    ['postgresql://postgres@127.0.0.1:PORT/postgres?sslmode=allow', false],
    ['postgresql://postgres@127.0.0.1:PORT/postgres?sslmode=prefer', true],
    ['postgresql://postgres@127.0.0.1:PORT/postgres?sslmode=require', true],
    ['postgresql://encrypted@127.0.0.1:PORT/postgres?sslmode=allow', true],
    ['postgresql://plain@127.0.0.1:PORT/postgres?sslmode=prefer', false],
    ['postgresql://postgres@127.0.0.1:PORT/postgres?sslmode=require&sslrootcert=CA', true],
    ['postgresql://postgres@127.0.0.1:PORT/postgres?sslmode=verify-ca&sslrootcert=CA', true],
    ['postgresql://postgres@localhost:PORT/postgres?sslmode=verify-full&sslrootcert=CA', true],
  ])('of %s has this encryption: %s', async (url, encrypted) => {
    expect(await reach(url)).toBe(encrypted);
  });

  it.each([
    ['postgresql://encrypted@127.0.0.1:PORT/postgres', 'add sslmode='],
    ['postgresql://plain@127.0.0.1:PORT/postgres?sslmode=require', 'pg_hba.conf'],
    [
      'postgresql://postgres@127.0.0.1:PORT/postgres?sslmode=require&sslrootcert=OTHER',
      'the encrypted connection failed',
    ],
    [
      'postgresql://postgres@127.0.0.1:PORT/postgres?sslmode=verify-ca&sslrootcert=OTHER',
      'the encrypted connection failed',
    ],
    [
      'postgresql://postgres@127.0.0.1:PORT/postgres?sslmode=verify-full&sslrootcert=CA',
      'the encrypted connection failed',
    ],
    ['postgresql://postgres@localhost:PORT/postgres?sslmode=verify-full', 'the encrypted connection failed'],
  ])('of %s fails with the advice: %s', async (url, reason) => {
    const error = await reach(url).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(/^DATABASE_URL: .*$/);
    expect((error as Error).message).toContain(reason);
  });
});
