import type { Client } from 'graphql-ws';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { idOf } from '../../src/core/ids.js';
import { presence } from '../../src/domain/presence/presence.js';
import { typing } from '../../src/domain/typing/typing.js';
import type { RunningNode } from '../../src/server/start.js';
import { connect, eventually, type Listening, listen, type Person, register, registerAll } from '../support/client.js';
import { footings, makePlace, type Place, startTwo } from '../support/place.js';
import { setAvailability, setTyping, TYPING } from '../support/presence.js';
import { createGroup, MESSAGES, openDirect, REMOVE_MEMBER, send } from '../support/talk.js';

const clients: Client[] = [];
const nodes: RunningNode[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.dispose()));
  for (const node of nodes) await eventually('nobody listens', () => node.deps.feed.listeners === 0);
});

describe.each(footings)('typing on the %s footing', (footing) => {
  let node: RunningNode;
  /** Where people type and where they listen: two nodes where there can be. */
  let there: RunningNode;
  let alice: Person;
  let bob: Person;
  let carol: Person;
  beforeAll(async () => {
    const place = await makePlace(footing);
    const settings = { TYPING_TTL: '600ms', TYPING_MAX_MEMBERS: '3' };
    node = await place.start(settings);
    const second = footing === 'postgresql' ? await place.start(settings) : node;
    await eventually('they hear each other', () => node.deps.bus.connected && second.deps.bus.connected);
    there = second;
    nodes.push(node, second);
    [alice, bob, carol] = (await Promise.all(['alice', 'bob', 'carol'].map((name) => register(node.url, name)))) as [
      Person,
      Person,
      Person,
    ];
  });

  /** Resolves when it listens. */
  async function follow(person: Person, conversationId?: string): Promise<Listening> {
    const client = connect(there.url, person.token);
    clients.push(client);
    const { feed } = there.deps;
    const begun = vi.spyOn(feed, 'listen');
    const stream = listen(client, TYPING, { conversationId }, 'typing');
    await eventually('it listens', () => begun.mock.results.length === 1);
    await begun.mock.results[0]?.value;
    begun.mockRestore();
    return stream;
  }
  /** What was said of one conversation: of another test's somebody may just end. */
  const said = ({ events }: Listening, id: string): boolean[] =>
    events.filter(({ conversationId }) => conversationId === id).map(({ isTyping }) => isTyping);

  it('is told to the others, and ends by itself', async () => {
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
    expect(said(own, group)).toEqual([]);
  });

  it('ends with a word, with what they send, and with their last connection', async () => {
    const direct = await openDirect(alice, bob);
    const stream = await follow(bob);
    const ended = async (count: number) =>
      eventually(
        `it ended ${count} times`,
        () => said(stream, direct).filter((isTyping) => !isTyping).length === count,
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
    await eventually('five', () => said(stream, direct).length === 5);
    await device.dispose();
    await ended(3);
    // Who is not typing stops nothing.
    await setTyping(alice, direct, false);
    await send(alice, direct, 'more');
    await setTyping(alice, direct);
    await eventually('seven', () => said(stream, direct).length === 7);
    expect(said(stream, direct)).toEqual([true, false, true, false, true, false, true]);
  });

  it('is told no more often than it has to be, however often it is said', async () => {
    const direct = await openDirect(alice, carol);
    const stream = await follow(carol, direct);
    const until = Date.now() + 1_500;
    let calls = 0;
    for (; Date.now() < until || calls <= 10; calls += 1) await setTyping(alice, direct);
    const halves = Math.ceil((Date.now() - until + 1_500) / 300);
    await stream.until(({ isTyping }) => !isTyping);
    const told = said(stream, direct);
    expect(told.length).toBeLessThanOrEqual(halves + 3);
    // All the time it was so.
    expect(told.slice(0, -1).every((isTyping) => isTyping)).toBe(true);
  });

  it('is not told in large groups, nor to who is no member', async () => {
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

describe.each(footings)('typing at one node and another, on the %s footing', (footing) => {
  /** One for each test: each has a time of its own after which typing ends. */
  const places: Place[] = [];
  beforeAll(async () => {
    for (let count = 0; count < 3; count += 1) places.push(await makePlace(footing));
  });
  async function two(ttl: string): Promise<[RunningNode, RunningNode]> {
    const started = await startTwo(places.pop() as Place, { TYPING_TTL: ttl });
    await eventually('they hear each other', () => started.every(({ deps }) => deps.bus.connected));
    nodes.push(...started);
    return started;
  }
  /** What the other one of a new direct conversation is told, from the beginning. */
  async function scene(a: RunningNode, b: RunningNode) {
    const [ana, bob] = await registerAll(a.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    const client = connect(b.url, bob.token);
    clients.push(client);
    const begun = vi.spyOn(b.deps.feed, 'listen');
    const stream = listen(client, TYPING, {}, 'typing');
    await eventually('it listens', () => begun.mock.results.length === 1);
    await begun.mock.results[0]?.value;
    begun.mockRestore();
    const said = () => stream.events.map(({ isTyping }) => isTyping);
    return { ana, direct, stream, said };
  }

  it('ends at whatever node they say so, send, turn invisible, or are last connected', async () => {
    const [a, b] = await two('2m');
    const ways: ((person: Person, direct: string) => Promise<unknown>)[] = [
      (person, direct) => send(person, direct, 'what I typed'),
      (person, direct) => setTyping(person, direct, false),
      (person) => setAvailability(person, 'INVISIBLE'),
    ];
    for (const way of ways) {
      const { ana, direct, stream, said } = await scene(a, b);
      await setTyping(ana, direct);
      await stream.until(({ isTyping }) => isTyping);
      await way(ana.at(b.url), direct);
      await stream.until(({ isTyping }) => !isTyping);
      expect(said()).toEqual([true, false]);
    }
    const { ana, direct, stream } = await scene(a, b);
    const device = connect(b.url, ana.token);
    await listen(device, MESSAGES).until(({ type }) => type === 'CAUGHT_UP');
    await setTyping(ana, direct);
    await stream.until(({ isTyping }) => isTyping);
    await device.dispose();
    await stream.until(({ isTyping }) => !isTyping);
  });

  it('is told once when it is said at both, and ends with what was said last', async () => {
    const [a, b] = await two('4s');
    const { ana, direct, stream, said } = await scene(a, b);
    const id = idOf('User', ana.id, 'id');
    const conversationId = idOf('Conversation', direct, 'id');
    await setTyping(ana, direct);
    await stream.until(({ isTyping }) => isTyping);
    await setTyping(ana.at(b.url), direct);
    await eventually('half of its time is over', () => !typing.of(b.deps).isTold(conversationId, id));
    const before = Date.now();
    await setTyping(ana.at(b.url), direct);
    await eventually('it was told again', () => said().length > 1);
    await vi.waitUntil(() => said().at(-1) === false, { timeout: 40_000 });
    expect(Date.now() - before).toBeGreaterThan(3_900);
    expect(said()).toEqual([true, true, false]);
  }, 60_000);

  it('is told no more than a few times where it changes all the time, and at the end as it is', async () => {
    const [a, b] = await two('4s');
    const { ana, direct, stream, said } = await scene(a, b);
    const before = Date.now();
    for (let call = 0; call <= 60; call += 1) await setTyping(ana, direct, call % 2 === 0);
    const tellings = said().length;
    await stream.until(() => said().length > 4 && said().at(-1) === true);
    // Four in each half of its time.
    expect(tellings).toBeLessThanOrEqual(4 * (1 + Math.ceil((Date.now() - before) / 2_000)));
    await eventually('it ended', () => said().at(-1) === false);
  }, 60_000);
});
