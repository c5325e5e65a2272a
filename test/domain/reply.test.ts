import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import {
  connectInTest,
  type Json,
  type Listening,
  listen,
  type Person,
  register,
  registerAll,
} from '../support/client.js';
import { inOneMode, modes, sharedTwo } from '../support/place.js';
import { attempt, createGroup, edit, openDirect, remove, reply, send } from '../support/talk.js';

const FIELDS =
  'id text deletedAt replyCount replyTo { id text deletedAt replyCount sender { id } conversation { id } }';
const MESSAGE = `query ($id: ID!) { node(id: $id) { ... on Message { ${FIELDS} } } }`;
const REPLIES = `query ($id: ID!, $first: Int, $after: String) { node(id: $id) { ... on Message {
  replyCount replies(first: $first, after: $after) { nodes { text deletedAt } pageInfo { hasNextPage endCursor } }
} } }`;
const STREAM = `subscription ($after: String) { messages(after: $after) { type cursor messageId message { ${FIELDS} } } }`;

describe.each(modes)('replies in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  let ana: Person;
  let bob: Person;
  let carol: Person;
  let group: string;
  beforeAll(async () => {
    [node, other] = await sharedTwo(mode);
    [ana, bob, carol] = await registerAll(node.url, 'ana', 'bob', 'carol');
    group = await createGroup(ana, [bob, carol]);
  });

  const of = async (person: Person, id: string) => (await person.ask(MESSAGE, { id })).node;
  const countOf = async (id: string) => (await of(ana, id)).replyCount;
  const trySend = (person: Person, conversationId: string, replyToId: string, more: Json = {}) =>
    attempt(person, 'sendMessage', { conversationId, replyToId, text: 'an answer', ...more }, 'message { id }');
  async function follow(person: Person, url: string, variables: Json = {}): Promise<Listening> {
    const stream = listen(connectInTest(url, person.token), STREAM, variables);
    await stream.until(({ type }) => type === 'CAUGHT_UP');
    return stream;
  }

  it('show the quoted message, which lists them oldest first in pages', async () => {
    const first = await send(ana, group, 'a question');
    expect(await of(bob, first.id)).toMatchObject({ replyTo: null, replyCount: 0 });
    const one = await reply(bob, group, first.id, 'one');
    await reply(carol, group, first.id, 'two');
    await reply(ana, group, one.id, 'to one');
    await reply(ana, group, first.id, 'three');
    expect(await of(carol, one.id)).toMatchObject({
      text: 'one',
      replyCount: 1,
      replyTo: { id: first.id, text: 'a question', sender: { id: ana.id }, conversation: { id: group }, replyCount: 3 },
    });
    const { node: page } = await bob.ask(REPLIES, { id: first.id, first: 2 });
    expect(page.replies.nodes.map(({ text }: Json) => text)).toEqual(['one', 'two']);
    expect(page.replies.pageInfo.hasNextPage).toBe(true);
    const { node: rest } = await bob.ask(REPLIES, { id: first.id, first: 2, after: page.replies.pageInfo.endCursor });
    expect(rest.replies).toMatchObject({ nodes: [{ text: 'three' }], pageInfo: { hasNextPage: false } });
  });

  itOnce('show the quoted message as edited or deleted, and remain', async () => {
    const first = await send(ana, group, 'a question');
    const answer = await reply(bob, group, first.id, 'an answer');
    await edit(ana, first.id, 'another question');
    expect((await of(bob, answer.id)).replyTo.text).toBe('another question');
    await remove(ana, first.id);
    const { text, replyTo } = await of(bob, answer.id);
    expect([text, replyTo.id, replyTo.text]).toEqual(['an answer', first.id, null]);
    expect(replyTo.deletedAt).not.toBeNull();
    // A client that is just sending a reply may not know about the deletion yet.
    await reply(carol, group, first.id, 'late');
    expect(await countOf(first.id)).toBe(2);
  });

  it('are counted correctly under concurrent sends and deletions, without deleted ones', async () => {
    const first = await send(ana, group, 'a question');
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        reply((index % 2 ? bob : bob.at(other.url)) as Person, group, first.id, `answer ${index}`),
      ),
    );
    expect(await countOf(first.id)).toBe(30);
    await Promise.all(answers.slice(0, 12).map(({ id }, index) => remove(index % 2 ? bob : ana, id)));
    const { node: asked } = await ana.ask(REPLIES, { id: first.id, first: 100 });
    expect(asked.replyCount).toBe(18);
    expect(asked.replies.nodes.filter(({ deletedAt }: Json) => deletedAt !== null)).toHaveLength(12);
    expect(asked.replies.nodes).toHaveLength(30);
  });

  it('are delivered as events with the quoted message and its reply count, live and replayed', async () => {
    const first = await send(ana, group, 'a question');
    const streams = await Promise.all([follow(ana, node.url), follow(carol, other.url)]);
    const { cursor } = streams[0]?.events[0] ?? {};
    const answers = [];
    for (const text of ['one', 'two']) answers.push(await reply(bob, group, first.id, text));
    await remove(bob, answers[0]?.id ?? '');
    for (const stream of streams) {
      await stream.until(({ type }) => type === 'DELETED');
      const events = stream.events.filter(({ message }) => message?.replyTo?.id === first.id);
      expect(events.map(({ type, message }) => [type, message.replyTo.text, message.replyTo.replyCount])).toEqual([
        ['SENT', 'a question', 1],
        ['SENT', 'a question', 2],
        ['DELETED', 'a question', 1],
      ]);
    }
    const again = await follow(carol, node.url, { after: cursor });
    const replayed = again.events.filter(({ message }) => message?.replyTo?.id === first.id);
    expect(replayed.map(({ type, message }) => [type, message.replyTo.replyCount])).toEqual([
      ['SENT', 1],
      ['DELETED', 1],
    ]);
  });

  itOnce('are accepted only to visible user messages of the same conversation', async () => {
    const direct = await openDirect(ana, bob);
    const elsewhere = await send(ana, direct, 'elsewhere');
    const field = 'NOT_FOUND input.replyToId';
    expect(await trySend(ana, group, elsewhere.id)).toBe(field);
    expect(await trySend(carol, group, elsewhere.id)).toBe(field);
    expect(await trySend(ana, group, 'Message_AaH9b5HNcECpvBfEbG_tgA')).toBe(field);
    expect(await trySend(ana, group, ana.id)).toBe('BAD_USER_INPUT input.replyToId');
    const stranger = await register(node.url, 'stranger');
    const first = await send(ana, group, 'a question');
    expect(await trySend(stranger, group, first.id)).toBe('NOT_FOUND input.conversationId');
    // A rejected send does not delay concurrent ones, and leaves no gap in the numbers.
    const before = await send(ana, group, 'before');
    const [refused, ...taken] = await Promise.all([
      trySend(ana, group, elsewhere.id),
      reply(ana, group, first.id, 'taken'),
      send(bob, group, 'taken too'),
    ]);
    expect(refused).toBe(field);
    expect(taken.map(({ seq }) => seq).sort()).toEqual([before.seq + 1, before.seq + 2]);
  });

  itOnce('hide a quoted message from before a member joined', async () => {
    const own = await createGroup(ana, [bob], { historyVisibility: 'SINCE_JOINED' });
    const before = await send(ana, own, 'before');
    const [late] = await registerAll(node.url, 'late');
    await attempt(ana, 'addMembers', { conversationId: own, userIds: [late.id] });
    const streams = await Promise.all([follow(bob, node.url), follow(late, node.url), follow(late, other.url)]);
    const { cursor } = streams[1]?.events[0] ?? {};
    const answer = await reply(bob, own, before.id, 'an answer');
    const seen = await Promise.all(streams.map((stream) => stream.until(({ messageId }) => messageId === answer.id)));
    expect(seen.map(({ message }) => message.replyTo?.text ?? null)).toEqual(['before', null, null]);
    const again = await follow(late, node.url, { after: cursor });
    expect(again.events.find(({ messageId }) => messageId === answer.id)?.message.replyTo).toBeNull();
    expect((await of(late, answer.id)).replyTo).toBeNull();
    expect((await of(bob, answer.id)).replyTo.text).toBe('before');
    expect(await trySend(late, own, before.id)).toBe('NOT_FOUND input.replyToId');
    // The reply to the hidden message is visible.
    const theirs = await reply(late, own, answer.id, 'to that');
    expect((await of(late, theirs.id)).replyTo.id).toBe(answer.id);
  });

  itOnce('are stored once per key, and conflict if the key was used for another quoted message', async () => {
    const [first, second] = [await send(ana, group, 'a question'), await send(ana, group, 'another')];
    const keyed = { clientMessageId: 'a key of an answer' };
    const stored = await trySend(bob, group, first.id, keyed);
    expect(await trySend(bob, group, first.id, keyed)).toEqual(stored);
    expect(await trySend(bob, group, second.id, keyed)).toBe('CONFLICT input.clientMessageId');
    expect(await attempt(bob, 'sendMessage', { conversationId: group, text: 'an answer', ...keyed })).toBe(
      'CONFLICT input.clientMessageId',
    );
    expect(await countOf(first.id)).toBe(1);
    const [one, other] = await Promise.all([
      trySend(bob, group, first.id, { clientMessageId: 'at once' }),
      trySend(bob, group, first.id, { clientMessageId: 'at once' }),
    ]);
    expect(one).toEqual(other);
    expect(await countOf(first.id)).toBe(2);
  });
});
