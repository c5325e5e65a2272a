import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { decodeGlobalId } from '../../src/core/ids.js';
import { trimChangeLog } from '../../src/realtime/change-log.js';
import type { RunningNode } from '../../src/server/start.js';
import {
  connectInTest,
  eventually,
  type Json,
  type Listening,
  listen,
  type Person,
  registerAll,
} from '../support/client.js';
import { startLossyRedis } from '../support/lossy-redis.js';
import { footings, makePlace, servicesFound, startTwo } from '../support/place.js';
import { PRESENCE, statusesOf, untilStatus } from '../support/presence.js';
import { attempt, openDirect } from '../support/talk.js';

const CONTACTS = `subscription ($after: String) {
  contacts(after: $after) { type cursor replayed changeSeq user { id viewerIsContact viewerHasBlocked } }
}`;
const SYNC_CURSOR = '{ viewer { syncCursor } }';

/** Resolves when it listens. */
async function follow(person: Person, url: string): Promise<Listening> {
  const stream = listen(connectInTest(url, person.token), CONTACTS, {}, 'contacts');
  await stream.until(({ type }) => type === 'CAUGHT_UP');
  return stream;
}
async function watch(person: Person, url: string): Promise<Listening> {
  const stream = listen(connectInTest(url, person.token), PRESENCE, {}, 'presence');
  await untilStatus(stream, person, 'ONLINE');
  return stream;
}
const changesOf = ({ events }: Listening): Json[] => events.filter(({ user }) => user !== null);
/** What was delivered, as short as it can be. */
const delivered = (stream: Listening): string[] =>
  changesOf(stream).map(({ type, user }) => `${type} ${user.viewerIsContact} ${user.viewerHasBlocked}`);
const untilDelivered = (stream: Listening, count: number) =>
  eventually(`${count} were delivered`, () => changesOf(stream).length === count);
/** Resumes; resolves with what was missed when that is delivered. */
async function missedBy(person: Person, url: string, after: string): Promise<Json[]> {
  const stream = listen(connectInTest(url, person.token), CONTACTS, { after }, 'contacts');
  await stream.until(({ type }) => type === 'CAUGHT_UP');
  return changesOf(stream);
}

const makeAdmin = ({ deps }: RunningNode, { id }: Person) =>
  deps.database.db.user.update({ where: { id: decodeGlobalId(id, 'id').id }, data: { serviceRole: 'ADMIN' } });

/** Each has the other as a contact: nothing else shows them to each other. */
async function befriend(one: Person, two: Person): Promise<void> {
  await attempt(one, 'addContact', { userId: two.id });
  await attempt(two, 'addContact', { userId: one.id });
}

describe.each(footings)('contacts and blocks on the %s footing', (footing) => {
  let node: RunningNode;
  let other: RunningNode;
  beforeAll(async () => {
    // What is told here is told by notices, not found by a look.
    [node, other] = await startTwo(await makePlace(footing), {
      SWEEP_INTERVAL: '1h',
      PRESENCE_GRACE: '300ms',
      PRESENCE_INTERVAL: '300ms',
    });
    await eventually('they hear each other', () => node.deps.bus.connected && other.deps.bus.connected);
  });

  it('are told to one’s other devices, each change once, and to nobody else', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const [own, his] = [await follow(ana, other.url), await follow(bob, other.url)];
    const { id: userId } = bob;
    for (const mutation of ['addContact', 'addContact', 'removeContact', 'removeContact', 'addContact']) {
      await attempt(ana, mutation, { userId });
    }
    for (const mutation of ['blockUser', 'blockUser', 'unblockUser', 'unblockUser']) {
      await attempt(ana, mutation, { userId });
    }
    await attempt(bob, 'blockUser', { userId: ana.id });
    await attempt(ana, 'blockUser', { userId });
    await untilDelivered(own, 6);
    // How it is when it is told, which may be later than what happened.
    expect(delivered(own).map((text) => text.split(' ')[0])).toEqual([
      ...['CONTACT_ADDED', 'CONTACT_REMOVED', 'CONTACT_ADDED'],
      ...['BLOCKED', 'UNBLOCKED', 'BLOCKED'],
    ]);
    expect(delivered(own).at(-1)).toBe('BLOCKED false true');
    expect(own.events.findLast(({ user }) => user)?.user.id).toBe(bob.id);
    expect(changesOf(own).map(({ changeSeq }) => changeSeq)).toEqual([1, 2, 3, 4, 5, 7]);
    await untilDelivered(his, 1);
    expect(changesOf(his).at(-1)).toMatchObject({ type: 'BLOCKED', user: { id: ana.id } });
  });

  it('are told when somebody on them deletes their account', async () => {
    const [ana, bob, carol] = await registerAll(node.url, 'ana', 'bob', 'carol');
    await attempt(ana, 'addContact', { userId: bob.id });
    await attempt(carol, 'blockUser', { userId: bob.id });
    const streams = [await follow(ana, other.url), await follow(carol, other.url)];
    await attempt(bob, 'deleteAccount', { password: bob.password });
    for (const stream of streams) await untilDelivered(stream, 1);
    expect(streams.flatMap(delivered)).toEqual(['CONTACT_REMOVED false false', 'UNBLOCKED false false']);
  });

  it('are resumed on any node: of each person the latest change, as they are now', async () => {
    const [ana, bob, carol] = await registerAll(node.url, 'ana', 'bob', 'carol');
    const after = (await ana.ask(SYNC_CURSOR)).viewer.syncCursor as string;
    await attempt(ana, 'addContact', { userId: bob.id });
    await attempt(ana, 'addContact', { userId: carol.id });
    await attempt(ana, 'blockUser', { userId: bob.id });
    await attempt(carol, 'addContact', { userId: ana.id });
    const missed = await missedBy(ana, other.url, after);
    expect(missed.map(({ type, replayed, user }) => [type, replayed, user.id])).toEqual([
      ['CONTACT_ADDED', true, carol.id],
      ['BLOCKED', true, bob.id],
    ]);
    expect(missed.map(({ user }) => [user.viewerIsContact, user.viewerHasBlocked])).toEqual([
      [true, false],
      [false, true],
    ]);
    expect(await missedBy(carol, other.url, after)).toMatchObject([{ type: 'CONTACT_ADDED', user: { id: ana.id } }]);
    expect(await missedBy(bob, other.url, after)).toEqual([]);
  });

  it('cannot be resumed from a cursor that the log does not reach back to', async () => {
    // On a database of its own: the cursors of the other tests are as old as the start of their nodes.
    const { url, deps } = await (await makePlace(footing)).start({ SWEEP_INTERVAL: '1h' });
    const [ana, bob] = await registerAll(url, 'ana', 'bob');
    const after = (await ana.ask(SYNC_CURSOR)).viewer.syncCursor as string;
    await attempt(ana, 'addContact', { userId: bob.id });
    await eventually('that is trimmed', async () => (await trimChangeLog(deps.database.db, 0)) > 0);
    const stream = listen(connectInTest(url, ana.token), CONTACTS, { after }, 'contacts');
    const [error] = (await stream.ended) as Json[];
    expect(error.extensions).toMatchObject({ code: 'CURSOR_EXPIRED', field: 'after' });
  });

  it('end with the session', async () => {
    const [ana] = await registerAll(node.url, 'ana');
    const stream = await follow(ana, other.url);
    await attempt(ana, 'logout', {});
    await stream.ended;
  });

  it('show and hide people on streams that run, as suspensions and deletions do', async () => {
    const [ana, bob, carol, dave, admin] = await registerAll(node.url, 'ana', 'bob', 'carol', 'dave', 'admin');
    await makeAdmin(node, admin);
    const stream = await watch(ana, other.url);
    for (const person of [bob, carol, dave]) {
      await befriend(ana, person);
      await untilStatus(stream, person, 'OFFLINE');
    }
    const isHidden = (person: Person) => stream.until(() => statusesOf(stream, person).at(-1) === null);
    await attempt(bob, 'removeContact', { userId: ana.id });
    await isHidden(bob);
    await attempt(admin, 'suspendUser', { userId: carol.id });
    await isHidden(carol);
    await attempt(admin, 'unsuspendUser', { userId: carol.id });
    await untilStatus(stream, carol, 'OFFLINE');
    await attempt(dave, 'deleteAccount', { password: dave.password });
    await isHidden(dave);
  });
});

describe.skipIf(!servicesFound)('contacts and blocks of which no notice arrives', () => {
  let a: RunningNode;
  let b: RunningNode;
  let lossy: Awaited<ReturnType<typeof startLossyRedis>>;
  beforeAll(async () => {
    const place = await makePlace('postgresql');
    const { port } = new URL(inject('services')?.redisUrl ?? '');
    lossy = await startLossyRedis(Number(port || 6379), (message) => message.includes(':changes\r\n'));
    const settings = { PRESENCE_GRACE: '300ms', PRESENCE_INTERVAL: '300ms' };
    a = await place.start(settings);
    b = await place.start({ ...settings, REDIS_URL: lossy.url });
    await eventually('they hear each other', () => a.deps.bus.connected && b.deps.bus.connected);
  });
  afterAll(() => lossy.close());

  it('are found, each once', async () => {
    const [ana, bob, carol, dave, admin] = await registerAll(a.url, 'ana', 'bob', 'carol', 'dave', 'admin');
    await makeAdmin(a, admin);
    const stream = await follow(ana, b.url);
    const people = await watch(ana, b.url);
    const isHidden = (person: Person) => people.until(() => statusesOf(people, person).at(-1) === null);
    for (const person of [bob, carol, dave]) {
      await befriend(ana, person);
      await untilStatus(people, person, 'OFFLINE');
    }
    await openDirect(ana, bob);
    await attempt(bob, 'blockUser', { userId: ana.id });
    await isHidden(bob);
    await attempt(admin, 'suspendUser', { userId: carol.id });
    await isHidden(carol);
    await attempt(ana, 'removeContact', { userId: dave.id });
    await isHidden(dave);
    await untilDelivered(stream, 4);
    expect(changesOf(stream).map(({ type, user }: Json) => [type, user.id])).toEqual([
      ['CONTACT_ADDED', bob.id],
      ['CONTACT_ADDED', carol.id],
      ['CONTACT_ADDED', dave.id],
      ['CONTACT_REMOVED', dave.id],
    ]);
    expect(lossy.lost).toBeGreaterThan(0);
  });

  it('are exchanged with nodes of the previous release, which have a table of their own for them', async () => {
    const [ana, bob, carol] = await registerAll(a.url, 'ana', 'bob', 'carol');
    const { db } = a.deps.database;
    const stream = await follow(ana, b.url);
    const people = await watch(ana, b.url);
    await befriend(ana, bob);
    await untilStatus(people, bob, 'OFFLINE');
    const [anaId, bobId, carolId] = [ana, bob, carol].map(({ id }) => decodeGlobalId(id, 'id').id) as [
      string,
      string,
      string,
    ];
    // As those nodes do it.
    await db.$transaction([
      db.contact.create({ data: { ownerId: anaId, userId: carolId } }),
      db.contact.deleteMany({ where: { ownerId: bobId, userId: anaId } }),
      db.$executeRaw`
        INSERT INTO standing_changes (user_id, type, about_id) VALUES
        (${anaId}::uuid, 'CONTACT_ADDED', ${carolId}::uuid), (${carolId}::uuid, NULL, NULL),
        (${bobId}::uuid, 'CONTACT_REMOVED', ${anaId}::uuid), (${anaId}::uuid, NULL, NULL)`,
    ]);
    await untilDelivered(stream, 2);
    expect(changesOf(stream)[1]).toMatchObject({ type: 'CONTACT_ADDED', user: { id: carol.id }, changeSeq: 3 });
    await people.until(() => statusesOf(people, bob).at(-1) === null);
    // What they read of this one's: in the order of writing, with nothing of their own twice.
    const rows = await db.standingChange.findMany({ where: { userId: anaId }, orderBy: { changedAt: 'asc' } });
    expect(rows.map(({ type, isCopy }) => [type, isCopy])).toEqual([
      ['CONTACT_ADDED', true],
      [null, true],
      ['CONTACT_ADDED', false],
      [null, false],
    ]);
  });
});
