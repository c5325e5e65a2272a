import { beforeAll, describe, expect, it } from 'vitest';
import { decodeGlobalId } from '../../src/core/ids.js';
import { streamMessages } from '../../src/domain/message/message.service.js';
import type { RunningNode } from '../../src/server/start.js';
import {
  connectInTest,
  eventually,
  type Json,
  type Listening,
  listen,
  type Person,
  register,
  registerAll,
} from '../support/client.js';
import { inOneMode, makePlace, modes, type Place, startTwo } from '../support/place.js';
import { attempt, createGroup, edit, MESSAGES, openDirect, remove, send } from '../support/talk.js';

const HISTORY = `query ($id: ID!, $first: Int, $last: Int, $aroundSeq: Int) { conversation(id: $id) {
  latestSeq historyVisibility lastMessage { seq }
  messages(first: $first, last: $last, aroundSeq: $aroundSeq) { nodes { seq } pageInfo { hasPreviousPage hasNextPage } }
} }`;
const NODES = 'query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Message { text } } }';

describe.each(modes)('history for members who join later in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let place: Place;
  let node: RunningNode;
  let other: RunningNode;
  let ana: Person;
  beforeAll(async () => {
    place = await makePlace(mode);
    [node, other] = await startTwo(place);
    ana = await register(node.url, 'ana');
  });

  const seqsOf = async (person: Person, id: string, args: Json = { last: 100 }) =>
    (await person.ask(HISTORY, { id, ...args })).conversation.messages.nodes.map(({ seq }: Json) => seq);
  const add = (conversationId: string, ...people: Person[]) =>
    attempt(ana, 'addMembers', { conversationId, userIds: people.map(({ id }) => id) });
  async function follow(person: Person, variables: Json = {}): Promise<Listening> {
    const client = connectInTest(other.url, person.token);
    const stream = listen(client, MESSAGES, variables);
    await stream.until(({ type }) => type === 'CAUGHT_UP');
    return stream;
  }
  /** Creates a group with two messages from before `late` joined, and two from after. */
  async function makeGroup(historyVisibility: string) {
    const [early, late] = await registerAll(node.url, 'early', 'late');
    const cursor: string = (await late.ask('{ viewer { syncCursor } }')).viewer.syncCursor;
    const group = await createGroup(ana, [early], { historyVisibility });
    const before = [await send(ana, group, 'one'), await send(early, group, 'two')];
    await add(group, late);
    const after = [await send(ana, group, 'three'), await send(early, group, 'four')];
    return { early, late, group, before, after, cursor };
  }

  itOnce('is complete by default', async () => {
    const { late, group, before } = await makeGroup('ALL');
    expect(await seqsOf(late, group)).toEqual([1, 2, 3, 4]);
    const { nodes } = await late.ask(NODES, { ids: before.map(({ id }) => id) });
    expect(nodes.map(({ text }: Json) => text)).toEqual(['one', 'two']);
  });

  it('starts when they join if the group is configured so, in every query', async () => {
    const { early, late, group, before, after } = await makeGroup('SINCE_JOINED');
    expect(await seqsOf(early, group)).toEqual([1, 2, 3, 4]);
    expect(await seqsOf(late, group)).toEqual([3, 4]);
    expect(await seqsOf(late, group, { first: 1 })).toEqual([3]);
    expect(await seqsOf(late, group, { first: 4, aroundSeq: 2 })).toEqual([3, 4]);
    const { conversation } = await late.ask(HISTORY, { id: group, last: 2 });
    expect(conversation).toMatchObject({ historyVisibility: 'SINCE_JOINED', latestSeq: 4, lastMessage: { seq: 4 } });
    expect(conversation.messages.pageInfo).toEqual({ hasPreviousPage: false, hasNextPage: false });
    const { nodes } = await late.ask(NODES, { ids: [...before, ...after].map(({ id }) => id) });
    expect(nodes.map((each: Json) => each?.text ?? null)).toEqual([null, null, 'three', 'four']);
    expect((await late.ask('query ($id: ID!) { node(id: $id) { id } }', { id: before[0]?.id })).node).toBeNull();
  });

  itOnce('does not show a last message from before they joined', async () => {
    const late = await register(node.url, 'late');
    const group = await createGroup(ana, [], { historyVisibility: 'SINCE_JOINED' });
    await send(ana, group, 'before');
    await add(group, late);
    expect((await late.ask(HISTORY, { id: group, last: 1 })).conversation).toMatchObject({
      latestSeq: 1,
      lastMessage: null,
    });
  });

  // One at a time, because streams of the same user share what they have read.
  itOnce.each(['of one conversation', 'of all'])('hides changes of earlier messages on streams %s', async (which) => {
    const { early, late, group, before, after, cursor } = await makeGroup('SINCE_JOINED');
    const variables = which === 'of all' ? {} : { conversationId: group };
    const seqs = (stream: Listening) => stream.events.flatMap(({ message }) => message?.seq ?? []);
    const [live, ofEarly] = await Promise.all([follow(late, variables), follow(early, variables)]);
    await edit(ana, before[0]?.id ?? '', 'one, edited');
    await remove(early, before[1]?.id ?? '');
    await edit(ana, after[0]?.id ?? '', 'three, edited');
    for (const stream of [live, ofEarly]) await stream.until(({ message }) => message?.text === 'three, edited');
    expect([live, ofEarly].map(seqs)).toEqual([[3], [1, 2, 3]]);
    for (const stream of [live, ofEarly]) stream.cancel();
    await eventually('all listeners are removed', () => other.deps.feed.listeners === 0);
    // The edit is the newest of the replayed changes.
    expect(seqs(await follow(late, { ...variables, after: cursor }))).toEqual([4, 3]);
  });

  itOnce('cannot be changed either, including their own messages from before they left', async () => {
    const { early, late, group } = await makeGroup('SINCE_JOINED');
    const own = await send(late, group, 'mine');
    await attempt(late, 'leaveConversation', { conversationId: group });
    await add(group, late);
    for (const [mutation, input] of [
      ['editMessage', { messageId: own.id, text: 'changed' }],
      ['deleteMessage', { messageId: own.id }],
    ] as const) {
      expect(await attempt(late, mutation, input)).toBe('NOT_FOUND input.messageId');
    }
    expect(await seqsOf(late, group)).toEqual([]);
    expect(await seqsOf(early, group)).toHaveLength(5);
  });

  itOnce(
    'is hidden on every node also from users who join while they are subscribed, and from users who join again',
    async () => {
      const late = await register(node.url, 'late');
      const group = await createGroup(ana, [], { historyVisibility: 'SINCE_JOINED' });
      const first = await send(ana, group, 'first');
      const stream = await follow(late);
      await add(group, late);
      const second = await send(ana, group, 'second');
      await stream.until(({ messageId }) => messageId === second.id);
      await edit(ana, first.id, 'first, edited');
      await attempt(ana, 'removeMember', { conversationId: group, userId: late.id });
      const third = await send(ana, group, 'third');
      await add(group, late);
      await edit(ana, third.id, 'third, edited');
      await edit(ana, second.id, 'second, edited');
      const fourth = await send(ana, group, 'fourth');
      await stream.until(({ messageId }) => messageId === fourth.id);
      expect(stream.events.flatMap(({ message }) => message?.text ?? [])).toEqual(['second', 'fourth']);
    },
  );

  describe('with delays', () => {
    /** A stream of messages that is only read when the test reads it. */
    const openStream = (
      at: RunningNode,
      person: Person,
      conversationId: string | null,
      after: string | null = null,
    ) => {
      const viewer = {
        userId: decodeGlobalId(person.id, 'id').id,
        sessionId: '',
        expiresAt: new Date(Date.now() + 60_000),
      };
      const within = conversationId && decodeGlobalId(conversationId, 'id').id;
      // Like a WebSocket, which ends together with its session.
      return streamMessages(at.deps, viewer, { renew() {} }, { conversationId: within, after });
    };
    const textOf = ({ value }: IteratorResult<Json>) => value?.change?.data.message.text ?? value?.type;
    const join = (group: string, late: Person) => add(group, late);
    const leave = (group: string, { id }: Person) =>
      attempt(ana, 'removeMember', { conversationId: group, userId: id });
    const cursorOf = async (person: Person) => (await person.ask('{ viewer { syncCursor } }')).viewer.syncCursor;

    itOnce.each(['of one conversation', 'of all'])(
      'is judged when it happens, not when it is read: streams %s',
      async (which) => {
        const [late] = await registerAll(node.url, 'late');
        const group = await createGroup(ana, [], { historyVisibility: 'SINCE_JOINED' });
        const secret = await send(ana, group, 'secret');
        await join(group, late);
        const stream = await openStream(node, late, which === 'of all' ? null : group);
        expect(textOf(await stream.next())).toBe('CAUGHT_UP');
        await edit(ana, secret.id, 'secret, edited');
        await leave(group, late);
        const direct = await openDirect(ana, late);
        await send(ana, direct, 'after it');
        const next = await stream.next().catch((error: Json) => error.code);
        expect(typeof next === 'string' ? next : textOf(next)).toBe(which === 'of all' ? 'after it' : 'NOT_FOUND');
        stream.end();
      },
    );

    itOnce('is not replayed to a user who is removed before the replay is read', async () => {
      const [late] = await registerAll(node.url, 'late');
      const group = await createGroup(ana, [], { historyVisibility: 'SINCE_JOINED' });
      const secret = await send(ana, group, 'secret');
      await join(group, late);
      const cursor = await cursorOf(late);
      const seen = await send(ana, group, 'seen');
      await edit(ana, secret.id, 'secret, edited');
      const stream = await openStream(node, late, null, cursor);
      await leave(group, late);
      await edit(ana, seen.id, 'written after late was put out');
      for (let event = await stream.next(); textOf(event) !== 'CAUGHT_UP'; event = await stream.next()) {
        expect(textOf(event)).toBe('neither the one nor the other');
      }
      stream.end();
    });

    // A node that receives no wake-ups and only reads the log.
    describe.skipIf(mode === 'embedded')('on a node without wake-ups', () => {
      let deaf: RunningNode;
      beforeAll(async () => {
        deaf = await place.start({ REDIS_PREFIX: `${place.env['REDIS_PREFIX']}_deaf` });
      });

      it('is not delivered to a user who is added to a group that was just created', async () => {
        const [late] = await registerAll(node.url, 'late');
        const client = connectInTest(deaf.url, late.token);
        const stream = listen(client, MESSAGES);
        await stream.until(({ type }) => type === 'CAUGHT_UP');
        const group = await createGroup(ana, [], { historyVisibility: 'SINCE_JOINED' });
        await send(ana, group, 'secret');
        await join(group, late);
        await send(ana, group, 'welcome');
        await stream.until(({ message }) => message?.text === 'welcome');
        expect(stream.events.flatMap(({ message }) => message?.text ?? [])).toEqual(['welcome']);
      });

      it('is delivered and hidden according to the new membership of a user who joins again, also if the node lags behind', async () => {
        const [late, stays] = await registerAll(node.url, 'late', 'stays');
        const setHistory = (conversationId: string, historyVisibility: string) =>
          attempt(ana, 'updateGroup', { conversationId, historyVisibility });
        const client = connectInTest(deaf.url, stays.token);
        await listen(client, MESSAGES).until(({ type }) => type === 'CAUGHT_UP');
        for (const [before, after, expected] of [
          ['ALL', 'SINCE_JOINED', []],
          ['SINCE_JOINED', 'ALL', ['old, edited', 'while late was out']],
        ] as const) {
          const group = await createGroup(ana, [stays], { historyVisibility: before });
          const old = await send(ana, group, 'old');
          await join(group, late);
          await deaf.deps.feed.sweep();
          const cursor = await cursorOf(late.at(deaf.url));
          await leave(group, late);
          await setHistory(group, after);
          await edit(ana, old.id, 'old, edited');
          await send(ana, group, 'while late was out');
          await join(group, late);
          const stream = await openStream(deaf, late, group, cursor);
          const texts: string[] = [];
          for (let event = await stream.next(); textOf(event) !== 'CAUGHT_UP'; event = await stream.next()) {
            texts.push(textOf(event));
          }
          expect(texts, `${before}, then ${after}`).toEqual(expected);
          stream.end();
        }
      });

      it.each([
        ['ALL', 'SINCE_JOINED', ['welcome']],
        ['SINCE_JOINED', 'ALL', ['seen, edited', 'welcome']],
      ] as const)(
        'continues for a member who left and joined again before subscribing (%s, then %s)',
        async (before, after, expected) => {
          // The node only sweeps when the test calls it.
          const lagging = await place.start({
            REDIS_PREFIX: `${place.env['REDIS_PREFIX']}_lagging`,
            SWEEP_INTERVAL: '1h',
          });
          const [late, stays] = await registerAll(node.url, 'late', 'stays');
          const stayed = await openStream(lagging, stays, null);
          const group = await createGroup(ana, [stays], { historyVisibility: before });
          await join(group, late);
          await lagging.deps.feed.sweep();
          const seen = await send(ana, group, 'seen');
          await leave(group, late);
          await attempt(ana, 'updateGroup', { conversationId: group, historyVisibility: after });
          await edit(ana, seen.id, 'seen, edited');
          await send(ana, group, 'while late was out');
          await join(group, late);

          const stream = await openStream(lagging, late, group);
          expect(textOf(await stream.next())).toBe('CAUGHT_UP');
          await lagging.deps.feed.sweep();
          await send(ana, group, 'welcome');
          await lagging.deps.feed.sweep();
          for (const text of expected) expect(textOf(await stream.next())).toBe(text);

          await leave(group, late);
          await lagging.deps.feed.sweep();
          await expect(stream.next()).rejects.toMatchObject({ code: 'NOT_FOUND' });
          stayed.end();
        },
      );

      it('does not treat an old departure that is delivered while a subscription starts as a present one', async () => {
        const lagging = await place.start({
          REDIS_PREFIX: `${place.env['REDIS_PREFIX']}_lagging`,
          SWEEP_INTERVAL: '1h',
        });
        const [late, stays] = await registerAll(node.url, 'late', 'stays');
        const stayed = await openStream(lagging, stays, null);
        const group = await createGroup(ana, [stays]);
        await join(group, late);
        await lagging.deps.feed.sweep();
        await leave(group, late);
        await join(group, late);
        const { sql } = lagging.deps.database;
        const { query } = sql;
        let delivered = 0;
        sql.query = async <Row>(statement: Parameters<typeof query>[0]): Promise<Row[]> => {
          const rows = await query<Row>(statement);
          // The access of the new listener has been read. The lane delivers before the result arrives.
          if (delivered === 0 && statement.sql.includes('memberships.hidden_to_seq')) {
            sql.query = query;
            delivered += 1;
            await lagging.deps.feed.sweep();
          }
          return rows;
        };
        const stream = await openStream(lagging, late, group);
        expect(delivered).toBe(1);
        await send(ana, group, 'welcome');
        await lagging.deps.feed.sweep();
        expect(textOf(await stream.next())).toBe('CAUGHT_UP');
        expect(textOf(await stream.next())).toBe('welcome');
        stream.end();
        stayed.end();
      });
    });
  });

  itOnce('is configured by owners, and applies to users who join from then on', async () => {
    const { late, group } = await makeGroup('SINCE_JOINED');
    const [newest] = await registerAll(node.url, 'newest');
    const update = (person: Person, historyVisibility: string) =>
      attempt(
        person,
        'updateGroup',
        { conversationId: group, historyVisibility },
        'conversation { historyVisibility }',
      );
    await attempt(ana, 'setMemberRole', { conversationId: group, userId: late.id, role: 'ADMIN' });
    expect(await update(late, 'ALL')).toBe('FORBIDDEN input.historyVisibility');
    expect(await update(ana, 'ALL')).toEqual({ conversation: { historyVisibility: 'ALL' } });
    await add(group, newest);
    expect(await seqsOf(newest, group)).toEqual([1, 2, 3, 4]);
    expect(await seqsOf(late, group)).toEqual([3, 4]);
    const direct = await openDirect(ana, late);
    expect((await late.ask(HISTORY, { id: direct, last: 1 })).conversation.historyVisibility).toBe('ALL');
  });
});
