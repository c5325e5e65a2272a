import type { Client } from 'graphql-ws';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { idOf } from '../../src/core/ids.js';
import { presence } from '../../src/domain/presence/presence.js';
import { typing } from '../../src/domain/typing/typing.js';
import type { RunningNode } from '../../src/server/start.js';
import { connect, eventually, type Listening, listen, type Person, register, registerAll } from '../support/client.js';
import { atFileEnd } from '../support/ending.js';
import { detailModes, inOneMode, makePlace, modes, startTwo } from '../support/place.js';
import { setAvailability, setTyping, TYPING } from '../support/presence.js';
import { createGroup, MESSAGES, openDirect, REMOVE_MEMBER, send } from '../support/talk.js';

const clients: Client[] = [];
const nodes: RunningNode[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.dispose()));
  for (const node of nodes) await eventually('all listeners are removed', () => node.deps.feed.listeners === 0);
});

describe.each(modes)('typing in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  /** The node at which users subscribe: another one than `node` if the mode supports two. */
  let there: RunningNode;
  let alice: Person;
  let bob: Person;
  let carol: Person;
  beforeAll(async () => {
    const place = await makePlace(mode);
    const settings = { TYPING_TTL: '600ms', TYPING_MAX_MEMBERS: '3' };
    node = await place.start(settings);
    const second = mode === 'postgresql' ? await place.start(settings) : node;
    await eventually('the nodes are connected', () => node.deps.bus.connected && second.deps.bus.connected);
    there = second;
    nodes.push(node, second);
    [alice, bob, carol] = (await Promise.all(['alice', 'bob', 'carol'].map((name) => register(node.url, name)))) as [
      Person,
      Person,
      Person,
    ];
  });

  /** Subscribes, and resolves when the stream receives events. */
  async function follow(person: Person, conversationId?: string): Promise<Listening> {
    const client = connect(there.url, person.token);
    clients.push(client);
    const { feed } = there.deps;
    const begun = vi.spyOn(feed, 'listen');
    const stream = listen(client, TYPING, { conversationId }, 'typing');
    await eventually('the stream is open', () => begun.mock.results.length === 1);
    await begun.mock.results[0]?.value;
    begun.mockRestore();
    return stream;
  }
  /** The events of one conversation. The stream can also contain the last event of an earlier test. */
  const eventsOf = ({ events }: Listening, id: string): boolean[] =>
    events.filter(({ conversationId }) => conversationId === id).map(({ isTyping }) => isTyping);

  it('is delivered to the other members, and expires', async () => {
    const group = await createGroup(alice, [bob, carol]);
    const ofBob = await follow(bob, group);
    const [ofCarol, own] = [await follow(carol), await follow(alice)];
    const before = Date.now();
    expect(await setTyping(alice, group)).toBe(true);
    for (const stream of [ofBob, ofCarol]) {
      const event = await stream.until(({ isTyping, conversationId }) => isTyping && conversationId === group);
      expect(event).toMatchObject({ conversationId: group, user: { id: alice.id } });
      expect(Date.parse(event.expiresAt) - before).toBeGreaterThanOrEqual(600);
      await stream.until(({ isTyping, conversationId }) => !isTyping && conversationId === group);
    }
    expect(Date.now() - before).toBeGreaterThan(500);
    expect(eventsOf(own, group)).toEqual([]);
  });

  it('ends when the user stops, sends a message, or disconnects their last device', async () => {
    const direct = await openDirect(alice, bob);
    const stream = await follow(bob);
    const ended = async (count: number) =>
      eventually(
        `it ended ${count} times`,
        () => eventsOf(stream, direct).filter((isTyping) => !isTyping).length === count,
      );
    await setTyping(alice, direct);
    await setTyping(alice, direct, false);
    await ended(1);
    await setTyping(alice, direct);
    await send(alice, direct, 'what I typed');
    await ended(2);
    const device = connect(node.url, alice.token, { lazy: false, onNonLazyError: () => {} });
    await eventually('she is connected', () => presence.of(node.deps).size.people > 0);
    await setTyping(alice, direct);
    await eventually('five', () => eventsOf(stream, direct).length >= 5);
    await device.dispose();
    await ended(3);
    // Stopping without typing has no effect.
    await setTyping(alice, direct, false);
    await send(alice, direct, 'more');
    await setTyping(alice, direct);
    await eventually('seven', () => eventsOf(stream, direct).length >= 7);
    expect(eventsOf(stream, direct).slice(0, 7)).toEqual([true, false, true, false, true, false, true]);
  });

  itOnce('is delivered at a limited rate, however often setTyping is called', async () => {
    const direct = await openDirect(alice, carol);
    const stream = await follow(carol, direct);
    const until = Date.now() + 1_500;
    let calls = 0;
    let late = 0;
    for (; Date.now() < until || calls <= 10; calls += 1) {
      const began = performance.now();
      await setTyping(alice, direct);
      // On a busy machine, typing can end between two calls.
      if (performance.now() - began > 250) late += 1;
    }
    const halves = Math.ceil((Date.now() - until + 1_500) / 300);
    await eventually('it ends', () => eventsOf(stream, direct).at(-1) === false);
    const delivered = eventsOf(stream, direct);
    expect(delivered.length).toBeLessThanOrEqual(halves + 3 + late);
    // No event in between reports that the user has stopped, unless typing ended.
    expect(delivered.slice(0, -1).filter((isTyping) => !isTyping).length).toBeLessThanOrEqual(late);
  });

  itOnce('is not delivered in large groups, nor to users who are not members', async () => {
    const dave = await register(node.url, 'dave');
    const large = await createGroup(alice, [bob, carol, dave]);
    const small = await createGroup(alice, [bob, carol]);
    const stream = await follow(bob);
    expect(await setTyping(alice, large)).toBe(false);
    const errors = async (person: Person, conversationId: string) => {
      const answer = await person.request(
        'mutation ($input: SetTypingInput!) { setTyping(input: $input) { accepted } }',
        { input: { conversationId, isTyping: true } },
      );
      return answer.errors?.map(({ extensions: { code, field } }) => `${code} ${field}`);
    };
    expect(await errors(dave, small)).toEqual(['NOT_FOUND input.conversationId']);
    const single = await follow(bob, small);
    await alice.ask(REMOVE_MEMBER, { input: { conversationId: small, userId: bob.id } });
    await single.ended;
    await setTyping(carol, small);
    await setTyping(carol, await openDirect(carol, bob));
    await stream.until(({ user }) => user.id === carol.id);
    expect(stream.events.map(({ conversationId }) => conversationId)).not.toContain(small);
    expect(stream.events.map(({ conversationId }) => conversationId)).not.toContain(large);
  });
});

describe.each(detailModes)('typing at two nodes in %s mode', (mode) => {
  /** Two nodes with this TYPING_TTL. */
  const pairs = new Map<string, Promise<[RunningNode, RunningNode]>>();
  async function two(ttl: string): Promise<[RunningNode, RunningNode]> {
    let pair = pairs.get(ttl);
    if (!pair) {
      pair = makePlace(mode, { end: atFileEnd }).then((place) => startTwo(place, { TYPING_TTL: ttl }));
      pairs.set(ttl, pair);
      nodes.push(...(await pair));
    }
    return pair;
  }
  /** Creates a direct conversation, with all events that the counterpart receives. */
  async function scene(a: RunningNode, b: RunningNode) {
    const [ana, bob] = await registerAll(a.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    const client = connect(b.url, bob.token);
    clients.push(client);
    const begun = vi.spyOn(b.deps.feed, 'listen');
    const stream = listen(client, TYPING, {}, 'typing');
    await eventually('the stream is open', () => begun.mock.results.length === 1);
    await begun.mock.results[0]?.value;
    begun.mockRestore();
    const eventsOf = () => stream.events.map(({ isTyping }) => isTyping);
    return { ana, direct, stream, eventsOf };
  }

  it('ends when the user stops, sends a message, becomes invisible or disconnects at another node', async () => {
    const [a, b] = await two('2m');
    const ways: ((person: Person, direct: string) => Promise<unknown>)[] = [
      (person, direct) => send(person, direct, 'what I typed'),
      (person, direct) => setTyping(person, direct, false),
      (person) => setAvailability(person, 'INVISIBLE'),
    ];
    for (const way of ways) {
      const { ana, direct, stream, eventsOf } = await scene(a, b);
      await setTyping(ana, direct);
      await stream.until(({ isTyping }) => isTyping);
      await way(ana.at(b.url), direct);
      await stream.until(({ isTyping }) => !isTyping);
      expect(eventsOf()).toEqual([true, false]);
    }
    const { ana, direct, stream } = await scene(a, b);
    const device = connect(b.url, ana.token);
    await listen(device, MESSAGES).until(({ type }) => type === 'CAUGHT_UP');
    await setTyping(ana, direct);
    await stream.until(({ isTyping }) => isTyping);
    await device.dispose();
    await stream.until(({ isTyping }) => !isTyping);
  });

  it('is delivered once if the user calls both nodes, and expires after the last call', async () => {
    const [a, b] = await two('4s');
    const { ana, direct, stream, eventsOf } = await scene(a, b);
    const id = idOf('User', ana.id, 'id');
    const conversationId = idOf('Conversation', direct, 'id');
    await setTyping(ana, direct);
    await stream.until(({ isTyping }) => isTyping);
    await setTyping(ana.at(b.url), direct);
    await eventually('half of TYPING_TTL is over', () => !typing.of(b.deps).wasNotified(conversationId, id));
    const before = Date.now();
    await setTyping(ana.at(b.url), direct);
    await eventually('it is delivered again', () => eventsOf().length > 1);
    await vi.waitUntil(() => eventsOf().at(-1) === false, { timeout: 40_000 });
    expect(Date.now() - before).toBeGreaterThan(3_900);
    expect(eventsOf()).toEqual([true, true, false]);
  }, 60_000);

  it('is delivered a limited number of times if it changes all the time, and finally with the last state', async () => {
    const [a, b] = await two('4s');
    const { ana, direct, stream, eventsOf } = await scene(a, b);
    const before = Date.now();
    for (let call = 0; call <= 60; call += 1) await setTyping(ana, direct, call % 2 === 0);
    const delivered = eventsOf().length;
    await stream.until(() => eventsOf().length > 4 && eventsOf().at(-1) === true);
    // At most four in each half of TYPING_TTL.
    expect(delivered).toBeLessThanOrEqual(4 * (1 + Math.ceil((Date.now() - before) / 2_000)));
    await eventually('typing has ended', () => eventsOf().at(-1) === false);
  }, 60_000);
});
