import { once } from 'node:events';
import type { Client } from 'graphql-ws';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { idOf } from '../../src/core/ids.js';
import { presence } from '../../src/domain/presence/presence.js';
import { presenceVisibilityLookup } from '../../src/domain/presence/presence.store.js';
import { sessionLookup, sessionWatch } from '../../src/domain/session/session.authentication.js';
import type { RunningNode } from '../../src/server/start.js';
import {
  connect,
  eventually,
  type Json,
  type Listening,
  listen,
  type Person,
  register,
  registerAll,
  socketUrl,
} from '../support/client.js';
import { footings, makePlace, servicesFound } from '../support/place.js';
import { PRESENCE, setAvailability, setTyping, statusesOf, untilStatus } from '../support/presence.js';
import { openSse } from '../support/sse.js';
import { attempt, createGroup, openAnswered, openDirect, send } from '../support/talk.js';

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
    await openAnswered(alice, bob);
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
    await openAnswered(bob, carol);
    await untilStatus(stream, carol, 'ONLINE');
  });

  it('shows nothing to who opens a direct conversation with a stranger, until they write or have them as a contact', async () => {
    const [ana, carol, dave] = await registerAll(node.url, 'ana', 'carol', 'dave');
    for (const person of [carol, dave]) await comeOnline(node.url, person);
    const directs = [await openDirect(ana, carol), await openDirect(ana, dave)] as const;
    await send(ana, directs[0], 'are you there?');
    const stream = watch(node.url, ana, [carol.id, dave.id]);
    for (const person of [carol, dave]) await stream.until(({ user }) => user.id === person.id);
    expect([await presenceOf(ana, carol), await presenceOf(ana, dave)]).toEqual([null, null]);
    // The other side sees who has opened it.
    expect(await presenceOf(carol, ana)).not.toBeNull();
    await send(carol, directs[0], 'yes');
    await untilStatus(stream, carol, 'ONLINE');
    await attempt(dave, 'addContact', { userId: ana.id });
    await untilStatus(stream, dave, 'ONLINE');
    for (const person of [carol, dave]) expect(statusesOf(stream, person)).toEqual([null, 'ONLINE']);
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

  it('is not of who went while they were let in', async () => {
    await makeBob();
    await eventually('nobody is there', () => presence.of(node.deps).size.people === 0);
    const { deps } = node;
    const lookUpSession = sessionLookup.of(deps);
    let letGo = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    let found: Promise<unknown> | undefined;
    deps.services.replace(sessionLookup, (id) => {
      const looked = held.then(() => lookUpSession(id));
      found = looked;
      return looked;
    });
    const socket = new WebSocket(socketUrl(node.url), 'graphql-transport-ws');
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: bob.token } }));
    await eventually('they are looked up', () => found !== undefined);
    socket.terminate();
    await eventually('they are gone', () => node.openSockets() === 0);
    deps.services.replace(sessionLookup, lookUpSession);
    letGo();
    expect(await found).toEqual(expect.any(String));
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(presence.of(node.deps).size.people).toBe(0);
    expect(sessionWatch.of(node.deps).size).toBe(0);
  });

  it('is by default of contacts as long as they may be seen, by whatever way', async () => {
    const [ana, carol, erin] = await registerAll(node.url, 'ana', 'carol', 'erin');
    await makeBob();
    for (const { id } of [bob, erin]) await attempt(ana, 'addContact', { userId: id });
    // They have her not: what they are in together shows them.
    const group = await createGroup(carol, [ana, bob]);
    const stream = watch(node.url, ana);
    await untilStatus(stream, bob, 'OFFLINE');
    await attempt(carol, 'removeMember', { conversationId: group, userId: bob.id });
    await stream.until(() => statusesOf(stream, bob).at(-1) === null);
    await comeOnline(node.url, bob);
    await comeOnline(node.url, erin);
    await attempt(carol, 'addMembers', { conversationId: group, userIds: [erin.id] });
    await untilStatus(stream, erin, 'ONLINE');
    await eventually('Bob is there', async () => (await presenceOf(alice, bob))?.status === 'ONLINE');
    expect(statusesOf(stream, bob)).toEqual(['OFFLINE', null]);
    await attempt(carol, 'addMembers', { conversationId: group, userIds: [bob.id] });
    await untilStatus(stream, bob, 'ONLINE');
  });

  it('watches nobody for a stream that ended while it was told who is hidden', async () => {
    const [ana, carol] = await registerAll(node.url, 'ana', 'carol');
    await makeBob();
    const group = await createGroup(carol, [ana, bob]);
    const stream = watch(node.url, ana, [bob.id, carol.id]);
    const client = clients.pop();
    for (const person of [bob, carol]) await untilStatus(stream, person, 'OFFLINE');
    const lookUpVisibility = presenceVisibilityLookup.of(node.deps);
    const lookedUp = vi.fn(lookUpVisibility);
    node.deps.services.replace(presenceVisibilityLookup, lookedUp);
    await openDirect(ana, carol);
    await eventually('that she may see her was found', async () => {
      const looked = await Promise.all(lookedUp.mock.results.map(({ value }) => value));
      return looked.length >= 2;
    });
    node.deps.services.replace(presenceVisibilityLookup, lookUpVisibility);
    const { sql } = node.deps.database;
    let letGo = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    let isHeld = false;
    const { query } = sql;
    const holding = vi.spyOn(sql, 'query').mockImplementation(async (statement) => {
      if (!isHeld && statement.sql.includes('presences.last_seen_at AS')) {
        isHeld = true;
        await held;
      }
      return query(statement) as never;
    });
    await attempt(carol, 'removeMember', { conversationId: group, userId: bob.id });
    await eventually('she is told that he is hidden', () => isHeld);
    await client?.dispose();
    await eventually('her stream has ended', () => node.deps.feed.listeners === 0);
    letGo();
    holding.mockRestore();
    await eventually('all is told', () => presence.of(node.deps).size.watched === 0);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(presence.of(node.deps).size.watched).toBe(0);
  });

  it('notes now and then when somebody was last seen, for all nodes may die at once', async () => {
    await makeBob();
    await comeOnline(node.url, bob);
    const { db } = node.deps.database;
    const noted = () => db.presence.findUnique({ where: { userId: idOf('User', bob.id, 'id') } });
    await eventually('it is noted', async () => ((await noted())?.lastSeenAt ?? null) !== null);
    // A busy machine is late to renew it now and then.
    await eventually('he is there', async () => (await presenceOf(alice, bob))?.status === 'ONLINE');
    expect(await presenceOf(alice, bob)).toEqual({ status: 'ONLINE', lastSeenAt: null });
  });

  it('keeps when somebody was last seen who turns invisible while away', async () => {
    await makeBob();
    const device = await comeOnline(node.url, bob);
    await eventually('he is there', async () => (await presenceOf(alice, bob))?.status === 'ONLINE');
    await device.dispose();
    await eventually('he is gone', async () => (await presenceOf(alice, bob))?.status === 'OFFLINE');
    const before = await presenceOf(alice, bob);
    expect(before.lastSeenAt).toEqual(expect.any(String));
    await setAvailability(bob, 'INVISIBLE');
    const { db } = node.deps.database;
    const kept = await db.presence.findUnique({ where: { userId: idOf('User', bob.id, 'id') } });
    expect(kept?.lastSeenAt?.toISOString()).toBe(new Date(before.lastSeenAt).toISOString());
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
    for (const person of people) await openAnswered(alice, person);
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
    await eventually('Redis is connected', () => a.deps.bus.connected && b.deps.bus.connected);
    alice = await register(a.url, 'alice');
  });
  beforeEach(async () => {
    bob = await register(b.url, 'bob');
    await openAnswered(alice, bob);
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

  it('is by default of so many as are allowed, those talked with last', async () => {
    const c = await place.start({ ...SETTINGS, PRESENCE_MAX_WATCHED: '3' });
    const [ana, ...others] = await registerAll(c.url, 'ana', 'one', 'two', 'three', 'four');
    for (const person of others.slice(0, 3)) await openAnswered(ana, person);
    await attempt(ana, 'addContact', { userId: others[3].id });
    const stream = watch(c.url, ana);
    await untilStatus(stream, ana, 'ONLINE');
    for (const person of others.slice(1, 3)) await untilStatus(stream, person, 'OFFLINE');
    await c.deps.feed.sweep();
    expect(new Set(stream.events.map(({ user }) => user.id)).size).toBe(3);
    expect(presence.of(c.deps).size.watched).toBe(3);
    // Somebody else is talked with.
    await openAnswered(ana, others[3]);
    await untilStatus(stream, others[3], 'OFFLINE');
    expect(presence.of(c.deps).size.watched).toBe(3);
  });

  it('is known to a node that comes later, and outlasts one that stops', async () => {
    await comeOnline(b.url, bob);
    // Long enough for coming back on a busy machine.
    const c = await place.start({ ...SETTINGS, PRESENCE_GRACE: '5s' });
    const stream = watch(c.url, alice);
    await untilStatus(stream, bob, 'ONLINE');
    expect(statusesOf(stream, bob)).toEqual(['ONLINE']);
    const carol = await register(c.url, 'carol');
    await openAnswered(alice, carol);
    const onA = watch(a.url, alice, [carol.id, bob.id]);
    await untilStatus(onA, carol, 'OFFLINE');
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
