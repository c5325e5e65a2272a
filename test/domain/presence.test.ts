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
import { inOneMode, makePlace, modes, servicesFound } from '../support/place.js';
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

/** Opens a WebSocket of a user. */
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

const presenceOf = async (viewer: Person, person: Person) =>
  (await viewer.ask('query ($id: ID!) { user(id: $id) { presence { status lastSeenAt } } }', { id: person.id })).user
    .presence as Json;

/** A node that has just started does not know yet who is connected to other nodes. */
const untilKnown = (person: Person) =>
  eventually('presence is known', async () => (await presenceOf(person, person)) !== null);

/**
 * Resolves when a stream of `viewer`, which must follow the counterparts of their direct conversations, has received
 * that another user of the node connected and disconnected. The grace periods of users who disconnected before have
 * then passed, and their events were sent.
 */
async function untilLaterDeparture(stream: Listening, viewer: Person, url: string): Promise<void> {
  const later = await register(url, 'later');
  await openAnswered(viewer, later);
  const device = await comeOnline(url, later);
  await untilStatus(stream, later, 'ONLINE');
  await device.dispose();
  await untilStatus(stream, later, 'OFFLINE');
}

/** Longer than any test takes. */
const LONG_GRACE = '10m';
const SETTINGS = { PRESENCE_GRACE: '300ms', PRESENCE_INTERVAL: '200ms', PRESENCE_MAX_WATCHED: '20' };

describe.each(modes)('presence in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let alice: Person;
  let bob: Person;
  let stranger: Person;
  beforeAll(async () => {
    node = await (await makePlace(mode)).start(SETTINGS);
    alice = await register(node.url, 'alice');
    stranger = await register(node.url, 'stranger');
    await untilKnown(alice);
  });
  const makeBob = async () => {
    bob = await register(node.url, 'bob');
    await openAnswered(alice, bob);
  };

  it('is OFFLINE once the last device of a user has been disconnected for the grace period, and contains that time', async () => {
    await makeBob();
    const stream = watch(node.url, alice);
    await untilStatus(stream, bob, 'OFFLINE');
    const phone = await comeOnline(node.url, bob);
    await untilStatus(stream, bob, 'ONLINE');
    const laptop = await comeOnline(node.url, bob);
    await phone.dispose();
    await untilLaterDeparture(stream, alice, node.url);
    expect(statusesOf(stream, bob)).toEqual(['OFFLINE', 'ONLINE']);
    const before = Date.now();
    await laptop.dispose();
    await untilStatus(stream, bob, 'OFFLINE');
    const offlineAt = Date.now();
    expect(offlineAt - before).toBeGreaterThan(250);
    expect(statusesOf(stream, bob)).toEqual(['OFFLINE', 'ONLINE', 'OFFLINE']);
    const { presence } = stream.events.findLast(({ user }) => user.id === bob.id)?.user ?? {};
    // The time at which the connection ended, not at which the grace did.
    expect(Date.parse(presence.lastSeenAt)).toBeGreaterThan(before - 50);
    expect(Date.parse(presence.lastSeenAt)).toBeLessThan(offlineAt - 250);
    expect(await presenceOf(alice, bob)).toEqual(presence);
  });

  itOnce('does not change when a user reconnects within the grace period', async () => {
    const patient = await (await makePlace(mode)).start({ PRESENCE_GRACE: LONG_GRACE });
    const [ana, ben, carol] = await registerAll(patient.url, 'ana', 'ben', 'carol');
    for (const person of [ben, carol]) await openAnswered(ana, person);
    const stream = watch(patient.url, ana);
    await untilStatus(stream, carol, 'OFFLINE');
    await comeOnline(patient.url, carol);
    await untilStatus(stream, carol, 'ONLINE');
    for (const availability of ['AWAY', 'BUSY']) {
      const device = await comeOnline(patient.url, ben);
      await untilStatus(stream, ben, 'ONLINE');
      const sockets = patient.openSockets();
      await device.dispose();
      await eventually('the server knows that he has left', () => patient.openSockets() < sockets);
      // Events are sent after a short delay. If he were OFFLINE, this event would follow or accompany that one.
      await setAvailability(carol, availability);
      await untilStatus(stream, carol, availability);
    }
    await comeOnline(patient.url, ben);
    expect(statusesOf(stream, ben)).toEqual(['OFFLINE', 'ONLINE']);
    expect(await presenceOf(ana, ben)).toEqual({ status: 'ONLINE', lastSeenAt: null });
  });

  itOnce(
    'shows the availability of a user; an invisible user is OFFLINE, and others do not see them typing',
    async () => {
      await makeBob();
      const direct = await openDirect(alice, bob);
      const stream = watch(node.url, alice);
      const own = watch(node.url, bob);
      await untilStatus(stream, bob, 'ONLINE');
      await setAvailability(bob, 'AWAY');
      await untilStatus(stream, bob, 'AWAY');
      await setAvailability(bob, 'BUSY');
      await untilStatus(stream, bob, 'BUSY');
      // The user's other devices receive it too.
      await untilStatus(own, bob, 'BUSY');
      expect(await setTyping(bob, direct)).toBe(true);
      const before = Date.now();
      await setAvailability(bob, 'INVISIBLE');
      await untilStatus(stream, bob, 'OFFLINE');
      expect(await setTyping(bob, direct)).toBe(false);
      const { lastSeenAt } = await presenceOf(alice, bob);
      expect(Date.parse(lastSeenAt)).toBeGreaterThan(before - 50);
      expect(Date.parse(lastSeenAt)).toBeLessThanOrEqual(Date.now() + 50);
      expect((await bob.ask('{ viewer { availability } }')).viewer).toEqual({ availability: 'INVISIBLE' });
      // Connecting and disconnecting causes no events.
      const count = statusesOf(stream, bob).length;
      await comeOnline(node.url, bob);
      await Promise.all(clients.splice(1).map((client) => client.dispose()));
      await untilLaterDeparture(stream, alice, node.url);
      expect(statusesOf(stream, bob).length).toBe(count);
      expect((await presenceOf(alice, bob)).lastSeenAt).toBe(lastSeenAt);
      await comeOnline(node.url, bob);
      await setAvailability(bob, 'ONLINE');
      await untilStatus(stream, bob, 'ONLINE');
    },
  );

  it('is by default that of the viewer and of the counterparts of their direct conversations, including later ones', async () => {
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

  it('is hidden from a user who opened a direct conversation until the counterpart writes or adds them as a contact', async () => {
    const [ana, carol, dave] = await registerAll(node.url, 'ana', 'carol', 'dave');
    for (const person of [carol, dave]) {
      await comeOnline(node.url, person);
      // A user counts as offline until the node has read their availability.
      await eventually('they are online', async () => (await presenceOf(person, person))?.status === 'ONLINE');
    }
    const directs = [await openDirect(ana, carol), await openDirect(ana, dave)] as const;
    await send(ana, directs[0], 'are you there?');
    const stream = watch(node.url, ana, [carol.id, dave.id]);
    for (const person of [carol, dave]) await stream.until(({ user }) => user.id === person.id);
    expect([await presenceOf(ana, carol), await presenceOf(ana, dave)]).toEqual([null, null]);
    // The counterpart sees the user who opened it.
    expect(await presenceOf(carol, ana)).not.toBeNull();
    await send(carol, directs[0], 'yes');
    await untilStatus(stream, carol, 'ONLINE');
    await attempt(dave, 'addContact', { userId: ana.id });
    await untilStatus(stream, dave, 'ONLINE');
    for (const person of [carol, dave]) expect(statusesOf(stream, person)).toEqual([null, 'ONLINE']);
  });

  itOnce('is hidden from users without a common conversation', async () => {
    await makeBob();
    const group = await createGroup(alice, [stranger]);
    await comeOnline(node.url, bob);
    const stream = watch(node.url, stranger, [bob.id, alice.id]);
    await untilStatus(stream, alice, 'OFFLINE');
    await stream.until(({ user }) => user.id === bob.id);
    expect(statusesOf(stream, bob)).toEqual([null]);
    expect(await presenceOf(stranger, bob)).toBeNull();
    // It is shown as soon as they have one.
    const ask = 'mutation ($input: AddMembersInput!) { addMembers(input: $input) { skippedUserIds } }';
    await alice.ask(ask, { input: { conversationId: group, userIds: [bob.id] } });
    await untilStatus(stream, bob, 'ONLINE');
    const client = connect(node.url, stranger.token);
    clients.push(client);
    const tooMany = listen(client, PRESENCE, { userIds: Array.from({ length: 21 }, () => bob.id) }, 'presence');
    expect(await tooMany.ended).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT', field: 'userIds' } }]);
  });

  itOnce('does not count a client that disconnects while its session is being looked up', async () => {
    await makeBob();
    await eventually('nobody is connected', () => presence.of(node.deps).size.people === 0);
    const { deps } = node;
    const lookUpSession = sessionLookup.of(deps);
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
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
    await eventually('the session is looked up', () => found !== undefined);
    socket.terminate();
    await eventually('the socket is closed', () => node.openSockets() === 0);
    deps.services.replace(sessionLookup, lookUpSession);
    release();
    expect(await found).toEqual(expect.any(String));
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(presence.of(node.deps).size.people).toBe(0);
    expect(sessionWatch.of(node.deps).size).toBe(0);
  });

  itOnce('is by default also that of contacts, as long as the viewer can see it for any reason', async () => {
    const [ana, carol, erin] = await registerAll(node.url, 'ana', 'carol', 'erin');
    await makeBob();
    for (const { id } of [bob, erin]) await attempt(ana, 'addContact', { userId: id });
    // She is not their contact: she sees them because of common groups.
    const group = await createGroup(carol, [ana, bob]);
    const stream = watch(node.url, ana);
    await untilStatus(stream, bob, 'OFFLINE');
    await attempt(carol, 'removeMember', { conversationId: group, userId: bob.id });
    await stream.until(() => statusesOf(stream, bob).at(-1) === null);
    await comeOnline(node.url, bob);
    await comeOnline(node.url, erin);
    await attempt(carol, 'addMembers', { conversationId: group, userIds: [erin.id] });
    await untilStatus(stream, erin, 'ONLINE');
    await eventually('Bob is online', async () => (await presenceOf(alice, bob))?.status === 'ONLINE');
    expect(statusesOf(stream, bob)).toEqual(['OFFLINE', null]);
    await attempt(carol, 'addMembers', { conversationId: group, userIds: [bob.id] });
    await untilStatus(stream, bob, 'ONLINE');
  });

  itOnce('leaves no watcher behind for a stream that ended while hidden users were being sent', async () => {
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
    await eventually('the visibility was read', async () => {
      const looked = await Promise.all(lookedUp.mock.results.map(({ value }) => value));
      return looked.length >= 2;
    });
    node.deps.services.replace(presenceVisibilityLookup, lookUpVisibility);
    const { sql } = node.deps.database;
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let reading: Promise<unknown> | undefined;
    const { query } = sql;
    const holding = vi.spyOn(sql, 'query').mockImplementation((statement) => {
      if (reading || !statement.sql.includes('presences.last_seen_at AS')) return query(statement) as never;
      reading = held.then(() => query(statement));
      return reading as never;
    });
    await attempt(carol, 'removeMember', { conversationId: group, userId: bob.id });
    await eventually('the hidden user is being read', () => reading !== undefined);
    await client?.dispose();
    await eventually('the stream has ended', () => node.deps.feed.listeners === 0);
    release();
    holding.mockRestore();
    await reading;
    // Streams of a user read one after another, so the ended one reads nothing after this event.
    await untilStatus(watch(node.url, ana, [carol.id]), carol, 'OFFLINE');
    await clients.pop()?.dispose();
    await eventually('nobody is watched', () => presence.of(node.deps).size.watched === 0);
    expect(presence.of(node.deps).size.watched).toBe(0);
  });

  it('stores periodically when a connected user was last seen, in case all nodes crash', async () => {
    await makeBob();
    await comeOnline(node.url, bob);
    const { db } = node.deps.database;
    const stored = () => db.presence.findUnique({ where: { userId: idOf('User', bob.id, 'id') } });
    await eventually('it is stored', async () => ((await stored())?.lastSeenAt ?? null) !== null);
    // A busy machine can be late with heartbeats.
    await eventually('he is online', async () => (await presenceOf(alice, bob))?.status === 'ONLINE');
    expect(await presenceOf(alice, bob)).toEqual({ status: 'ONLINE', lastSeenAt: null });
  });

  itOnce('keeps when a disconnected user was last seen when they become invisible', async () => {
    await makeBob();
    const device = await comeOnline(node.url, bob);
    await eventually('he is online', async () => (await presenceOf(alice, bob))?.status === 'ONLINE');
    await device.dispose();
    await eventually('he is offline', async () => (await presenceOf(alice, bob))?.status === 'OFFLINE');
    const before = await presenceOf(alice, bob);
    expect(before.lastSeenAt).toEqual(expect.any(String));
    await setAvailability(bob, 'INVISIBLE');
    const { db } = node.deps.database;
    const kept = await db.presence.findUnique({ where: { userId: idOf('User', bob.id, 'id') } });
    expect(kept?.lastSeenAt?.toISOString()).toBe(new Date(before.lastSeenAt).toISOString());
  });

  itOnce('counts SSE streams as connections', async () => {
    await makeBob();
    const stream = watch(node.url, alice);
    const sse = await openSse(node.url, bob.token);
    await untilStatus(stream, bob, 'ONLINE');
    sse.cancel();
    await untilStatus(stream, bob, 'OFFLINE');
  });

  itOnce('is sent once per change when many users connect and disconnect at the same time', async () => {
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

  it('counts the devices on all nodes', async () => {
    const stream = watch(a.url, alice);
    await untilStatus(stream, bob, 'OFFLINE');
    const onB = await comeOnline(b.url, bob);
    await untilStatus(stream, bob, 'ONLINE');
    const onA = await comeOnline(a.url, bob);
    await setAvailability(bob, 'AWAY');
    await untilStatus(stream, bob, 'AWAY');
    await onB.dispose();
    await untilLaterDeparture(stream, alice, b.url);
    expect(statusesOf(stream, bob)).toEqual(['OFFLINE', 'ONLINE', 'AWAY']);
    await onA.dispose();
    await untilStatus(stream, bob, 'OFFLINE');
  });

  it('is by default that of the latest counterparts, up to PRESENCE_MAX_WATCHED users', async () => {
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
    // A new direct conversation replaces the oldest one.
    await openAnswered(ana, others[3]);
    await untilStatus(stream, others[3], 'OFFLINE');
    expect(presence.of(c.deps).size.watched).toBe(3);
  });

  it('is known to a node that starts later, and does not change when a node stops and its users reconnect', async () => {
    await comeOnline(b.url, bob);
    const c = await place.start({ ...SETTINGS, PRESENCE_GRACE: LONG_GRACE });
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
    // If she were OFFLINE now, this event would follow or accompany that one.
    await setAvailability(bob.at(a.url), 'AWAY');
    await untilStatus(onA, bob, 'AWAY');
    await comeOnline(b.url, carol);
    await setAvailability(bob.at(a.url), 'BUSY');
    await untilStatus(onA, bob, 'BUSY');
    expect(statusesOf(onA, carol)).toEqual(['OFFLINE', 'ONLINE']);
    expect(statusesOf(onA, bob)).toEqual(['ONLINE', 'AWAY', 'BUSY']);
  });
});
