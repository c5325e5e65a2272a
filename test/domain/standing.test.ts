import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { decodeGlobalId } from '../../src/core/ids.js';
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

const CONTACTS = 'subscription { contacts { type user { id viewerIsContact viewerHasBlocked } } }';

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
/** What was told, as short as it can be. */
const told = ({ events }: Listening): string[] =>
  events.slice(1).map(({ type, user }) => `${type} ${user.viewerIsContact} ${user.viewerHasBlocked}`);
const toldTimes = (stream: Listening, count: number) =>
  eventually(`${count} were told`, () => stream.events.length === count + 1);

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
    await eventually('they hear each other', () => node.deps.eventsConnected() && other.deps.eventsConnected());
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
    await toldTimes(own, 6);
    // How it is when it is told, which may be later than what happened.
    expect(told(own).map((text) => text.split(' ')[0])).toEqual([
      ...['CONTACT_ADDED', 'CONTACT_REMOVED', 'CONTACT_ADDED'],
      ...['BLOCKED', 'UNBLOCKED', 'BLOCKED'],
    ]);
    expect(told(own).at(-1)).toBe('BLOCKED false true');
    expect(own.events.at(-1)?.user.id).toBe(bob.id);
    await toldTimes(his, 1);
    expect(his.events.at(-1)).toMatchObject({ type: 'BLOCKED', user: { id: ana.id } });
  });

  it('are told when somebody on them deletes their account', async () => {
    const [ana, bob, carol] = await registerAll(node.url, 'ana', 'bob', 'carol');
    await attempt(ana, 'addContact', { userId: bob.id });
    await attempt(carol, 'blockUser', { userId: bob.id });
    const streams = [await follow(ana, other.url), await follow(carol, other.url)];
    await attempt(bob, 'deleteAccount', { password: bob.password });
    for (const stream of streams) await toldTimes(stream, 1);
    expect(streams.flatMap(told)).toEqual(['CONTACT_REMOVED false false', 'UNBLOCKED false false']);
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
    lossy = await startLossyRedis(Number(port || 6379), (message) => message.includes(':standings\r\n'));
    const settings = { PRESENCE_GRACE: '300ms', PRESENCE_INTERVAL: '300ms' };
    a = await place.start(settings);
    b = await place.start({ ...settings, REDIS_URL: lossy.url });
    await eventually('they hear each other', () => a.deps.eventsConnected() && b.deps.eventsConnected());
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
    await toldTimes(stream, 4);
    expect(stream.events.slice(1).map(({ type, user }: Json) => [type, user.id])).toEqual([
      ['CONTACT_ADDED', bob.id],
      ['CONTACT_ADDED', carol.id],
      ['CONTACT_ADDED', dave.id],
      ['CONTACT_REMOVED', dave.id],
    ]);
    expect(lossy.lost).toBeGreaterThan(0);
  });
});
