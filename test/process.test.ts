import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, cp, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { type Person, register, request } from './support/client.js';
import { nodeFlags } from './support/environment.js';
import { anyMode, makePlace } from './support/place.js';
import { attempt, createGroup, send } from './support/talk.js';

/** A node in a separate process, as `npm start` runs it after the build. */
interface Process {
  child: ChildProcess;
  output(): string;
  /** Resolves with the URL once it is ready. */
  ready: Promise<string>;
  exited: Promise<number | null>;
}

const running: ChildProcess[] = [];

/** Makes Node print each library that is loaded of those that few services use. */
const tellLibraries = (() => {
  const hook =
    'export const resolve = (name, context, next) => (/^(prom-client|@opentelemetry|openai$)/.test(name) && console.error("loads " + name), next(name, context))';
  const url = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`;
  return `--import ${url(`import { register } from 'node:module'; register(${JSON.stringify(url(hook))})`)}`;
})();

function run(env: Record<string, string>, main = 'dist/main.js'): Process {
  const { PATH = '' } = process.env;
  const child = spawn(process.execPath, [...nodeFlags, main], {
    env: { PATH, PORT: '0', BCRYPT_COST: '4', RATE_LIMITS: 'off', DATA_DIR_CACHE_BYTES: '8388608', ...env },
  });
  running.push(child);
  let output = '';
  let resolveReady: (url: string) => void = () => {};
  const ready = new Promise<string>((resolve) => {
    resolveReady = resolve;
  });
  const hear = (chunk: Buffer) => {
    output += chunk.toString();
    const url = /"url":"([^"]+)"/.exec(output)?.[1];
    if (url !== undefined) resolveReady(url);
  };
  child.stdout?.on('data', hear);
  child.stderr?.on('data', hear);
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  void exited.then((code) => resolveReady(`exited with ${code}: ${output}`));
  return { child, output: () => output, ready, exited };
}

describe('the process', () => {
  /** A DATA_DIR with an existing database, because creating one takes seconds. */
  const makeDataDir = async (name: string) => {
    const folder = join(inject('scratch'), `process-${name}`);
    await cp(inject('embeddedTemplate'), folder, { recursive: true });
    return folder;
  };
  /** The settings of a database of any kind: a process starts in a third of the CPU time with PostgreSQL. */
  const makeSettings = async () => (await makePlace(anyMode)).env;
  afterEach(async () => {
    for (const child of running.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exited = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      // Its database is removed next.
      await exited;
    }
  });

  it('loads the libraries of monitoring and of model servers only if they are configured', async () => {
    const loaded = async (env: Record<string, string>) => {
      const { ready, output } = run({ ...(await makeSettings()), NODE_OPTIONS: tellLibraries, ...env });
      const url = await ready;
      expect(url).toMatch(/^http/);
      const alice = await register(url, 'alice');
      const conversationId = await createGroup(alice, []);
      await send(alice, conversationId, 'hello');
      await attempt(alice, 'summarizeConversation', { conversationId, fromSeq: 1 });
      return [...output().matchAll(/loads (\S+)/g)].map(([, library]) => library);
    };
    expect(await loaded({})).toEqual([]);
    // The first check is only meaningful if these libraries are found.
    const watched = await loaded({
      METRICS_PORT: '0',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
      SUMMARY_BASE_URL: 'http://127.0.0.1:9/v1',
      SUMMARY_MODEL: 'none',
    });
    expect(watched).toEqual(expect.arrayContaining(['prom-client', '@opentelemetry/sdk-trace', 'openai']));
  });

  it('keeps all data and tokens across a restart, and exits with 0 on SIGTERM', async () => {
    const DATA_DIR = await makeDataDir('restart');
    const first = run({ DATA_DIR });
    const url = await first.ready;
    const alice: Person = await register(url, 'alice');
    const group = await createGroup(alice, []);
    const sent = await send(alice, group, 'before the restart');
    first.child.kill('SIGTERM');
    expect(await first.exited).toBe(0);
    const second = run({ DATA_DIR });
    const again = await second.ready;
    const query = 'query ($id: ID!) { node(id: $id) { ... on Message { text } } }';
    expect((await request(again, query, { id: sent.id }, alice.token)).data).toEqual({
      node: { text: 'before the restart' },
    });
  });

  it('keeps acknowledged messages when it is killed, and restarts immediately', async () => {
    const DATA_DIR = await makeDataDir('killed');
    const first = run({ DATA_DIR });
    const alice = await register(await first.ready, 'alice');
    const group = await createGroup(alice, []);
    const sent = await send(alice, group, 'answered');
    first.child.kill('SIGKILL');
    await first.exited;
    const again = await run({ DATA_DIR }).ready;
    const query = 'query ($id: ID!) { node(id: $id) { ... on Message { text } } }';
    expect((await request(again, query, { id: sent.id }, alice.token)).data).toEqual({ node: { text: 'answered' } });
  });

  it('does not start with a DATA_DIR that another process uses, and prints the reason', async () => {
    const DATA_DIR = await makeDataDir('shared');
    const first = run({ DATA_DIR });
    await first.ready;
    const second = run({ DATA_DIR });
    expect(await second.exited).toBe(78);
    expect(second.output()).toMatch(new RegExp(`^parley: DATA_DIR: .* is in use by process ${first.child.pid}`));
  });

  it('does not start with an invalid configuration, and names the variable', async () => {
    const production = run({ NODE_ENV: 'production', DATA_DIR: await makeDataDir('production') });
    const port = run({ PORT: 'http' });
    expect([await production.exited, await port.exited]).toEqual([78, 78]);
    expect(production.output()).toMatch(/^parley: JWT_SECRET: must be set/);
    expect(port.output()).toMatch(/^parley: PORT: /);
  });

  it('rejects sign-ins beyond its queue, and continues to run', async () => {
    const node = run({ ...(await makeSettings()), PASSWORD_QUEUE_MAX: '1', BCRYPT_COST: '8' });
    const url = await node.ready;
    const alice = await register(url, 'alice');
    const login = (usernameOrEmail: string) =>
      request(url, 'mutation ($i: LoginInput!) { login(input: $i) { viewer { id } } }', {
        i: { usernameOrEmail, password: 'long enough' },
      });
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) => login(index % 2 ? alice.username : `nobody${index}`)),
    );
    const codes = answers.map(({ errors }) => errors?.[0]?.extensions.code);
    expect(new Set(codes)).toEqual(new Set(['UNAVAILABLE', 'BAD_USER_INPUT']));
    expect((await login('nobody')).errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
    expect(node.child.exitCode).toBeNull();
  });

  it('names the port that is in use', async () => {
    const { port } = new URL(await run(await makeSettings()).ready);
    const second = run({ ...(await makeSettings()), PORT: port });
    expect(await second.exited).toBe(1);
    expect(second.output()).toMatch(new RegExp(`parley: PORT: cannot listen on 127.0.0.1:${port}`));
  });

  it('reports that HOST is not an address of this machine', async () => {
    const settings = await makeSettings();
    const foreign = run({ ...settings, HOST: '203.0.113.1' });
    expect(await foreign.exited).toBe(78);
    expect(foreign.output()).toMatch(/parley: HOST: cannot listen on 203\.0\.113\.1:0 \(EADDRNOTAVAIL\)\n$/);
    const unknown = run({ ...settings, HOST: 'no-such-host.invalid' });
    expect(await unknown.exited).toBe(78);
    expect(unknown.output()).toMatch(/parley: HOST: cannot listen on no-such-host\.invalid:0 \(E\w+\)\n$/);
  });

  it('reports in one line that DATA_DIR is not a folder', async () => {
    const node = run({ DATA_DIR: 'package.json/data' });
    expect(await node.exited).toBe(78);
    expect(node.output()).toMatch(/^parley: DATA_DIR: package\.json\/data cannot be used: [^\n]*\n$/);
  });

  it('makes DATA_DIR inaccessible to other users, with existing and new files', async () => {
    const DATA_DIR = await makeDataDir('closed');
    await chmod(join(DATA_DIR, 'pg'), 0o777);
    const before = process.umask(0);
    const node = run({ DATA_DIR });
    process.umask(before);
    await register(await node.ready, 'alice');
    const open: string[] = [];
    for (const name of ['.', ...(await readdir(DATA_DIR, { recursive: true }))]) {
      const { mode } = await stat(join(DATA_DIR, name)).catch(() => ({ mode: 0 }));
      if ((mode & 0o077) !== 0) open.push(name);
    }
    expect(open).toEqual([]);
  });

  it('logs lines of JSON with the request id, without tokens, passwords or texts of users', async () => {
    const node = run({ ...(await makeSettings()), LOG_LEVEL: 'trace' });
    const url = await node.ready;
    const alice = await register(url, 'alice');
    const group = await createGroup(alice, []);
    await send(alice, group, 'what people write');
    await request(url, 'mutation ($input: LoginInput!) { login(input: $input) { tokens { accessToken } } }', {
      input: { usernameOrEmail: alice.username, password: alice.password },
    });
    await request(url, '{ viewer { id } }', {}, `${alice.token}x`);
    // GraphQL quotes invalid operations in its errors.
    const wrong = { username: 'x', email: 'x', password: alice.password, surprise: 1 };
    await request(url, 'mutation ($i: RegisterInput!) { register(input: $i) { viewer { id } } }', { i: wrong });
    await request(url, `mutation { login(input: { usernameOrEmail: "x", password: "${alice.password}" }) { `);
    await fetch(url.replace('/graphql', '/health'), { headers: { 'x-request-id': 'the-request' } });
    node.child.kill('SIGTERM');
    await node.exited;
    const lines = node
      .output()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { requestId?: string; path?: string });
    expect(lines.find(({ requestId }) => requestId === 'the-request')).toMatchObject({ path: '/health', status: 200 });
    for (const secret of [alice.token, alice.refreshToken, alice.password, 'what people write', alice.email]) {
      expect(node.output()).not.toContain(secret);
    }
  });
});
