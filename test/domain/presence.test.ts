import type { Client } from 'graphql-ws';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { connect, eventually, type Json, type Listening, listen, type Person, register } from '../support/client.js';
import { footings, makePlace, servicesFound } from '../support/place.js';
import { PRESENCE, setAvailability, setTyping, statusesOf, untilStatus } from '../support/presence.js';
import { openSse } from '../support/sse.js';
import { createGroup, openDirect } from '../support/talk.js';

const clients: Client[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.dispose()));
});

const watch = (url: string, person: Person, userIds?: string[]): Listening => {
  const client = connect(url, person.token);
  clients.push(client);
  return listen(client, PRESENCE, { userIds }, 'presence');
};

/** A device of somebody's: a socket that is open. */
async function comeOnline(url: string, person: Person): Promise<Client> {
  let opened = () => {};
  const connected = new Promise<void>((resolve) => {
    opened = resolve;
  });
  const client = connect(url, person.token, {
    lazy: false,
    onNonLazyError: () => {},
    on: { connected: () => opened() },
  });
  clients.push(client);
  await connected;
  return client;
}

const presenceOf = async (asker: Person, person: Person) =>
  (await asker.ask('query ($id: ID!) { user(id: $id) { presence { status lastSeenAt } } }', { id: person.id })).user
    .presence as Json;

const SETTINGS = { PRESENCE_GRACE: '300ms', PRESENCE_INTERVAL: '200ms', PRESENCE_MAX_WATCHED: '20' };

describe.each(footings)('presence on the %s footing', (footing) => {
  let node: RunningNode;
  let alice: Person;
  let bob: Person;
  let stranger: Person;
  beforeAll(async () => {
    node = await (await makePlace(footing)).start(SETTINGS);
    alice = await register(node.url, 'alice');
    stranger = await register(node.url, 'stranger');
  });
  const makeBob = async () => {
    bob = await register(node.url, 'bob');
    await openDirect(alice, bob);
  };

  it('is of all devices together: gone with the last one, after the grace, once, and when is kept', async () => {
    await makeBob();
    const stream = watch(node.url, alice);
    await untilStatus(stream, bob, 'OFFLINE');
    const phone = await comeOnline(node.url, bob);
    await untilStatus(stream, bob, 'ONLINE');
    const laptop = await comeOnline(node.url, bob);
    await phone.dispose();
    // What would have been told by then is told.
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(statusesOf(stream, bob)).toEqual(['OFFLINE', 'ONLINE']);
    const before = Date.now();
    await laptop.dispose();
    await untilStatus(stream, bob, 'OFFLINE');
    expect(Date.now() - before).toBeGreaterThan(250);
    expect(statusesOf(stream, bob)).toEqual(['OFFLINE', 'ONLINE', 'OFFLINE']);
    const { presence } = stream.events.findLast(({ user }) => user.id === bob.id)?.user ?? {};
    expect(Math.abs(Date.parse(presence.lastSeenAt) - before)).toBeLessThan(250);
    expect(await presenceOf(alice, bob)).toEqual(presence);
  });

  it('does not blink when somebody comes back within the grace', async () => {
    await makeBob();
    const stream = watch(node.url, alice);
    await comeOnline(node.url, bob);
    await untilStatus(stream, bob, 'ONLINE');
    for (let round = 0; round < 3; round += 1) {
      await clients.pop()?.dispose();
      await comeOnline(node.url, bob);
    }
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(statusesOf(stream, bob).filter((status) => status === 'OFFLINE').length).toBeLessThanOrEqual(1);
    expect(statusesOf(stream, bob).at(-1)).toBe('ONLINE');
    expect(await presenceOf(alice, bob)).toEqual({ status: 'ONLINE', lastSeenAt: null });
  });

  it('shows what they want others to see; who is invisible is offline, and is not seen typing', async () => {
    await makeBob();
    const direct = await openDirect(alice, bob);
    const stream = watch(node.url, alice);
    const own = watch(node.url, bob);
    await untilStatus(stream, bob, 'ONLINE');
    await setAvailability(bob, 'AWAY');
    await untilStatus(stream, bob, 'AWAY');
    await setAvailability(bob, 'BUSY');
    await untilStatus(stream, bob, 'BUSY');
    // Their own other devices hear of it too.
    await untilStatus(own, bob, 'BUSY');
    expect(await setTyping(bob, direct)).toBe(true);
    const before = Date.now();
    await setAvailability(bob, 'INVISIBLE');
    await untilStatus(stream, bob, 'OFFLINE');
    expect(await setTyping(bob, direct)).toBe(false);
    const { lastSeenAt } = await presenceOf(alice, bob);
    expect(Math.abs(Date.parse(lastSeenAt) - before)).toBeLessThan(1_000);
    expect((await bob.ask('{ viewer { availability } }')).viewer).toEqual({ availability: 'INVISIBLE' });
    // Neither coming nor going shows.
    const told = statusesOf(stream, bob).length;
    await comeOnline(node.url, bob);
    await Promise.all(clients.splice(1).map((client) => client.dispose()));
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(statusesOf(stream, bob).length).toBe(told);
    expect((await presenceOf(alice, bob)).lastSeenAt).toBe(lastSeenAt);
    await comeOnline(node.url, bob);
    await setAvailability(bob, 'ONLINE');
    await untilStatus(stream, bob, 'ONLINE');
  });

  it('is by default of those one talks with, later ones too, and of oneself', async () => {
    await makeBob();
    const carol = await register(node.url, 'carol');
    await comeOnline(node.url, carol);
    await createGroup(bob, [carol]);
    const stream = watch(node.url, bob);
    await untilStatus(stream, bob, 'ONLINE');
    await untilStatus(stream, alice, 'OFFLINE');
    expect(statusesOf(stream, carol)).toEqual([]);
    await openDirect(bob, carol);
    await untilStatus(stream, carol, 'ONLINE');
  });

  it('is for nobody who shares no conversation with them', async () => {
    await makeBob();
    const group = await createGroup(alice, [stranger]);
    await comeOnline(node.url, bob);
    const stream = watch(node.url, stranger, [bob.id, alice.id]);
    await untilStatus(stream, alice, 'OFFLINE');
    await stream.until(({ user }) => user.id === bob.id);
    expect(statusesOf(stream, bob)).toEqual([null]);
    expect(await presenceOf(stranger, bob)).toBeNull();
    // From when they share one.
    const ask = 'mutation ($input: AddMembersInput!) { addMembers(input: $input) { skippedUserIds } }';
    await alice.ask(ask, { input: { conversationId: group, userIds: [bob.id] } });
    await untilStatus(stream, bob, 'ONLINE');
    const client = connect(node.url, stranger.token);
    clients.push(client);
    const tooMany = listen(client, PRESENCE, { userIds: Array.from({ length: 21 }, () => bob.id) }, 'presence');
    expect(await tooMany.ended).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT', field: 'userIds' } }]);
  });

  it('is of who listens over SSE as well', async () => {
    await makeBob();
    const stream = watch(node.url, alice);
    const sse = await openSse(node.url, bob.token);
    await untilStatus(stream, bob, 'ONLINE');
    sse.cancel();
    await untilStatus(stream, bob, 'OFFLINE');
  });

  it('is told to many in a storm, of each only where it changed', async () => {
    const people = await Promise.all(Array.from({ length: 15 }, (_, index) => register(node.url, `crowd${index}`)));
    for (const person of people) await openDirect(alice, person);
    const stream = watch(
      node.url,
      alice,
      people.map(({ id }) => id),
    );
    await eventually('all are offline', () => stream.events.length === people.length);
    const devices = await Promise.all(people.map((person) => comeOnline(node.url, person)));
    for (const person of people) await untilStatus(stream, person, 'ONLINE');
    await Promise.all(devices.map((device) => device.dispose()));
    for (const person of people) await untilStatus(stream, person, 'OFFLINE');
    expect(stream.events.length).toBe(3 * people.length);
  });
});

describe.skipIf(!servicesFound)('presence over two nodes', () => {
  let a: RunningNode;
  let b: RunningNode;
  let place: Awaited<ReturnType<typeof makePlace>>;
  let alice: Person;
  let bob: Person;
  beforeAll(async () => {
    place = await makePlace('postgresql');
    [a, b] = await Promise.all([place.start(SETTINGS), place.start(SETTINGS)]);
    await eventually('Redis is connected', () => a.deps.eventsConnected() && b.deps.eventsConnected());
    alice = await register(a.url, 'alice');
  });
  beforeEach(async () => {
    bob = await register(b.url, 'bob');
    await openDirect(alice, bob);
  });

  it('is of the devices on all of them', async () => {
    const stream = watch(a.url, alice);
    await untilStatus(stream, bob, 'OFFLINE');
    const onB = await comeOnline(b.url, bob);
    await untilStatus(stream, bob, 'ONLINE');
    const onA = await comeOnline(a.url, bob);
    await setAvailability(bob, 'AWAY');
    await untilStatus(stream, bob, 'AWAY');
    await onB.dispose();
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(statusesOf(stream, bob)).toEqual(['OFFLINE', 'ONLINE', 'AWAY']);
    await onA.dispose();
    await untilStatus(stream, bob, 'OFFLINE');
  });

  it('is known to a node that comes later, and outlasts one that stops', async () => {
    await comeOnline(b.url, bob);
    const c = await place.start(SETTINGS);
    const stream = watch(c.url, alice);
    await untilStatus(stream, bob, 'ONLINE');
    expect(statusesOf(stream, bob)).toEqual(['ONLINE']);
    const carol = await register(c.url, 'carol');
    await openDirect(alice, carol);
    const onA = watch(a.url, alice, [carol.id, bob.id]);
    await comeOnline(c.url, carol);
    await untilStatus(onA, carol, 'ONLINE');
    await c.stop();
    // Carol comes back elsewhere within the grace.
    await comeOnline(b.url, carol);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(statusesOf(onA, carol)).toEqual(['OFFLINE', 'ONLINE']);
    expect(statusesOf(onA, bob)).toEqual(['ONLINE']);
  });
});
