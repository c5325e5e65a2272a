import { beforeAll, describe, expect, it } from 'vitest';
import { decodeGlobalId } from '../../src/core/ids.js';
import type { RunningNode } from '../../src/server/start.js';
import { connectInTest, type Json, type Listening, listen, type Person, registerAll } from '../support/client.js';
import { inOneMode, modes, sharedTwo, smallLimits } from '../support/place.js';
import { attempt, createGroup, openDirect, react, remove, send, unreact } from '../support/talk.js';

const FIELDS = 'id viewerReactions reactions { emoji count users(first: 10) { nodes { id } } }';
const REACTIONS = `query ($id: ID!) { node(id: $id) { ... on Message { ${FIELDS} } } }`;
const STREAM = `subscription ($after: String) { messages(after: $after) {
  type cursor changeSeq messageId replayed actor { id } message { text viewerReactions reactions { emoji count } }
} }`;

describe.each(modes)('reactions in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  let ana: Person;
  let bob: Person;
  let carol: Person;
  let dan: Person;
  let group: string;
  beforeAll(async () => {
    [node, other] = await sharedTwo(mode, smallLimits);
    [ana, bob, carol, dan] = await registerAll(node.url, 'ana', 'bob', 'carol', 'dan');
    group = await createGroup(ana, [bob, carol]);
  });

  const reactionsTo = async (person: Person, id: string) => (await person.ask(REACTIONS, { id })).node;
  const countsOf = async (id: string) =>
    (await reactionsTo(ana, id)).reactions.map(({ emoji, count }: Json) => `${emoji} ${count}`);
  async function follow(person: Person, url: string, variables: Json = {}): Promise<Listening> {
    const stream = listen(connectInTest(url, person.token), STREAM, variables);
    await stream.until(({ type }) => type === 'CAUGHT_UP');
    return stream;
  }

  it('are grouped by emoji in the order of first use, with their users', async () => {
    const { id } = await send(ana, group, 'hello');
    await react(bob, id, '🎉');
    await react(carol, id, '👍🏽');
    await react(carol, id, '🎉');
    expect(await reactionsTo(carol, id)).toEqual({
      id,
      viewerReactions: ['👍🏽', '🎉'],
      reactions: [
        { emoji: '🎉', count: 2, users: { nodes: [{ id: bob.id }, { id: carol.id }] } },
        { emoji: '👍🏽', count: 1, users: { nodes: [{ id: carol.id }] } },
      ],
    });
    expect((await reactionsTo(ana, id)).viewerReactions).toEqual([]);
    await unreact(bob, id, '🎉');
    await unreact(carol, id, '🎉');
    await react(bob, id, '🎉');
    expect(await countsOf(id)).toEqual(['👍🏽 1', '🎉 1']);
  });

  it('are stored once per user and emoji, in any spelling and when repeated', async () => {
    const { id } = await send(ana, group, 'hello');
    await Promise.all(Array.from({ length: 10 }, (_, index) => react(bob, id, index % 2 ? '❤' : '❤️')));
    await react(carol, id, '❤');
    expect(await countsOf(id)).toEqual(['❤️ 2']);
    await unreact(bob, id, '❤');
    await unreact(bob, id, '❤️');
    await unreact(bob, id, '🎉');
    expect(await countsOf(id)).toEqual(['❤️ 1']);
  });

  it('are counted correctly when added and removed concurrently on several nodes', async () => {
    const { id } = await send(ana, group, 'hello');
    const people = [ana, bob, carol].flatMap((person) => [person, person.at(other.url)]);
    await Promise.all(people.flatMap((person) => [react(person, id, '👍'), react(person, id, '🎉')]));
    expect(await countsOf(id).then((counts: string[]) => counts.sort())).toEqual(['🎉 3', '👍 3']);
    await Promise.all(people.map((person) => unreact(person, id, '👍')));
    expect(await countsOf(id)).toEqual(['🎉 3']);
  });

  itOnce('accept only a single emoji', async () => {
    const { id } = await send(ana, group, 'hello');
    for (const emoji of ['', 'a', ':+1:', '👍👍', '👍 and more', '\u0000', '\uD83D']) {
      for (const mutation of ['addReaction', 'removeReaction']) {
        expect(await attempt(bob, mutation, { messageId: id, emoji })).toBe('BAD_USER_INPUT input.emoji');
      }
    }
  });

  itOnce('are limited in different emojis per message and in number per user', async () => {
    const { id } = await send(ana, group, 'hello');
    for (const emoji of ['1️⃣', '2️⃣', '3️⃣']) await react(bob, id, emoji);
    expect(await attempt(bob, 'addReaction', { messageId: id, emoji: '4️⃣' })).toBe('FORBIDDEN input.emoji');
    await react(carol, id, '4️⃣');
    expect(await attempt(carol, 'addReaction', { messageId: id, emoji: '5️⃣' })).toBe('FORBIDDEN input.emoji');
    await react(carol, id, '1️⃣');
    await unreact(carol, id, '4️⃣');
    await react(carol, id, '5️⃣');
    expect(await countsOf(id)).toEqual(['1️⃣ 2', '2️⃣ 1', '3️⃣ 1', '5️⃣ 1']);
    const { serverInfo } = await ana.ask('{ serverInfo { limits { reactionEmojisMax reactionsPerPersonMax } } }');
    expect(serverInfo.limits).toEqual({ reactionEmojisMax: 4, reactionsPerPersonMax: 3 });
  });

  it('are delivered as events with viewerReactions per viewer, on every node, and when resumed', async () => {
    const streams = await Promise.all([follow(ana, node.url), follow(bob, other.url), follow(carol, other.url)]);
    const { id } = await send(ana, group, 'to react to');
    const sent = await streams[1]?.until((event) => event.messageId === id);
    expect(sent.message).toMatchObject({ viewerReactions: [], reactions: [] });
    await react(bob, id, '👍');
    const seen = await Promise.all(streams.map((stream) => stream.until((event) => event.type === 'REACTED')));
    expect(seen.map(({ message }) => message.viewerReactions)).toEqual([[], ['👍'], []]);
    for (const event of seen) {
      expect(event).toMatchObject({
        ...{ messageId: id, actor: { id: bob.id }, replayed: false },
        message: { text: 'to react to', reactions: [{ emoji: '👍', count: 1 }] },
      });
    }
    await react(carol, id, '🎉');
    await unreact(bob, id, '👍');
    // A call that changes nothing causes no event.
    await unreact(bob, id, '👍');
    await react(carol, id, '🎉');
    const last = await send(ana, group, 'the last');
    const live = streams[1] as Listening;
    await live.until(({ messageId }) => messageId === last.id);
    const own = live.events.filter(({ messageId, type }) => messageId === id && type === 'REACTED');
    expect(own.map(({ message }) => message.reactions.map(({ emoji }: Json) => emoji))).toEqual([
      ['👍'],
      ['👍', '🎉'],
      ['🎉'],
    ]);
    const again = await follow(carol, node.url, { after: sent.cursor });
    const replayed = again.events.filter(({ messageId }) => messageId === id);
    expect(replayed).toMatchObject([
      { type: 'REACTED', replayed: true, actor: { id: bob.id }, changeSeq: own[2].changeSeq },
    ]);
    expect(replayed[0].message).toEqual({
      ...{ text: 'to react to', viewerReactions: ['🎉'] },
      reactions: [{ emoji: '🎉', count: 1 }],
    });
  });

  itOnce('do not update the row of the message', async () => {
    const { id } = await send(ana, group, 'hello');
    const versions = () =>
      node.deps.database.db.$queryRawUnsafe<object[]>(
        'SELECT xmin::text, ctid::text FROM messages WHERE id = $1::uuid',
        decodeGlobalId(id, 'id').id,
      );
    const before = await versions();
    await react(bob, id, '👍');
    await unreact(bob, id, '👍');
    expect(await versions()).toEqual(before);
  });

  itOnce('are rejected for deleted messages, for outsiders, and for blocked users', async () => {
    const { id } = await send(ana, group, 'hello');
    expect(await attempt(dan, 'addReaction', { messageId: id, emoji: '👍' })).toBe('NOT_FOUND input.messageId');
    await react(bob, id, '👍');
    await remove(ana, id);
    expect(await attempt(bob, 'addReaction', { messageId: id, emoji: '👍' })).toBe('FORBIDDEN');
    await unreact(bob, id, '👍');
    expect(await reactionsTo(bob, id)).toEqual({ id, viewerReactions: [], reactions: [] });
    const direct = await openDirect(ana, dan);
    const written = await send(ana, direct, 'hello');
    await react(dan, written.id, '👍');
    await attempt(ana, 'blockUser', { userId: dan.id });
    expect(await attempt(dan, 'addReaction', { messageId: written.id, emoji: '🎉' })).toBe('FORBIDDEN');
    await unreact(dan, written.id, '👍');
    expect(await countsOf(written.id)).toEqual([]);
    await attempt(ana, 'unblockUser', { userId: dan.id });
  });

  it('list their users in pages', async () => {
    const { id } = await send(ana, group, 'hello');
    for (const person of [carol, ana, bob]) await react(person, id, '👍');
    const query = `query ($id: ID!, $after: String) { node(id: $id) { ... on Message { reactions {
      users(first: 2, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } }
    } } } }`;
    const page = async (after?: string) => (await bob.ask(query, { id, after })).node.reactions[0].users;
    const first = await page();
    expect(first.nodes.map(({ id }: Json) => id)).toEqual([carol.id, ana.id]);
    expect(first.pageInfo.hasNextPage).toBe(true);
    const second = await page(first.pageInfo.endCursor);
    expect(second).toMatchObject({ nodes: [{ id: bob.id }], pageInfo: { hasNextPage: false } });
  });
});
