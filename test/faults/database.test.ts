import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/app/config.js';
import { Prisma } from '../../src/generated/prisma/client.js';
import { createLog } from '../../src/infra/telemetry/log.js';
import { type RunningNode, startNode } from '../../src/server/start.js';
import { eventually, register } from '../support/client.js';
import { atEnd } from '../support/ending.js';
import { figure, form, subscribe, within } from '../support/fleet.js';
import { makePlace, servicesFound } from '../support/place.js';
import { startProxy } from '../support/proxy.js';
import { query } from '../support/services.js';
import { createGroup, send, trySend } from '../support/talk.js';

describe.skipIf(!servicesFound)('a PostgreSQL server that misbehaves', () => {
  /** Starts a node whose log the test can read. */
  async function startLogged(env: Record<string, string>) {
    const lines: { level: number; msg: string }[] = [];
    const log = createLog(
      'info',
      new Writable({
        write(chunk, _encoding, done) {
          lines.push(JSON.parse(String(chunk)));
          done();
        },
      }),
    );
    const node: RunningNode = await startNode(
      readConfig({ NODE_ENV: 'test', PORT: '0', BCRYPT_COST: '4', RATE_LIMITS: 'off', SYSTEM_MESSAGES: 'off', ...env }),
      log,
    );
    atEnd(() => node.stop());
    const said = (text: string) => lines.filter(({ msg }) => msg.includes(text)).length;
    const ready = async () => {
      const response = await fetch(node.url.replace('/graphql', '/ready'));
      return { ...((await response.json()) as { database: string; sweep: string }), status: response.status };
    };
    return { node, said, ready };
  }

  async function makeTalk(url: string) {
    const [alice, bob] = [await register(url, 'alice'), await register(url, 'bob')];
    return { alice, bob, group: await createGroup(alice, [bob]) };
  }

  it('stops responding: the node replaces its connections, and delivers changes without wake-ups', {
    timeout: 120_000,
  }, async () => {
    const place = await makePlace('postgresql');
    const direct = new URL(place.env['DATABASE_URL'] as string);
    const proxy = await startProxy(Number(direct.port || 5432));
    const proxied = new URL(direct);
    proxied.port = String(proxy.port);
    const timeout = form('2s', '20s');
    const { node, ready } = await startLogged({
      ...place.env,
      DATABASE_URL: proxied.href,
      DATABASE_STATEMENT_TIMEOUT: timeout,
    });
    // A second node, whose wake-ups do not reach the first.
    const other = await place.start({ REDIS_PREFIX: `${place.env['REDIS_PREFIX']}_other` });
    const { alice, bob, group } = await makeTalk(node.url);
    const subscriber = subscribe(bob, () => node.url);
    await within(5_000, 'it is live', () => subscriber.caughtUp > 0);
    // Several connections are open and idle.
    await Promise.all(Array.from({ length: 8 }, () => node.deps.database.sql.query(Prisma.sql`SELECT pg_sleep(0.1)`)));
    const silentAt = Date.now();
    proxy.swallow();
    const sent = await send(alice.at(other.url), group, 'without a wake-up');
    const limit = form(6_000, 40_000);
    await within(limit, 'it came', () => subscriber.cameAt.has(sent.id));
    const deliveredMs = Date.now() - silentAt;
    const began = Date.now();
    await within(limit, 'the node sends', async () => (await trySend(alice, group, 'as ever')).errors === undefined);
    await within(limit, 'it is ready', async () => (await ready()).status === 200);
    figure('connections to PostgreSQL fall silent', { timeout, deliveredMs, sendsAgainAfterMs: Date.now() - began });
    expect(subscriber.codes).toEqual([]);
  });

  it('is read-only: writes are UNAVAILABLE, /ready reports it, and it is logged once', async () => {
    const place = await makePlace('postgresql');
    const url = place.env['DATABASE_URL'] as string;
    const name = new URL(url).pathname.slice(1);
    const { node, said, ready } = await startLogged(place.env);
    const { alice, group } = await makeTalk(node.url);
    expect(await ready()).toMatchObject({ status: 200, database: 'ok', sweep: 'ok' });
    const setReadOnly = (value: 'on' | 'off') =>
      query(
        url,
        `BEGIN READ WRITE; ALTER DATABASE ${name} SET default_transaction_read_only = ${value}; COMMIT;
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
      );
    await setReadOnly('on');
    await eventually('the node is not ready', async () => (await ready()).database === 'read-only');
    expect((await ready()).status).toBe(503);
    for (let tries = 0; tries < 5; tries += 1) {
      const [error] = (await trySend(alice, group, 'in vain')).errors ?? [];
      expect(error?.extensions).toMatchObject({ code: 'UNAVAILABLE', retryAfterMs: 1_000 });
    }
    const { data } = await alice.request('{ viewer { user { id } } }');
    expect(data.viewer.user.id).toBe(alice.id);
    expect([said('read-only or a standby'), said('database unreachable'), said('unexpected error')]).toEqual([1, 0, 0]);
    await setReadOnly('off');
    await eventually('the database accepts writes', async () => (await ready()).status === 200);
    await send(alice, group, 'as ever');
    expect(said('accepts writes again')).toBe(1);
  });

  it('has a full disk: writes are UNAVAILABLE, /ready reports it, and it is logged once', async () => {
    const place = await makePlace('postgresql');
    const url = place.env['DATABASE_URL'] as string;
    const { node, said } = await startLogged(place.env);
    const { alice, group } = await makeTalk(node.url);
    await query(
      url,
      `CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN RAISE EXCEPTION ''could not extend file: No space left on device'' USING ERRCODE = ''disk_full''; END';
       CREATE TRIGGER no_room BEFORE INSERT ON messages FOR EACH STATEMENT EXECUTE FUNCTION no_room()`,
    );
    for (let tries = 0; tries < 5; tries += 1) {
      const [error] = (await trySend(alice, group, 'in vain')).errors ?? [];
      expect(error?.extensions).toMatchObject({ code: 'UNAVAILABLE', retryAfterMs: 1_000 });
    }
    expect([said('disk of the database is full'), said('database unreachable'), said('unexpected error')]).toEqual([
      1, 0, 0,
    ]);
    await query(url, 'DROP TRIGGER no_room ON messages');
    await send(alice, group, 'as ever');
    // The node checks whether a file can be written.
    expect(await node.deps.database.check()).toBe('ok');
    expect(said('accepts writes again')).toBe(1);
  });

  it('is behind a pooler that loses prepared statements: the log names DATABASE_PREPARED, and sends succeed', async () => {
    const place = await makePlace('postgresql');
    const { node, said } = await startLogged({ ...place.env, DATABASE_POOL_MAX: '2' });
    const { alice, group } = await makeTalk(node.url);
    let error: { extensions: object } | undefined;
    await eventually('a send uses a connection without its prepared statements', async () => {
      await send(alice, group, 'prepared');
      // The pool of the node uses its last connection next. Deallocating its statements has the same effect as a pooler.
      await node.deps.database.sql.query(Prisma.sql`DEALLOCATE ALL`);
      [error] = (await trySend(alice, group, 'maybe lost')).errors ?? [];
      return error !== undefined;
    });
    expect(error?.extensions).toMatchObject({ code: 'UNAVAILABLE', retryAfterMs: 1_000 });
    await send(alice, group, 'as ever');
    expect(said('DATABASE_PREPARED=off')).toBe(1);
  });
});
