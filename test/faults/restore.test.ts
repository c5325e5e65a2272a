import { randomBytes } from 'node:crypto';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { type Person, register } from '../support/client.js';
import {
  type Fleet,
  figure,
  form,
  hasAll,
  isReady,
  lacking,
  makeFleet,
  makeSender,
  type NodeProcess,
  ownServers,
  range,
  type Sent,
  subscribe,
  within,
} from '../support/fleet.js';
import { type OwnServers, serversLacking } from '../support/servers.js';
import { createGroup } from '../support/talk.js';

/** The epoch in a cursor. */
const epochOf = (cursor: string) => Buffer.from(cursor, 'base64url').toString().split('/')[1];
const EXPIRED = ['CURSOR_EXPIRED'];

describe.skipIf(serversLacking !== undefined)('a database that is restored', () => {
  let servers: OwnServers;
  beforeAll(async () => {
    servers = await ownServers();
  });

  /** Two users and their group on two nodes. */
  async function makePlace(a: NodeProcess, b: NodeProcess) {
    const alice = await register(a.url, 'alice');
    const bob = await register(b.url, 'bob');
    const group = await createGroup(alice, [bob]);
    const sender = makeSender(alice, group, [a.url, b.url]);
    const cursors = new Set<string>();
    /** The node to which the subscriber connects. */
    const home = { url: b.url };
    const follow = () => subscribe(bob, () => home.url);
    /** Sends messages, and returns all cursors that a subscriber receives meanwhile. */
    const live = async (count: number) => {
      const subscriber = follow();
      await within(5_000, 'it is live', () => subscriber.caughtUp > 0);
      const sent = await Promise.all(range(1, count).map((index) => sender.send(`message ${index}`)));
      await within(5_000, lacking(subscriber, sent), () => hasAll(subscriber, sent));
      await within(5_000, 'a checkpoint came', () => subscriber.checkpoints > 0);
      for (const { cursor } of subscriber.events) cursors.add(cursor);
      cursors.add(subscriber.cursor as string);
      return subscriber;
    };
    return { alice, bob, group, sender, cursors, home, live };
  }

  async function makePair() {
    const fleet = await makeFleet(servers);
    const [a, b] = await Promise.all([fleet.add(), fleet.add()]);
    return { fleet, a, b, ...(await makePlace(a, b)) };
  }

  /** Expects that no stream resumes from these cursors. */
  async function expectExpired(bob: Person, url: string, cursors: Iterable<string>): Promise<void> {
    for (const after of cursors) {
      const late = subscribe(bob, () => url, { after });
      await within(5_000, 'it is refused', () => late.codes.length > 0 || late.caughtUp > 0);
      expect([late.codes, late.events]).toEqual([EXPIRED, []]);
    }
  }

  /** Restarts the node when it exits with status 75. A test that waits for a node fails if it does not start again. */
  const supervise = (node: NodeProcess) =>
    void node
      .exited()
      .then((status) => (status === 75 ? node.start().then(() => supervise(node)) : undefined))
      .catch(() => {});

  const bothReady = async (a: NodeProcess, b: NodeProcess) => (await isReady(a.url)) && (await isReady(b.url));

  it('from an older copy of its files: cursors that contain lost changes expire, and all streams end', {
    timeout: 120_000,
  }, async () => {
    const { a, b, bob, group, sender, cursors, live } = await makePair();
    for (const node of [a, b]) supervise(node);
    await live(5);
    await servers.postgres.stop('fast');
    await servers.postgres.keepCopy();
    await servers.postgres.start();
    await within(10_000, 'the nodes are ready', () => bothReady(a, b));
    const shared = [...cursors];
    // Until a sweep has seen the new run of the server, cursors only contain what the copy contains as well.
    const epochs = new Set(shared.map(epochOf));
    for (const node of [a, b]) {
      await within(5_000, 'it has come to the new run', async () => {
        const { viewer } = await bob.at(node.url).ask('{ viewer { syncCursor } }');
        return !epochs.has(epochOf(viewer.syncCursor));
      });
    }
    cursors.clear();
    const subscriber = await live(form(20, 100));
    const lost = sender.answered.slice(5);
    await servers.postgres.stop('immediate');
    await servers.postgres.putBack();
    await servers.postgres.start();
    await within(20_000, 'the nodes are ready', () => bothReady(a, b));

    // More changes than were lost, so that change numbers and transaction ids that clients have seen are used again.
    const again = await Promise.all(lost.map((_, index) => sender.send(`after the restore ${index}`)));
    expect(again.map(({ seq }) => seq).sort((x, y) => x - y)).toEqual(lost.map(({ seq }) => seq).sort((x, y) => x - y));
    for (const _ of range(1, 5)) await sender.send('one more');
    await within(10_000, `the stream has ended: ${subscriber.codes}`, () => subscriber.codes.length > 0);
    expect(subscriber.codes).toEqual(EXPIRED);
    await expectExpired(bob, b.url, cursors);
    for (const after of shared) {
      const early = subscribe(bob, () => b.url, { after });
      await within(
        5_000,
        'the client receives an event or an error',
        () => early.codes.length > 0 || early.caughtUp > 0,
      );
      if (early.codes.length === 0) expect(hasAll(early, again)).toBe(true);
      else expect([early.codes, early.events]).toEqual([EXPIRED, []]);
    }
    const fresh = subscribe(bob, () => b.url);
    await within(5_000, 'who comes anew is live', () => fresh.caughtUp > 0);
    const sent = await sender.send('as ever');
    await within(5_000, 'it comes', () => hasAll(fresh, [sent]));
    expect(fresh.changes(group).length).toBe(1);
    figure('restored from an older copy of its files', { cursors: cursors.size, expired: cursors.size });
  });

  it('from an older dump into the same cluster: every older cursor expires', { timeout: 120_000 }, async () => {
    const { fleet, a, b, bob, sender, cursors, live } = await makePair();
    for (const node of [a, b]) supervise(node);
    const url = fleet.env['DATABASE_URL'] ?? '';
    const dump = join(servers.postgres.folder, 'dump');
    await live(form(5, 50));
    await servers.postgres.run('pg_dump', ['-Fc', '-f', dump, url]);
    const subscriber = await live(form(5, 50));
    const before = [a, b].map(({ child }) => child.pid);
    // The documentation asks to stop the nodes first. Here they are running, so that the command can deadlock with their
    // statements.
    const restore = () =>
      servers.postgres.run('pg_restore', ['--clean', '--if-exists', '--single-transaction', '-d', url, dump]).then(
        () => true,
        (error: unknown) => {
          if (!String(error).includes('deadlock detected')) throw error;
          return false;
        },
      );
    await within(60_000, 'the dump is restored', restore);
    await within(
      20_000,
      () => `the nodes were started again: ${a.output()}`,
      async () =>
        a.child.pid !== before[0] && b.child.pid !== before[1] && (await isReady(a.url)) && (await isReady(b.url)),
    );
    await within(10_000, `the stream has ended: ${subscriber.codes}`, () => subscriber.codes.length > 0);
    for (const _ of range(1, 10)) await sender.send('after the restore');
    await expectExpired(bob, b.url, cursors);
    expect(subscriber.codes).toEqual(EXPIRED);
    figure('restored from an older dump', { cursors: cursors.size, expired: cursors.size });
  });

  /** The rows of a closed embedded database, by table. */
  async function readEmbedded(folder: string): Promise<Map<string, string>> {
    const database = await PGlite.create(join(folder, 'pg'));
    const tables = await database.query<{ name: string }>(
      `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> '_prisma_migrations'`,
    );
    const rows = new Map<string, string>();
    for (const { name } of tables.rows) {
      const [all] = (await database.query<{ json: string }>(`SELECT json_agg(t)::text AS json FROM "${name}" t`)).rows;
      rows.set(name, all?.json ?? '[]');
    }
    await database.close();
    return rows;
  }

  /** Inserts the rows of a database into another one that a node has created, and starts that node. */
  async function moveTo(
    fleet: Fleet,
    rows: ReadonlyMap<string, string>,
    way: 'replacing existing rows' | 'in addition to existing rows',
  ): Promise<NodeProcess> {
    const node = await fleet.add();
    await node.stop();
    const client = new pg.Client({ connectionString: fleet.env['DATABASE_URL'] });
    await client.connect();
    // Like a dump, not in the order of references.
    await client.query(`SET session_replication_role = replica`);
    if (way === 'replacing existing rows') await client.query(`TRUNCATE ${[...rows.keys()].join()}`);
    for (const [table, json] of rows) {
      await client.query(
        `INSERT INTO "${table}" SELECT * FROM json_populate_recordset(NULL::"${table}", $1) ON CONFLICT DO NOTHING`,
        [json],
      );
    }
    await client.end();
    await node.start();
    supervise(node);
    return node;
  }

  it('by copying the embedded one to PostgreSQL table by table: every older cursor expires', {
    timeout: 120_000,
  }, async () => {
    const folder = join(inject('scratch'), `moved-${randomBytes(4).toString('hex')}`);
    await cp(inject('embeddedTemplate'), folder, { recursive: true });
    // The transaction ids of the embedded database are ahead of those of PostgreSQL.
    const earlier = await PGlite.create(join(folder, 'pg'));
    await earlier.exec('DO $$ BEGIN FOR i IN 1..3000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$');
    await earlier.exec('CHECKPOINT');
    await earlier.close();
    const fleet = await makeFleet(servers);
    const embedded = await fleet.add({ DATABASE_URL: '', REDIS_URL: '', DATA_DIR: folder });
    const { alice, bob, group, sender, cursors, home, live } = await makePlace(embedded, embedded);
    const subscriber = await live(form(10, 100));
    cursors.add((await bob.ask('{ viewer { syncCursor } }')).viewer.syncCursor);
    expect(await embedded.stop()).toBe(0);
    const rows = await readEmbedded(folder);

    const node = await moveTo(fleet, rows, 'replacing existing rows');
    home.url = node.url;
    await within(10_000, `the stream has ended: ${subscriber.codes}`, () => subscriber.codes.length > 0);
    expect(subscriber.codes).toEqual(EXPIRED);
    await expectExpired(bob, node.url, cursors);

    // All messages exist, and new ones can be sent.
    const { pid } = node.child;
    const fresh = subscribe(bob, () => node.url);
    await within(5_000, 'who comes anew is live', () => fresh.caughtUp > 0);
    const here = makeSender(alice, group, [node.url]);
    const sent: Sent[] = [];
    for (const index of range(1, 20)) sent.push(await here.send(`after the move ${index}`));
    expect(sent.map(({ seq }) => seq)).toEqual(range(1, 20).map((index) => sender.answered.length + index));
    await within(5_000, lacking(fresh, sent), () => hasAll(fresh, sent));
    // Two sweeps have confirmed the history of the database.
    await within(5_000, 'a checkpoint came', () => fresh.checkpoints > 0);
    const resumed = subscribe(bob, () => node.url, { after: fresh.cursor as string });
    await within(5_000, 'it resumes', () => resumed.caughtUp > 0);
    const last = [await here.send('as ever')];
    await within(5_000, lacking(resumed, last), () => hasAll(resumed, last));
    const [first = 0] = resumed.changes(group);
    expect(resumed.changes(group)).toEqual(range(first, sender.answered.length + 22));
    expect(node.child.pid).toBe(pid);
    // The row of the first start remains, and must not be taken for the newest one.
    const added = await moveTo(await makeFleet(servers), rows, 'in addition to existing rows');
    await expectExpired(bob, added.url, cursors);
    const there = makeSender(alice, group, [added.url]);
    const late = subscribe(bob, () => added.url);
    await within(5_000, 'who comes anew is live', () => late.caughtUp > 0);
    const more = [await there.send('after the other move')];
    await within(5_000, lacking(late, more), () => hasAll(late, more));
    await within(5_000, 'a checkpoint came', () => late.checkpoints > 0);
    expect(late.connections).toBe(1);
    figure('moved from the embedded one', { cursors: cursors.size, expired: cursors.size });
  });
});
