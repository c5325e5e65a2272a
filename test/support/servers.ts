import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chown, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { atEnd } from './ending.js';
import { alterDatabase } from './environment.js';
import { otherDatabase, query } from './services.js';

/**
 * A PostgreSQL and a Redis server of a test, which it can stop, freeze and restore. They run unprivileged, on free
 * ports, in a temporary directory that is removed with them.
 */
export interface OwnServers {
  postgres: OwnPostgres;
  redis: OwnRedis;
  /** Stops both servers and removes all files. */
  remove(): Promise<void>;
}

interface OwnPostgres {
  /** The URL of the database `postgres`; `createDatabase` creates others. */
  url: string;
  port: number;
  /** A directory that the server can write to. */
  folder: string;
  createDatabase(name: string): Promise<string>;
  /** Stops the server; `immediate` simulates a loss of power. Resolves when it has ended. */
  stop(mode: 'immediate' | 'fast'): Promise<void>;
  /** Resolves when the server responds. `more` are settings as name=value. */
  start(more?: string[]): Promise<void>;
  /** Copies its files; must be called while it is stopped. */
  keepCopy(): Promise<void>;
  /**
   * Starts a standby that replicates from this server asynchronously over this port of 127.0.0.1. It is stopped
   * together with this server.
   */
  startStandby(replicationPort: number): Promise<Standby>;
  /** Restores the copied files; must be called while it is stopped. */
  putBack(): Promise<void>;
  /** Runs a program of PostgreSQL (pg_dump, pg_restore). */
  run(program: string, args: string[]): Promise<void>;
}

interface Standby extends OwnPostgres {
  /** Promotes it to a primary; resolves when it accepts writes. */
  promote(): Promise<void>;
}

export interface OwnRedis {
  url: string;
  port: number;
  /** Kills it; resolves when it has ended. */
  kill(): Promise<void>;
  /** Starts it without data on the same port; resolves when it responds. */
  start(): Promise<void>;
  /** Makes it unresponsive, with its connections open, until it is thawed. */
  freeze(): void;
  thaw(): void;
}

const folders = [
  ...(process.env['PATH'] ?? '').split(delimiter),
  ...list('/usr/lib/postgresql').map((version) => join('/usr/lib/postgresql', version, 'bin')),
  '/usr/sbin',
];
const find = (program: string) => folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
const programs = ['postgres', 'initdb', 'pg_dump', 'pg_restore', 'pg_basebackup', 'redis-server'];
const runAs: { uid?: number; gid?: number } | undefined = process.getuid?.() === 0 ? systemUser() : {};

/** The reason why such servers cannot be started; undefined if they can. */
export const serversLacking = reasonAgainst();
if (serversLacking !== undefined) console.log(`The fault tests are skipped: ${serversLacking}.`);

function reasonAgainst(): string | undefined {
  const missing = programs.filter((program) => find(program) === undefined);
  if (missing.length > 0) return `${missing.join(', ')} not found`;
  return runAs === undefined ? 'PostgreSQL does not run as root, and there is no user postgres or nobody' : undefined;
}

function list(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).sort().reverse() : [];
}

/** The user to run servers as, because PostgreSQL refuses to run as root. */
function systemUser(): { uid: number; gid: number } | undefined {
  const users = existsSync('/etc/passwd') ? readFileSync('/etc/passwd', 'utf8').split('\n') : [];
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = users.find((line) => line.startsWith(`${name}:`))?.split(':') ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}

/** A port that is currently not in use. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Starts both servers. */
export async function startServers(): Promise<OwnServers> {
  const folder = await mkdtemp(join(tmpdir(), 'parley_faults_'));
  await giveAway(folder);
  const started = await Promise.all([startPostgres(folder), startRedis(folder)]);
  const [postgres, redis] = started;
  return {
    postgres,
    redis,
    async remove() {
      await Promise.all([postgres.end(), redis.kill()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Changes the owner of a directory to the user who runs the servers. */
async function giveAway(folder: string): Promise<void> {
  if (runAs?.uid !== undefined && runAs.gid !== undefined) await chown(folder, runAs.uid, runAs.gid);
}

async function run(program: string, args: string[]): Promise<void> {
  await promisify(execFile)(find(program) ?? program, args, { ...runAs, cwd: tmpdir() });
}

/** Starts a program that runs until it is stopped and is killed with this process. */
function launch(program: string, args: string[]) {
  const child = spawn(find(program) ?? program, args, {
    ...runAs,
    cwd: tmpdir(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const hear = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4_000);
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  const killIt = () => child.kill('SIGKILL');
  process.once('exit', killIt);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  void exited.then(() => process.off('exit', killIt));
  return { child, exited, output: () => output };
}

async function answers(
  launched: { child: ChildProcess; output(): string },
  question: () => Promise<unknown>,
): Promise<void> {
  for (const end = Date.now() + 20_000; ; ) {
    try {
      await question();
      return;
    } catch (error) {
      if (launched.child.exitCode !== null || Date.now() > end) throw new Error(launched.output(), { cause: error });
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

type OwnedPostgres = OwnPostgres & { end(): Promise<void> };

async function startPostgres(folder: string): Promise<OwnedPostgres> {
  const data = join(folder, 'data');
  await run('initdb', ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync']);
  return runPostgres(folder, data);
}

/** Starts a server with a data directory. */
async function runPostgres(folder: string, data: string): Promise<OwnedPostgres> {
  const copy = `${data}-copy`;
  const port = await freePort();
  const url = `postgresql://postgres@127.0.0.1:${port}/postgres`;
  const settings = [`port=${port}`, 'listen_addresses=127.0.0.1', 'unix_socket_directories=', 'shared_buffers=32MB'];
  const standbys: OwnedPostgres[] = [];
  let server: ReturnType<typeof launch>;
  const postgres = {
    url,
    port,
    folder,
    async createDatabase(name: string) {
      await query(url, `CREATE DATABASE ${name}`);
      await alterDatabase(url, name);
      return otherDatabase(url, name);
    },
    async stop(mode: 'immediate' | 'fast') {
      server.child.kill(mode === 'immediate' ? 'SIGQUIT' : 'SIGINT');
      await server.exited;
    },
    async start(more: string[] = []) {
      server = launch('postgres', ['-D', data, ...[...settings, ...more].flatMap((setting) => ['-c', setting])]);
      await answers(server, () => query(url, 'SELECT 1'));
    },
    async keepCopy() {
      await rm(copy, { recursive: true, force: true });
      await run('cp', ['-Rp', data, copy]);
    },
    async putBack() {
      await rm(data, { recursive: true, force: true });
      await rename(copy, data);
    },
    async startStandby(replicationPort: number) {
      const base = `${data}s`;
      const source = `host=127.0.0.1 port=${replicationPort} user=postgres sslmode=disable gssencmode=disable`;
      await run('pg_basebackup', ['-D', base, '-d', source, '-R', '-X', 'stream', '-c', 'fast', '--no-sync']);
      const standby = await runPostgres(folder, base);
      standbys.push(standby);
      return Object.assign(standby, {
        async promote() {
          await query(standby.url, 'SELECT pg_promote()');
        },
      });
    },
    run,
    async end() {
      await Promise.all(standbys.map((standby) => standby.end()));
      if (server.child.exitCode === null && server.child.signalCode === null) await postgres.stop('immediate');
    },
  };
  await postgres.start();
  return postgres;
}

/** The reason why PgBouncer cannot be started; undefined if it can. */
export const pgbouncerLacking =
  serversLacking ?? (find('pgbouncer') === undefined ? 'pgbouncer not found (install it from Debian)' : undefined);

/** Starts a PgBouncer in transaction mode in front of a port. It is stopped at the end of the current test or file. */
export async function startPgbouncer(serverPort: number): Promise<{ port: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'parley_pgbouncer_'));
  await giveAway(folder);
  const port = await freePort();
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'any',
    pool_mode: 'transaction',
    max_client_conn: 100,
    default_pool_size: 20,
    // By default it waits 15 s before it reconnects to a server that rejected a connection.
    server_login_retry: 1,
  };
  const ini = join(folder, 'pgbouncer.ini');
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  await writeFile(
    ini,
    ['[databases]', `* = host=127.0.0.1 port=${serverPort} user=postgres`, '[pgbouncer]', ...lines, ''].join('\n'),
  );
  const bouncer = launch('pgbouncer', [ini]);
  atEnd(async () => {
    bouncer.child.kill('SIGKILL');
    await bouncer.exited;
    await rm(folder, { recursive: true, force: true });
  });
  await answers(bouncer, () => query(`postgresql://postgres@127.0.0.1:${port}/postgres`, 'SELECT 1'));
  return { port };
}

/** Starts a separate Redis in this directory with additional settings (`--unixsocket`, …). */
export async function startRedis(folder: string, settings: readonly string[] = []): Promise<OwnRedis> {
  const dir = join(folder, 'redis');
  await mkdir(dir);
  await giveAway(dir);
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  let server: ReturnType<typeof launch>;
  const ping = async () => {
    const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
    redis.on('error', () => {});
    try {
      await redis.connect();
      await redis.ping();
    } finally {
      redis.disconnect();
    }
  };
  const redis = {
    url,
    port,
    async kill() {
      server.child.kill('SIGKILL');
      await server.exited;
    },
    async start() {
      const none = ['--save', '', '--appendonly', 'no'];
      server = launch('redis-server', [
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--dir',
        dir,
        ...none,
        ...settings,
      ]);
      await answers(server, ping);
    },
    freeze: () => void server.child.kill('SIGSTOP'),
    thaw: () => void server.child.kill('SIGCONT'),
  };
  await redis.start();
  return redis;
}
