import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { ConfigError } from '../config/config-error.js';
import { type DatabaseTarget, parseDatabaseUrl, type SslSettings } from '../config/database-url.js';
import { quoteName, quoteText, requiredSettings, settingsSql } from '../config/session-settings.js';

/** The oldest supported version of PostgreSQL, as `server_version_num`. */
const OLDEST_SERVER = 150_000;

/**
 * Settings that PgBouncer preserves per client. All others cannot be set behind a pooler, which may use another server
 * connection for each transaction, so the defaults of the role or the database must be right.
 */
const keptByPoolers = new Set(['TimeZone', 'DateStyle', 'client_encoding', 'standard_conforming_strings']);

/** How to connect to the database, including properties that only the server can report. */
export interface PostgresConnection {
  config: pg.ClientConfig;
  /** The schema of all tables. */
  schema: string;
  /** The statements to run on each new connection. */
  settings: string;
  /** Whether prepared statements can be kept, according to the URL. */
  prepared: boolean;
}

/**
 * Connects once to determine which encryption the server accepts, which schema contains or will contain the tables, and
 * whether settings of a connection are preserved.
 * @throws {ConfigError} if the URL, the server or the database is wrong in a way that a retry cannot resolve.
 */
export async function findDatabase(url: string, connectTimeoutMs: number): Promise<PostgresConnection> {
  const target = parseDatabaseUrl(url);
  const base: pg.ClientConfig = {
    host: target.host ?? defaultHost(target.port),
    port: target.port,
    user: target.user ?? process.env['PGUSER'] ?? systemUser(),
    password: target.password,
    database: target.database ?? process.env['PGDATABASE'] ?? target.user,
    application_name: target.applicationName,
    connectionTimeoutMillis: target.connectTimeoutMs ?? connectTimeoutMs,
    // The options of the URL are set on each connection, because not all poolers accept them in the startup message.
    options: '',
  };
  const ways = base.host?.startsWith('/') ? [false as const] : await encryptions(target.ssl);
  let refusal: unknown;
  for (const ssl of ways) {
    const config = { ...base, ssl, ...(target.ssl.direct && { sslnegotiation: 'direct' as const }) };
    const client = new pg.Client(config);
    // The next statement reports a connection that broke while idle.
    client.on('error', () => {});
    try {
      await client.connect();
    } catch (error) {
      refusal = error;
      await client.end().catch(() => {});
      if (ways.length > 1 && isEncryptionError(error)) continue;
      throw asConfigError(error, base);
    }
    try {
      return { config, ...(await verifySession(client, target)), prepared: target.prepared };
    } catch (error) {
      throw asConfigError(error, base);
    } finally {
      await client.end().catch(() => {});
    }
  }
  throw asConfigError(refusal, base);
}

/** Chooses the schema and verifies the settings. */
async function verifySession(client: pg.Client, target: DatabaseTarget): Promise<{ schema: string; settings: string }> {
  const { rows } = await client.query<{ version: number; pid: number }>(
    `SELECT current_setting('server_version_num')::int AS version, pg_backend_pid() AS pid`,
  );
  const [server] = rows;
  if (server && server.version < OLDEST_SERVER) {
    throw new ConfigError(
      `DATABASE_URL: the server runs PostgreSQL ${Math.floor(server.version / 10_000)}, and Parley requires 15 or newer`,
    );
  }
  const schema = await chooseSchema(client, target);
  const settings = settingsSql(schema, target.settings);
  await client.query(settings);
  // A pooler reports another process id than that of the server.
  if (server && server.pid !== (client as unknown as { processID: number }).processID) {
    await checkDefaults(client, schema);
  }
  return { schema, settings };
}

/**
 * Chooses the schema: that of `?schema=`, which is created if it is missing; otherwise the first schema of the
 * search_path that contains Parley's tables, so that a schema created later, such as one named like the role, does not
 * hide them; otherwise the first existing one.
 */
async function chooseSchema(client: pg.Client, { schema, searchPath }: DatabaseTarget): Promise<string> {
  if (schema !== undefined) {
    const { rows } = await client.query('SELECT FROM pg_namespace WHERE nspname = $1', [schema]);
    if (rows.length === 0) await client.query(`CREATE SCHEMA IF NOT EXISTS ${quoteName(schema)}`);
    return schema;
  }
  if (searchPath !== undefined) await client.query(`SELECT set_config('search_path', $1, false)`, [searchPath]);
  const { rows } = await client.query<{ name: string; on_path: boolean; has_tables: boolean }>(
    `SELECT nspname AS name, position IS NOT NULL AS on_path,
            EXISTS (SELECT FROM pg_class WHERE relnamespace = n.oid AND relname = 'log_state' AND relkind = 'r')
              AND EXISTS (SELECT FROM pg_class WHERE relnamespace = n.oid AND relname = '_prisma_migrations') AS has_tables
     FROM pg_namespace n LEFT JOIN unnest(current_schemas(false)) WITH ORDINALITY AS path (name, position) ON nspname = name
     WHERE position IS NOT NULL OR nspname = 'public'
     ORDER BY position`,
  );
  const onPath = rows.filter(({ on_path }) => on_path);
  const used = onPath.find(({ has_tables }) => has_tables);
  if (used) return used.name;
  const elsewhere = rows.find(({ has_tables }) => has_tables);
  const [first] = onPath;
  if (elsewhere) {
    throw new ConfigError(
      `DATABASE_URL: Parley's tables are in the schema ${elsewhere.name}, which is not in the search_path (${first?.name ?? 'no schema of it exists'}): add ?schema=${elsewhere.name} to use them, or ?schema= with another name to start with an empty schema`,
    );
  }
  if (!first)
    throw new ConfigError('DATABASE_URL: no schema of the search_path exists: create one, or add ?schema=parley');
  return first.name;
}

/** @throws {ConfigError} if settings that a pooler does not preserve have unsuitable defaults. */
async function checkDefaults(client: pg.Client, schema: string): Promise<void> {
  const wanted = Object.entries({ ...requiredSettings, search_path: quoteName(schema) }).filter(
    ([name]) => !keptByPoolers.has(name),
  );
  const { rows } = await client.query<{ name: string; value: string }>(
    'SELECT name, reset_val AS value FROM pg_settings WHERE name = ANY ($1)',
    [wanted.map(([name]) => name)],
  );
  const defaults = new Map(rows.map(({ name, value }) => [name, value]));
  const holds = (name: string, value: string) => {
    const found = defaults.get(name);
    if (found === value || found === value.replaceAll('"', '')) return true;
    // PostgreSQL's default, if there is no schema named like the role.
    if (name === 'search_path') return schema === 'public' && found === '"$user", public';
    // The values 1, 2 and 3 are equivalent.
    return name === 'extra_float_digits' ? Number(found) >= 1 : false;
  };
  const wrong = wanted.filter(([name, value]) => !holds(name, value));
  if (wrong.length === 0) return;
  const role = `ALTER ROLE CURRENT_USER IN DATABASE ${quoteName(client.database ?? '')}`;
  const alter = wrong.map(
    ([name, value]) => `${role} SET ${name} = ${name === 'search_path' ? value : quoteText(value)};`,
  );
  throw new ConfigError(
    `DATABASE_URL: nodes cannot set ${wrong.map(([name]) => name).join(', ')} themselves through a connection pooler; set it for the role, and reconnect the pooler: ${alter.join(' ')}`,
  );
}

/** The TLS options to try, in order; false means no encryption. */
async function encryptions(ssl: SslSettings): Promise<(ConnectionOptions | false)[]> {
  const read = async (name: string, path: string | undefined) => {
    if (path === undefined || path === 'system') return undefined;
    return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw new ConfigError(`DATABASE_URL: ${name} cannot be read: ${path} (${error.code})`);
    });
  };
  const [ca, cert, key] = [
    await read('sslrootcert', ssl.rootCert),
    await read('sslcert', ssl.cert),
    await read('sslkey', ssl.key),
  ];
  const files = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
  const unverified: ConnectionOptions = { ...files, rejectUnauthorized: false };
  // As in libpq, the certificate of an authority makes `require` verify the server.
  const byAuthority: ConnectionOptions = { ...files, checkServerIdentity: () => undefined };
  switch (ssl.mode) {
    case 'disable':
      return [false];
    case 'allow':
      return [false, unverified];
    case 'prefer':
      return [unverified, false];
    case 'require':
      return [ca ? byAuthority : unverified];
    case 'verify-ca':
      return [byAuthority];
    case 'verify-full':
      return [files];
  }
}

const NO_SSL = 'The server does not support SSL connections';

/** Whether another encryption may be accepted. 28000 is the error for connections that pg_hba.conf rejects. */
const isEncryptionError = (error: unknown) =>
  error instanceof Error && (error.message === NO_SSL || (error as { code?: unknown }).code === '28000');

/** The default host of libpq: the Unix socket of a local server, otherwise localhost. */
function defaultHost(port: number): string {
  const folders = ['/var/run/postgresql', '/tmp'];
  const found = folders.find((folder) => existsSync(join(folder, `.s.PGSQL.${port}`)));
  return process.env['PGHOST'] ?? found ?? 'localhost';
}

function systemUser(): string {
  try {
    return userInfo().username;
  } catch {
    throw new ConfigError(
      'DATABASE_URL: contains no user name, and the operating system has no name for the current user',
    );
  }
}

/** Converts errors that a retry cannot resolve to a ConfigError with an explanation; returns others unchanged. */
export function asConfigError(error: unknown, { host, user, database }: pg.ClientConfig = {}): unknown {
  if (!(error instanceof Error) || error instanceof ConfigError) return error;
  const code = String((error as { code?: unknown }).code ?? '');
  if (code === '' && error.cause !== undefined && asConfigError(error.cause) instanceof ConfigError) {
    return new ConfigError(`DATABASE_URL: ${error.message}`, { cause: error });
  }
  const say = (text: string) => new ConfigError(`DATABASE_URL: ${text}`, { cause: error });
  if (error.message === NO_SSL) return say('the server does not support encrypted connections, which sslmode requires');
  if (code === '28000' && /no encryption/.test(error.message)) {
    return say(`the server rejects unencrypted connections: add sslmode=verify-full (${error.message})`);
  }
  // Authentication failures, invalid database or schema names, missing privileges, and unsupported features.
  if (/^(28|3D|3F)...$|^42501$|^08P01$|^0A000$/.test(code)) return say(error.message);
  if (/^(22023|42704|55P02|42602)$/.test(code)) return say(`a setting in options was rejected: ${error.message}`);
  if (/^SASL|client password must be a string|SCRAM/.test(error.message)) {
    return say(`the server requires a password for ${user}, and the URL contains no valid one (${error.message})`);
  }
  if (/certificate|self-signed|altname|wrong version number|EPROTO|ERR_TLS|ERR_SSL/i.test(`${code} ${error.message}`)) {
    return say(`the encrypted connection failed: ${error.message} (${code})`);
  }
  if (host?.startsWith('/') && (code === 'ENOENT' || code === 'EACCES' || code === 'ENOTDIR')) {
    return say(`no server listens on the Unix socket in ${host} (${code}), for the database ${database}`);
  }
  return error;
}
