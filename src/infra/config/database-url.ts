import { requiredSettings } from './session-settings.js';

/** The parsed DATABASE_URL, without anything that depends on the server or the file system. */
export interface DatabaseTarget {
  /** A host name, an address, or the directory of a Unix socket. If undefined, the default of libpq applies. */
  host: string | undefined;
  port: number;
  user: string | undefined;
  password: string | undefined;
  database: string | undefined;
  applicationName: string;
  connectTimeoutMs: number | undefined;
  ssl: SslSettings;
  /** The schema of `?schema=`, which is created if it does not exist. */
  schema: string | undefined;
  /** The search_path of `?options=`, of which the first existing schema is used. */
  searchPath: string | undefined;
  /** Other settings of `?options=`. */
  settings: Readonly<Record<string, string>>;
  /** False if, according to the URL, a pooler is used that does not keep prepared statements. */
  prepared: boolean;
}

/**
 * The modes of libpq. The default is `disable`, which is the result of libpq's default `prefer` on most local servers.
 */
const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;

export interface SslSettings {
  mode: (typeof SSL_MODES)[number];
  /** Paths of PEM files. `rootCert` may be `system`. */
  rootCert: string | undefined;
  cert: string | undefined;
  key: string | undefined;
  direct: boolean;
}

const AUTHORITY =
  /^postgres(?:ql)?:\/\/(?:(?<userinfo>[^/?#]*)@)?(?<hosts>[^@/?#]*)(?:\/(?<database>[^?#]*))?(?:\?(?<query>.*))?$/s;

/**
 * Parses a database URL in the syntax of libpq or Prisma.
 * @throws {Error} with the reason if the URL is malformed or requests something that is not supported.
 */
export function parseDatabaseUrl(url: string): DatabaseTarget {
  if (!/^postgres(ql)?:\/\//.test(url)) throw new Error('must be a postgresql:// URL');
  const parts = AUTHORITY.exec(url)?.groups;
  if (!parts)
    throw new Error('must be a URL; percent-encode special characters of the password, / as %2F and # as %23');
  const [user, ...password] = (parts['userinfo'] ?? '').split(':');
  const { host, port } = hostOf(parts['hosts'] ?? '');
  const given = readParameters(parts['query'] ?? '');
  const options = readOptions(given.get('options') ?? '');
  if (given.has('schema') && options['search_path'] !== undefined) {
    throw new Error('schema and a search_path in options must not be used together');
  }
  const { search_path: searchPath, ...settings } = options;
  return {
    host: given.get('host') ?? host,
    port: portOf(given.get('port') ?? port),
    user: given.get('user') ?? (decode(user ?? '', 'the user name') || undefined),
    password: given.get('password') ?? (decode(password.join(':'), 'the password') || undefined),
    database: given.get('dbname') ?? (decode(parts['database'] ?? '', 'the database') || undefined),
    applicationName: given.get('application_name') ?? given.get('fallback_application_name') ?? 'parley',
    connectTimeoutMs: connectTimeoutOf(given.get('connect_timeout')),
    ssl: sslOf(given),
    schema: given.get('schema'),
    searchPath,
    settings,
    prepared: given.get('pgbouncer') !== 'true',
  };
}

function decode(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error(`${what} is not percent-encoded as a URL requires: write % as %25`);
  }
}

const SEVERAL_HOSTS =
  'names several hosts, which is not supported: name one that always leads to the primary, such as a proxy, a virtual address or a DNS name';

function hostOf(authority: string): { host: string | undefined; port: string } {
  if (authority.includes(',')) throw new Error(SEVERAL_HOSTS);
  const parts = /^(?<host>\[[0-9A-Fa-f:.]+(?:%25?\w+)?\]|[^:[\]]*)(?::(?<port>.*))?$/.exec(authority)?.groups;
  if (!parts)
    throw new Error('has a malformed host: write an IPv6 address in brackets, and percent-encode the password');
  const host = decode((parts['host'] ?? '').replace(/^\[(.*)\]$/, '$1'), 'the host');
  return { host: host || undefined, port: parts['port'] ?? '' };
}

function portOf(text: string): number {
  if (text === '') return 5432;
  if (text.includes(',')) throw new Error(SEVERAL_HOSTS);
  if (!/^\d{1,5}$/.test(text) || Number(text) < 1 || Number(text) > 65_535) {
    throw new Error('has a malformed port; if the password contains : / # or @, percent-encode these characters');
  }
  return Number(text);
}

function connectTimeoutOf(text: string | undefined): number | undefined {
  if (text === undefined || text === '0') return undefined;
  if (!/^\d{1,4}$/.test(text)) throw new Error('connect_timeout must be a number of seconds');
  return Number(text) * 1_000;
}

/**
 * How a parameter is handled. `values` lists the only supported values; `reason` explains why the parameter is not
 * supported.
 */
interface Parameter {
  values?: readonly string[];
  reason?: string;
}

const one = (...values: string[]): Parameter => ({ values });
const refused = (reason: string): Parameter => ({ reason });
const HONOURED: Parameter = {};
const unsupported = refused('is not supported');
const driverSetting = refused('is not supported: it belongs to the engines of earlier Prisma versions');

/** All parameters of libpq and Prisma: supported, supported with some values only, or rejected with a reason. */
const PARAMETERS: Readonly<Record<string, Parameter>> = {
  application_name: HONOURED,
  channel_binding: one('disable', 'prefer'),
  client_encoding: one('utf8', 'UTF8', 'utf-8', 'UTF-8', 'auto'),
  connect_timeout: HONOURED,
  connection_limit: refused('is not supported: set DATABASE_POOL_MAX'),
  dbname: HONOURED,
  fallback_application_name: HONOURED,
  gssencmode: one('disable', 'prefer'),
  host: HONOURED,
  hostaddr: refused('is not supported: write the address as the host'),
  keepalives: one('1'),
  load_balance_hosts: one('disable'),
  max_idle_connection_lifetime: driverSetting,
  max_connection_lifetime: driverSetting,
  options: HONOURED,
  passfile: refused('is not supported: set the password in the URL, or PGPASSFILE'),
  password: HONOURED,
  pgbouncer: one('true', 'false'),
  pool_timeout: driverSetting,
  port: HONOURED,
  schema: HONOURED,
  service: refused('is not supported: write the host, the user and the database in the URL'),
  socket_timeout: driverSetting,
  sslaccept: refused('is not supported: sslmode=require does not verify the certificate, sslmode=verify-full does'),
  sslcert: HONOURED,
  sslcompression: one('0'),
  sslidentity: refused('is not supported: write sslcert and sslkey, in PEM format'),
  sslkey: HONOURED,
  sslmode: one(...SSL_MODES),
  sslnegotiation: one('postgres', 'direct'),
  sslpassword: refused('is not supported: write an sslkey without a passphrase'),
  sslrootcert: HONOURED,
  statement_cache_size: driverSetting,
  target_session_attrs: one('any', 'read-write', 'primary'),
  user: HONOURED,
};

function readParameters(query: string): Map<string, string> {
  const given = new Map<string, string>();
  for (const pair of query.split('&').filter(Boolean)) {
    const at = pair.indexOf('=');
    if (at < 0) throw new Error(`the parameter ${pair} has no value`);
    const name = decode(pair.slice(0, at), 'a parameter');
    const value = decode(pair.slice(at + 1), name);
    const { values, reason } = (Object.hasOwn(PARAMETERS, name) && PARAMETERS[name]) || unsupported;
    if (reason !== undefined) throw new Error(`the parameter ${name} ${reason}`);
    if (values && !values.includes(value)) throw new Error(`the parameter ${name} must be ${values.join(' or ')}`);
    if (value === '') throw new Error(`the parameter ${name} is empty`);
    if (name === 'host' && value.includes(',')) throw new Error(SEVERAL_HOSTS);
    given.set(name, value);
  }
  return given;
}

function sslOf(given: ReadonlyMap<string, string>): SslSettings {
  const mode = (given.get('sslmode') ?? 'disable') as SslSettings['mode'];
  const [rootCert, cert, key] = [given.get('sslrootcert'), given.get('sslcert'), given.get('sslkey')];
  const isDirect = given.get('sslnegotiation') === 'direct';
  if (mode === 'disable' && (rootCert ?? cert ?? key ?? (isDirect || undefined)) !== undefined) {
    throw new Error('sslrootcert, sslcert, sslkey and sslnegotiation require an sslmode, for example verify-full');
  }
  if ((cert === undefined) !== (key === undefined)) throw new Error('sslcert and sslkey must be set together');
  if (mode === 'verify-ca' && rootCert === undefined) {
    throw new Error(
      'sslmode=verify-ca requires sslrootcert; for certificates of public authorities, use sslmode=verify-full',
    );
  }
  if (rootCert === 'system' && mode !== 'verify-full')
    throw new Error('sslrootcert=system requires sslmode=verify-full');
  if (isDirect && (mode === 'allow' || mode === 'prefer')) {
    throw new Error('sslnegotiation=direct requires an sslmode of require, verify-ca or verify-full');
  }
  return { mode, rootCert, cert, key, direct: isDirect };
}

/**
 * Parses `-c name=value`, `-cname=value` and `--name=value`, separated by spaces. A backslash escapes a space within a
 * value.
 */
function readOptions(options: string): Record<string, string> {
  const words = (options.match(/(?:\\.|[^\s+\\])+/gs) ?? []).map((word) => word.replace(/\\(.)/gs, '$1'));
  const settings: Record<string, string> = {};
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] as string;
    const assignment = word === '-c' ? words[++index] : /^(?:-c|--)(.+)$/s.exec(word)?.[1];
    const [, name, value = ''] = /^([\w.-]+)=(.*)$/s.exec(assignment ?? '') ?? [];
    if (name === undefined) throw new Error('options must be settings, each as -c name=value');
    const setting = name.toLowerCase().replaceAll('-', '_');
    const own = Object.entries(requiredSettings).find(([each]) => each.toLowerCase() === setting);
    if (own && own[1].toLowerCase() !== value.toLowerCase()) {
      throw new Error(`options must not set ${own[0]}: nodes rely on ${own[1]}`);
    }
    if (!own) settings[setting] = value;
  }
  return settings;
}
