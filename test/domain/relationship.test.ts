import { beforeAll, describe, expect, it } from 'vitest';
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
import {
  changesOf,
  follower,
  rowId,
  startWithLostWakeUps,
  syncCursorOf,
  untilDelivered,
} from '../support/durable-streams.js';
import type { LossyRedis } from '../support/lossy-redis.js';
import { scrape } from '../support/metrics.js';
import { inOneMode, makePlace, modes, servicesFound, startTwo, waitingFor } from '../support/place.js';
import { PRESENCE, statusesOf, untilStatus } from '../support/presence.js';
import { attempt, openDirect } from '../support/talk.js';

const CONTACTS = `subscription ($after: String) {
  contacts(after: $after) { type cursor replayed changeSeq user { id viewerIsContact viewerHasBlocked } }
}`;

const follow = follower('contacts', CONTACTS);
async function watch(person: Person, url: string): Promise<Listening> {
  const stream = listen(connectInTest(url, person.token), PRESENCE, {}, 'presence');
  await untilStatus(stream, person, 'ONLINE');
  return stream;
}
/** The delivered changes as short texts. */
const delivered = (stream: Listening): string[] =>
  changesOf(stream).map(({ type, user }) => `${type} ${user.viewerIsContact} ${user.viewerHasBlocked}`);
/** Resumes a stream, and returns the missed changes. */
const missedBy = async (person: Person, url: string, after: string): Promise<Json[]> =>
  changesOf(await follow(person, url, after));

const makeAdmin = ({ deps }: RunningNode, { id }: Person) =>
  deps.database.db.user.update({ where: { id: rowId(id) }, data: { serviceRole: 'ADMIN' } });

/** Makes two users each other's contacts, so that each can see the presence of the other. */
async function befriend(one: Person, two: Person): Promise<void> {
  await attempt(one, 'addContact', { userId: two.id });
  await attempt(two, 'addContact', { userId: one.id });
}

describe.each(modes)('contacts and blocks in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  beforeAll(async () => {
    // With this interval, events are delivered by wake-ups and not by the sweep.
    [node, other] = await startTwo(await makePlace(mode), {
      SWEEP_INTERVAL: '1h',
      METRICS_PORT: '0',
      PRESENCE_GRACE: '300ms',
      PRESENCE_INTERVAL: '300ms',
    });
  });

  it('delivers each change once to the other devices of the user, and to nobody else', async () => {
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
    // Events contain the state when they are delivered, which can be later than the change.
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

  itOnce('delivers an event when a contact or a blocked user deletes their account', async () => {
    const [ana, bob, carol] = await registerAll(node.url, 'ana', 'bob', 'carol');
    await attempt(ana, 'addContact', { userId: bob.id });
    await attempt(carol, 'blockUser', { userId: bob.id });
    const streams = [await follow(ana, other.url), await follow(carol, other.url)];
    await attempt(bob, 'deleteAccount', { password: bob.password });
    for (const stream of streams) await untilDelivered(stream, 1);
    expect(streams.flatMap(delivered)).toEqual(['CONTACT_REMOVED false false', 'UNBLOCKED false false']);
  });

  it.runIf(mode === 'postgresql')(
    'removes a contact whose account is deleted while it is being added, without a deadlock',
    async () => {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const stream = await follow(ana, other.url);
      const { db } = node.deps.database;
      const deadlocks = async () => (await scrape(node)).value('parley_database_deadlocks_total');
      const before = await deadlocks();
      let adding: Promise<Json> = Promise.resolve();
      let deleting: Promise<Json> = Promise.resolve();
      await db.$transaction(
        async (tx) => {
          // Adding the contact waits for this row, after it has read that he has an account.
          await tx.$queryRaw`
          INSERT INTO personal_logs (user_id, change_seq) VALUES (${rowId(ana.id)}::uuid, 0)`;
          adding = attempt(ana, 'addContact', { userId: bob.id });
          await waitingFor(node, 1);
          deleting = attempt(bob, 'deleteAccount', { password: bob.password });
          await Promise.race([waitingFor(node, 2), deleting]);
        },
        { timeout: 20_000 },
      );
      expect(await Promise.all([adding, deleting])).toMatchObject([{}, {}]);
      expect((await ana.ask('{ viewer { contacts { totalCount } } }')).viewer.contacts.totalCount).toBe(0);
      await untilDelivered(stream, 2);
      expect(changesOf(stream).map(({ type }) => type)).toEqual(['CONTACT_ADDED', 'CONTACT_REMOVED']);
      expect(await deadlocks()).toBe(before);
    },
  );

  it('resumes on any node with the latest change of each user', async () => {
    const [ana, bob, carol] = await registerAll(node.url, 'ana', 'bob', 'carol');
    const after = await syncCursorOf(ana);
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

  itOnce('fails with CURSOR_EXPIRED if changes after the cursor have been trimmed', async () => {
    // On a database of its own: the cursors of the other tests are as old as the start of their nodes.
    const { url, deps } = await (await makePlace(mode)).start({ SWEEP_INTERVAL: '1h' });
    const [ana, bob] = await registerAll(url, 'ana', 'bob');
    const after = await syncCursorOf(ana);
    await attempt(ana, 'addContact', { userId: bob.id });
    await eventually('the change is trimmed', async () => (await trimChangeLog(deps.database.db, 0)) > 0);
    const stream = listen(connectInTest(url, ana.token), CONTACTS, { after }, 'contacts');
    const [error] = (await stream.ended) as Json[];
    expect(error.extensions).toMatchObject({ code: 'CURSOR_EXPIRED', field: 'after' });
  });

  itOnce('ends the stream with the session', async () => {
    const [ana] = await registerAll(node.url, 'ana');
    const stream = await follow(ana, other.url);
    await attempt(ana, 'logout', {});
    await stream.ended;
  });

  it('shows and hides the presence of users on open streams, as suspensions and deletions do', async () => {
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

describe.skipIf(!servicesFound)('contacts and blocks without wake-ups', () => {
  let node: RunningNode;
  let deaf: RunningNode;
  let lossy: LossyRedis;
  beforeAll(async () => {
    const settings = { PRESENCE_GRACE: '300ms', PRESENCE_INTERVAL: '300ms' };
    ({ node, deaf, lossy } = await startWithLostWakeUps(settings));
  });

  it('delivers each change once after the sweep has found it', async () => {
    const [ana, bob, carol, dave, admin] = await registerAll(node.url, 'ana', 'bob', 'carol', 'dave', 'admin');
    await makeAdmin(node, admin);
    const stream = await follow(ana, deaf.url);
    const people = await watch(ana, deaf.url);
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

  it('exchanges changes with nodes of the previous release, which use a table of their own', async () => {
    const [ana, bob, carol] = await registerAll(node.url, 'ana', 'bob', 'carol');
    const { db } = node.deps.database;
    const stream = await follow(ana, deaf.url);
    const people = await watch(ana, deaf.url);
    await befriend(ana, bob);
    await untilStatus(people, bob, 'OFFLINE');
    const [anaId, bobId, carolId] = [ana, bob, carol].map(({ id }) => rowId(id)) as [string, string, string];
    // Writes changes in the way of those nodes.
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
    // The rows that those nodes read: in the order of writing, and none of their own rows twice.
    const rows = await db.standingChange.findMany({ where: { userId: anaId }, orderBy: { changedAt: 'asc' } });
    expect(rows.map(({ type, isCopy }) => [type, isCopy])).toEqual([
      ['CONTACT_ADDED', true],
      [null, true],
      ['CONTACT_ADDED', false],
      [null, false],
    ]);
  });
});
