import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Writable } from 'node:stream';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { redisOptions } from '../../src/infra/config/redis-options.js';
import { type EventEngine, openRedisEvents } from '../../src/infra/events.js';
import { openRateStore } from '../../src/infra/rates.js';
import { probeRedis } from '../../src/infra/redis.js';
import { createLog } from '../../src/infra/telemetry/log.js';
import { eventually } from '../support/client.js';
import { atEnd } from '../support/ending.js';
import { freePort, type OwnRedis, serversLacking, startRedis } from '../support/servers.js';

const exec = promisify(execFile);
const optionsOf = (url: string) => redisOptions(url) ?? expect.fail(`${url} is refused`);

describe('REDIS_URL', () => {
  it.each([
    ['redis://redis', { host: 'redis', port: 6379, db: 0, family: 0 }],
    ['redis://user:p%40ss@redis:6380/3', { host: 'redis', port: 6380, db: 3, username: 'user', password: 'p@ss' }],
    ['redis://:secret@127.0.0.1', { host: '127.0.0.1', password: 'secret' }],
    ['redis://[::1]:6379', { host: '::1', port: 6379, family: 0 }],
    ['rediss://redis.example.com', { host: 'redis.example.com', tls: { servername: 'redis.example.com' } }],
    ['rediss://[::1]:6380', { host: '::1', tls: {} }],
    ['unix:///run/redis.sock?db=1', { path: '/run/redis.sock', db: 1 }],
    ['redis+unix:///run/redis.sock?username=a&password=b', { path: '/run/redis.sock', username: 'a', password: 'b' }],
  ])('%s is understood', (url, options) => {
    expect(redisOptions(url)).toMatchObject(options);
  });
});

describe.skipIf(serversLacking !== undefined)('Redis that rejects a node', () => {
  let redis: OwnRedis;
  let admin: Redis;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'parley-redis-'));
    // Redis runs as another user.
    await chmod(folder, 0o755);
    redis = await startRedis(folder, ['--unixsocket', `${folder}/redis/socket`, '--unixsocketperm', '777']);
    // It stays signed in when the password changes.
    admin = new Redis(redis.url);
    atEnd(async () => {
      admin.disconnect();
      await redis.kill();
      await rm(folder, { recursive: true });
    });
  });

  /** Events over Redis with one subscribed channel, and the lines that are logged at level warn. */
  function open(url: string, prefix: string) {
    const warnings: { role: string; reason: string }[] = [];
    const log = createLog(
      'warn',
      new Writable({
        write(line, _encoding, done) {
          warnings.push(JSON.parse(String(line)));
          done();
        },
      }),
    );
    const engine = openRedisEvents(optionsOf(url), prefix, log);
    atEnd(() => engine.close());
    const received: string[] = [];
    void engine.subscribe('talk', (text) => received.push(text));
    const receives = async (what: string) => {
      await engine.publish('talk', what);
      await eventually(`${what} is received`, () => received.includes(what));
    };
    return { engine, receives, warnings, log };
  }
  const isConnected = (engine: EventEngine) => eventually('it is connected', () => engine.connected);
  const isAway = (engine: EventEngine) => eventually('it is away', () => !engine.connected);
  const reasonsOf = (warnings: { role: string; reason: string }[]) =>
    warnings
      .filter(({ reason }) => reason === 'authentication' || reason === 'permission')
      .map(({ role, reason }) => `${role} ${reason}`)
      .sort();
  /** Closes all connections except that of the admin. */
  const cut = () => admin.client('KILL', 'SKIPME', 'yes');

  it('does not stop the node when the password is changed, is logged once, and is used again after recovery', async () => {
    await admin.call('ACL', 'SETUSER', 'node', 'on', '>first', '~*', '&*', '+@all');
    const url = redis.url.replace('//', '//node:first@');
    const { engine, receives, warnings, log } = open(url, 'rotated');
    const rates = openRateStore({ options: optionsOf(url), prefix: 'rotated' }, log);
    atEnd(() => rates.close());
    await isConnected(engine);
    await receives('before');
    await admin.call('ACL', 'SETUSER', 'node', 'resetpass', '>second');
    await cut();
    await isAway(engine);
    await eventually('all say why', () => reasonsOf(warnings).length >= 3);
    await rates.rate('tries', 'Too many.', { count: 1, perMs: 1_000 }).take('somebody');
    await admin.call('ACL', 'SETUSER', 'node', 'resetpass', '>first');
    await isConnected(engine);
    await receives('after');
    expect(reasonsOf(warnings)).toEqual([
      'publisher authentication',
      'rates authentication',
      'subscriber authentication',
    ]);
  });

  it('does not stop the node when channels are not permitted, and is used again when they are', async () => {
    await admin.call('ACL', 'SETUSER', 'deaf', 'on', '>secret', '~*', 'resetchannels', '&other:*', '+@all');
    const { engine, receives, warnings } = open(redis.url.replace('//', '//deaf:secret@'), 'denied');
    await eventually('both say why', () => reasonsOf(warnings).length >= 2);
    expect(engine.connected).toBe(false);
    expect(reasonsOf(warnings)).toEqual(['publisher permission', 'subscriber permission']);
    await admin.call('ACL', 'SETUSER', 'deaf', '&denied:*');
    await isConnected(engine);
    await receives('after');
  });

  it('does not stop the node when channels are no longer permitted, and is used again when they are', async () => {
    const permit = (...rules: string[]) => admin.call('ACL', 'SETUSER', 'limited', 'resetchannels', ...rules);
    // A rejection that nobody handles would end the process.
    const unhandled: unknown[] = [];
    const onRejection = (reason: unknown) => void unhandled.push(reason);
    process.on('unhandledRejection', onRejection);
    onTestFinished(() => void process.off('unhandledRejection', onRejection));
    await permit('on', '>secret', '~*', '&withdrawn:*', '+@all');
    const { engine, receives, warnings } = open(redis.url.replace('//', '//limited:secret@'), 'withdrawn');
    await isConnected(engine);
    await receives('before');
    // Redis then closes connections with subscriptions that are no longer permitted.
    await permit();
    await eventually('both say why', () => reasonsOf(warnings).length >= 2);
    expect(reasonsOf(warnings)).toEqual(['publisher permission', 'subscriber permission']);
    await permit('&withdrawn:*');
    await isConnected(engine);
    await receives('after');
    expect(unhandled).toEqual([]);
  });

  it('is reached over a Unix socket', async () => {
    const { engine, receives } = open(`unix://${folder}/redis/socket?db=1`, 'socket');
    await isConnected(engine);
    await receives('over the socket');
  });

  it('causes a clear error at startup, and none if it cannot be reached', async () => {
    await admin.call('ACL', 'SETUSER', 'mute', 'on', '>secret', '~*', 'resetchannels', '+@all');
    const as = (account: string) => redis.url.replace('//', `//${account}@`);
    for (const [url, reason] of [
      [`${redis.url}/99`, /^REDIS_URL: Redis rejects this node: .*DB index/],
      [as('nobody:secret'), /^REDIS_URL: Redis rejects this node: WRONGPASS/],
      [as('mute:secret'), /^REDIS_URL: Redis rejects this node: .*needs access to the channels parley:\*/],
      [redis.url.replace('redis:', 'rediss:'), undefined],
      [`redis://127.0.0.1:${await freePort()}`, undefined],
      ['redis://no-such-host.invalid', undefined],
    ] as const) {
      const probe = probeRedis(optionsOf(url), 'parley');
      if (reason === undefined) await probe.catch((error: Error) => expect(error.message).toMatch(/^REDIS_URL: /));
      else await expect(probe).rejects.toThrow(reason);
    }
  });

  it('is reached over TLS if its authority is trusted, and causes an error with REDIS_URL otherwise', async () => {
    const tls = await mkdtemp(join(tmpdir(), 'parley-tls-'));
    atEnd(() => rm(tls, { recursive: true }));
    const made = await exec('openssl', [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
      ...[
        '-addext',
        'subjectAltName=DNS:localhost,IP:127.0.0.1',
        '-keyout',
        join(tls, 'key'),
        '-out',
        join(tls, 'cert'),
      ],
    ]).catch(() => undefined);
    if (!made) return console.log('There is no openssl: Redis over TLS is not tested.');
    await exec('chmod', ['-R', 'a+rX', tls]);
    const port = await freePort();
    const files = [
      '--tls-cert-file',
      join(tls, 'cert'),
      '--tls-key-file',
      join(tls, 'key'),
      '--tls-auth-clients',
      'no',
    ];
    const server = await startRedis(tls, ['--tls-port', String(port), ...files]).catch(() => undefined);
    if (!server) return console.log('This Redis was built without TLS, which is not tested.');
    atEnd(() => server.kill());
    const options = optionsOf(`rediss://127.0.0.1:${port}`);
    await expect(probeRedis(options, 'parley')).rejects.toThrow(/^REDIS_URL: .*self.signed certificate/);
    // A process reads the trusted certificates when it starts.
    const module = (name: string) => JSON.stringify(resolve(`dist/infra/${name}.js`));
    const script = `
      const { openRedisEvents } = await import(${module('events')});
      const { createLog } = await import(${module('telemetry/log')});
      const engine = openRedisEvents(${JSON.stringify(options)}, 'tls', createLog('silent'));
      await engine.subscribe('talk', (text) => { console.log(text); process.exit(0); });
      engine.onConnected(() => engine.publish('talk', 'over TLS'));`;
    const { stdout } = await exec(process.execPath, ['--input-type=module', '-e', script], {
      env: { PATH: process.env['PATH'], NODE_EXTRA_CA_CERTS: join(tls, 'cert') },
      timeout: 60_000,
    });
    expect(stdout).toBe('over TLS\n');
  });
});
