import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { register } from '../support/client.js';
import {
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
  subscribe,
  within,
} from '../support/fleet.js';
import { type OwnServers, serversLacking } from '../support/servers.js';
import { createGroup } from '../support/talk.js';

/** Of a cursor, the run of the server that it has seen. */
const epochOf = (cursor: string) => Buffer.from(cursor, 'base64url').toString().split('/')[1];
const EXPIRED = ['CURSOR_EXPIRED'];

describe.skipIf(serversLacking !== undefined)('a database that is restored', () => {
  let servers: OwnServers;
  beforeAll(async () => {
    servers = await ownServers();
  });

  /** Two nodes that are started again when they end with 75, as a supervisor does; two people and their group. */
  async function makePlace() {
    const fleet = await makeFleet(servers);
    const [a, b] = await Promise.all([fleet.add(), fleet.add()]);
    const alice = await register(a.url, 'alice');
    const bob = await register(b.url, 'bob');
    const group = await createGroup(alice, [bob]);
    const sender = makeSender(alice, group, [a.url, b.url]);
    const cursors = new Set<string>();
    const follow = () => subscribe(bob, () => b.url);
    /** Sends, and keeps every cursor that a subscriber gets meanwhile. */
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
    return { fleet, a, b, alice, bob, group, sender, cursors, live };
  }

  const supervise = (node: NodeProcess) =>
    void node.exited().then((status) => (status === 75 ? node.start().then(() => supervise(node)) : undefined));

  const bothReady = async (a: NodeProcess, b: NodeProcess) => (await isReady(a.url)) && (await isReady(b.url));

  it('from an older copy of its files: no cursor of what is lost is resumed, no stream goes on over it', {
    timeout: 120_000,
  }, async () => {
    const { a, b, bob, group, sender, cursors, live } = await makePlace();
    for (const node of [a, b]) supervise(node);
    await live(5);
    await servers.postgres.stop('fast');
    await servers.postgres.keepCopy();
    await servers.postgres.start();
    await within(10_000, 'the nodes are ready', () => bothReady(a, b));
    const shared = [...cursors];
    // Until a sweep has come to the new run of the server, cursors are of the past that the copy has too.
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

    // Again as many, and more: change numbers and transactions that clients have seen are used a second time.
    const again = await Promise.all(lost.map((_, index) => sender.send(`after the restore ${index}`)));
    expect(again.map(({ seq }) => seq).sort((x, y) => x - y)).toEqual(lost.map(({ seq }) => seq).sort((x, y) => x - y));
    for (const _ of range(1, 5)) await sender.send('one more');
    await within(10_000, `the stream has ended: ${subscriber.codes}`, () => subscriber.codes.length > 0);
    expect(subscriber.codes).toEqual(EXPIRED);
    for (const after of cursors) {
      const late = subscribe(bob, () => b.url, { after });
      await within(5_000, 'it is refused', () => late.codes.length > 0 || late.caughtUp > 0);
      expect([late.codes, late.events]).toEqual([EXPIRED, []]);
    }
    for (const after of shared) {
      const early = subscribe(bob, () => b.url, { after });
      await within(5_000, 'it is told', () => early.codes.length > 0 || early.caughtUp > 0);
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
    const { fleet, a, b, bob, sender, cursors, live } = await makePlace();
    for (const node of [a, b]) supervise(node);
    const url = fleet.env['DATABASE_URL'] ?? '';
    const dump = join(servers.postgres.folder, 'dump');
    await live(form(5, 50));
    await servers.postgres.run('pg_dump', ['-Fc', '-f', dump, url]);
    const subscriber = await live(form(5, 50));
    const before = [a, b].map(({ child }) => child.pid);
    await servers.postgres.run('pg_restore', ['--clean', '--if-exists', '--single-transaction', '-d', url, dump]);
    await within(
      20_000,
      () => `the nodes were started again: ${a.output()}`,
      async () =>
        a.child.pid !== before[0] && b.child.pid !== before[1] && (await isReady(a.url)) && (await isReady(b.url)),
    );
    await within(10_000, `the stream has ended: ${subscriber.codes}`, () => subscriber.codes.length > 0);
    for (const _ of range(1, 10)) await sender.send('after the restore');
    for (const after of cursors) {
      const late = subscribe(bob, () => b.url, { after });
      await within(5_000, 'it is refused', () => late.codes.length > 0 || late.caughtUp > 0);
      expect([late.codes, late.events]).toEqual([EXPIRED, []]);
    }
    expect(subscriber.codes).toEqual(EXPIRED);
    figure('restored from an older dump', { cursors: cursors.size, expired: cursors.size });
  });
});
