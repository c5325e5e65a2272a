import type { Client } from 'graphql-ws';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { connect, eventually, type Listening, listen, type Person, register } from '../support/client.js';
import { footings, makePlace } from '../support/place.js';
import { setTyping, TYPING } from '../support/presence.js';
import { createGroup, openDirect, REMOVE_MEMBER, send } from '../support/talk.js';

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
    await eventually('they hear each other', () => node.deps.eventsConnected() && second.deps.eventsConnected());
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
    const before = Date.now();
    await send(alice, direct, 'what I typed');
    await ended(2);
    expect(Date.now() - before).toBeLessThan(500);
    const device = connect(node.url, alice.token, { lazy: false, onNonLazyError: () => {} });
    await eventually('she is connected', () => node.deps.presence.size.people > 0);
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
    for (; Date.now() < until; calls += 1) await setTyping(alice, direct);
    await stream.until(({ isTyping }) => !isTyping);
    const told = said(stream, direct);
    expect(calls).toBeGreaterThan(10);
    expect(told.length).toBeLessThanOrEqual(8);
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
