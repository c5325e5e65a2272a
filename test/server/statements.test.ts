import { beforeAll, describe, expect, it } from 'vitest';
import { notifier } from '../../src/domain/notifier/notifier.js';
import type { RunningNode } from '../../src/server/start.js';
import { connectInTest, eventually, type Json, listen, type Person, register, smallest } from '../support/client.js';
import { detailModes, makePlace } from '../support/place.js';
import { statementsOf } from '../support/statements.js';
import { createGroup, openDirect, pin, react, reply, send } from '../support/talk.js';

const MESSAGE = `
  fragment Message on Message {
    id seq text status createdAt editedAt deletedAt clientMessageId viewerCanEdit viewerCanDelete
    mentionsEveryone mentions { id username } pinnedAt replyCount viewerReactions reactions { emoji count }
    replyTo { id text deletedAt replyCount sender { id username } }
    sender { id username displayName avatarUrl } conversation { id title }
  }`;
const LIST = `${MESSAGE} query ($first: Int) {
  viewer { user { id } unreadCount availability conversations(first: $first) { totalCount: pageInfo { hasNextPage } nodes {
    id kind title memberCount latestSeq othersReadSeq othersDeliveredSeq viewerCanSend
    viewerMembership { role deliveredSeq readSeq unreadCount unreadMentionCount user { id } } counterpart { username presence { status } }
    lastMessage { ...Message }
  } } }
}`;
const HISTORY = `${MESSAGE} query ($id: ID!, $last: Int) {
  conversation(id: $id) { id title pinnedMessages { ...Message } viewerMembership { role } messages(last: $last) {
    pageInfo { hasPreviousPage } nodes { ...Message reactions { users(first: 3) { nodes { id username } } } }
  } }
}`;
const MEMBERS = `query ($id: ID!, $first: Int) {
  conversation(id: $id) { members(first: $first) { nodes { role joinedAt readSeq deliveredSeq user { id username presence { status lastSeenAt } } } } }
}`;

/**
 * Lookups of the same turn of the event loop share a statement. Which lookups share a turn depends on the speed of the
 * database, so that the number varies by this much. One statement per row would be at least six more.
 */
const CHANCE = 3;
/** The same for larger selections with nested lists, where one statement per row would be eleven more. */
const CHANCE_OF_MUCH = 9;

describe.each(detailModes)('statements in %s mode', (mode) => {
  let node: RunningNode;
  let alice: Person;
  let others: Person[];
  let hot: string;
  beforeAll(async () => {
    // Without sweeps, which would execute statements in between.
    node = await (await makePlace(mode)).start({ SWEEP_INTERVAL: '1h', OPERATION_COST_MAX: '1000000' });
    // The notifier executes statements in the background, after changes.
    await notifier.of(node.deps).close();
    alice = await register(node.url, 'alice');
    others = await Promise.all(Array.from({ length: 8 }, (_, index) => register(node.url, `other${index}`)));
    hot = await createGroup(alice, others);
    for (const [index, person] of others.entries()) {
      await send(person, await openDirect(alice, person), `direct ${index}`);
      await send(person, await createGroup(person, [alice]), `in a group ${index} for @${alice.username}`);
    }
    let { id } = await send(alice, hot, `in the hot one of @${alice.username}`);
    const reacting: Promise<void>[] = [];
    for (const person of [...others, ...others]) {
      ({ id } = await reply(person, hot, id, `answered in the hot one to @${alice.username}`));
      reacting.push(react(person, id, '👍'));
    }
    await Promise.all([...reacting, pin(alice, id)]);
  }, 120_000);

  /** The statements for a small page and for a larger one. */
  async function asked(
    query: string,
    sizes: [number, number],
    variables: (size: number) => Json,
    lengthOf: (data: Json) => number,
  ): Promise<[number, number]> {
    const count = async (size: number) => {
      let data: Json;
      const statements = await statementsOf(node, async () => {
        data = await alice.ask(query, variables(size));
      });
      expect(lengthOf(data)).toBe(size);
      return statements.length;
    };
    const few = await count(sizes[0]);
    return [few, await smallest(few + CHANCE + 1, () => count(sizes[1]))];
  }

  it('for a list of conversations do not depend on its size', async () => {
    const [few, many] = await asked(
      LIST,
      [5, 16],
      (first) => ({ first }),
      ({ viewer }) => viewer.conversations.nodes.length,
    );
    expect(many).toBeLessThanOrEqual(few + CHANCE_OF_MUCH);
    expect(many).toBeLessThanOrEqual(30 + CHANCE_OF_MUCH);
  });

  it('for a page of messages do not depend on its size', async () => {
    const [few, many] = await asked(
      HISTORY,
      [2, 16],
      (last) => ({ id: hot, last }),
      ({ conversation }) => conversation.messages.nodes.length,
    );
    expect(many).toBeLessThanOrEqual(few + CHANCE_OF_MUCH);
    expect(many).toBeLessThanOrEqual(30 + CHANCE_OF_MUCH);
  });

  it('for a page of members do not depend on its size', async () => {
    const [few, many] = await asked(
      MEMBERS,
      [3, 9],
      (first) => ({ id: hot, first }),
      ({ conversation }) => conversation.members.nodes.length,
    );
    expect(many).toBeLessThanOrEqual(few + CHANCE);
    expect(many).toBeLessThanOrEqual(10 + CHANCE);
  });

  it('for repeated ids, and for aliases of the same list, are the same as for one', async () => {
    const aliases = (count: number) =>
      Array.from({ length: count }, (_, index) => `a${index}: messages(first: 1) { nodes { id } }`).join(' ');
    const query = (count: number) =>
      `query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Conversation { id ${aliases(count)} } } }`;
    const count = async (ids: number, fields: number) =>
      (await statementsOf(node, () => alice.ask(query(fields), { ids: Array.from({ length: ids }, () => hot) })))
        .length;
    const one = await count(1, 1);
    expect(await smallest(one + CHANCE + 1, () => count(100, 59))).toBeLessThanOrEqual(one + CHANCE);
  });

  it.each([
    ['messages', 'Conversation', 'messages(first: 2) { nodes { id } }'],
    ['messages around one', 'Conversation', 'messages(aroundSeq: 1, first: 2) { nodes { id } }'],
    ['members', 'Conversation', 'members(first: 2) { nodes { id user { id } } }'],
    ['summaries', 'Conversation', 'summaries(first: 2) { nodes { id } }'],
    ['what is the viewer’s own', 'Conversation', 'viewerMembership { id readSeq } counterpart { id }'],
    [
      'conversations of members',
      'Conversation',
      'members(first: 3) { nodes { conversationId user { presence { status } } } }',
    ],
    [
      'messages of messages',
      'Conversation',
      'lastMessage { id conversation { viewerCanSend viewerMembership { id } } }',
    ],
    ['answers', 'Message', 'replies(first: 2) { nodes { id } } replyTo { id }'],
    ['earlier texts', 'Message', 'edits(first: 2) { nodes { text } }'],
    ['receipts', 'Message', 'readBy(first: 2) { nodes { id } } deliveredTo(first: 2) { nodes { id } }'],
    ['the conversation of each', 'Message', 'conversation { counterpart { id } viewerMembership { id } }'],
  ])('for %s do not depend on the number of ids', async (_name, type, fields) => {
    const listed = await alice.ask('{ viewer { conversations(first: 16) { nodes { id lastMessage { id } } } } }');
    const all = listed.viewer.conversations.nodes as Json[];
    const ids = type === 'Message' ? all.map(({ lastMessage }) => lastMessage.id) : all.map(({ id }) => id);
    const query = `query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on ${type} { ${fields} } } }`;
    const count = async (size: number) => {
      let data: Json;
      const statements = await statementsOf(node, async () => {
        data = await alice.ask(query, { ids: ids.slice(0, size) });
      });
      expect(data.nodes.filter(Boolean)).toHaveLength(size);
      return statements.length;
    };
    const few = await count(2);
    expect(await smallest(few + CHANCE + 1, () => count(16))).toBeLessThanOrEqual(few + CHANCE);
  });

  it('for ids that the viewer cannot read do not depend on their number', async () => {
    const [stranger] = [await register(node.url, 'stranger')];
    const listed = await alice.ask(
      '{ viewer { conversations(first: 16) { nodes { id lastMessage { id } viewerMembership { id } } } } }',
    );
    const all = listed.viewer.conversations.nodes as Json[];
    const ids = all.flatMap((each) => [each.id, each.lastMessage.id, each.viewerMembership.id]);
    const count = async (size: number) => {
      let data: Json;
      const statements = await statementsOf(node, async () => {
        data = await stranger.ask('query ($ids: [ID!]!) { nodes(ids: $ids) { id } }', { ids: ids.slice(0, size) });
      });
      expect(data.nodes).toEqual(Array(size).fill(null));
      return statements.length;
    };
    const few = await count(3);
    expect(await smallest(few + CHANCE + 1, () => count(48))).toBeLessThanOrEqual(few + CHANCE);
  });

  it('for an event do not depend on the number of subscribers, also with fields that depend on the viewer', async () => {
    const QUERY = `subscription { messages { type message {
      text sender { viewerHasBlocked viewerIsContact } conversation { viewerCanSend }
    } } }`;
    const asked = async (people: Person[]): Promise<number> => {
      const clients = people.map((person) => connectInTest(node.url, person.token));
      const streams = clients.map((client) => listen(client, QUERY));
      for (const stream of streams) await stream.until(({ type }) => type === 'CAUGHT_UP');
      const text = `to ${people.length}`;
      const statements = await statementsOf(node, async () => {
        await send(alice, hot, text);
        for (const stream of streams) await stream.until(({ message }) => message?.text === text);
      });
      await Promise.all(clients.map((client) => client.dispose()));
      await eventually('all subscriptions are closed', () => node.subscriptionGroups() === 0);
      return statements.length;
    };
    const few = await asked(others.slice(0, 2));
    expect(await smallest(few + CHANCE + 1, () => asked(others))).toBeLessThanOrEqual(few + CHANCE);
  });

  // The statements of PGlite's transactions cannot be observed.
  it.skipIf(mode === 'embedded')(
    'are three for a send, fewer per send for concurrent ones, and none for their delivery',
    async () => {
      const clients = [alice, ...others].map((person) => connectInTest(node.url, person.token));
      const streams = clients.map((client) =>
        listen(
          client,
          `${MESSAGE} subscription { messages { type cursor changeSeq actor { id } message { ...Message } } }`,
        ),
      );
      for (const stream of streams) await stream.until(({ type }) => type === 'CAUGHT_UP');
      const delivered = (text: string) =>
        Promise.all(streams.map((stream) => stream.until(({ message }) => message?.text === text)));
      let count = 0;
      /** The smallest number in several attempts, because the node can execute statements of its own in between. */
      const least = (expected: number, work: (text: string) => Promise<unknown>) =>
        smallest(expected + 1, async () => {
          count += 1;
          const text = `message ${count}`;
          const statements = await statementsOf(node, async () => {
            await work(text);
            await delivered(text);
          });
          return statements.length;
        });
      // One for the session, one for the lock and the permissions, and one for the message, the change and the numbers.
      expect(await least(3, (text) => send(alice, hot, text))).toBe(3);
      const { id } = await send(alice, hot, 'to be answered');
      await delivered('to be answered');
      // And one for the response.
      expect(await least(4, (text) => reply(alice, hot, id, text))).toBe(4);
      const alone = await statementsOf(node, () => react(alice, id, '👍'));
      await Promise.all(streams.map((stream) => stream.until(({ type }) => type === 'REACTED')));
      const emojis = ['🎉', '🚀', '🐳', '🍀', '☕'];
      const withDelivery = await smallest(alone.length + CHANCE + 1, async () => {
        const emoji = emojis.shift() as string;
        const statements = await statementsOf(node, async () => {
          await react(alice, id, emoji);
          await Promise.all(
            streams.map((stream) =>
              stream.until(({ message }) => message?.reactions.some((each: Json) => each.emoji === emoji)),
            ),
          );
        });
        return statements.length;
      });
      // The node may execute some statements of its own, but none for each of the nine subscribers.
      expect(withDelivery).toBeLessThanOrEqual(alone.length + CHANCE);
      const rush = await statementsOf(node, async () => {
        await Promise.all(
          Array.from({ length: 60 }, (_, index) => send(others[index % 8] as Person, hot, `rush ${index}`)),
        );
        for (let index = 0; index < 60; index += 1) await delivered(`rush ${index}`);
      });
      expect(rush.length).toBeLessThan(60 * 2);
    },
  );
});
