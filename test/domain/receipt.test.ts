import { RedisPubSub } from 'graphql-redis-subscriptions';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { idOf } from '../../src/core/ids.js';
import { markRead } from '../../src/domain/receipt/receipt.service.js';
import type { RunningNode } from '../../src/server/start.js';
import {
  connect,
  durationOf,
  eventually,
  type Json,
  type Listening,
  listen,
  type Person,
  register,
  registerAll,
  smallest,
} from '../support/client.js';
import { inOneMode, makePlace, modes, servicesFound, sharedTwo, smallLimits } from '../support/place.js';
import { acknowledge, mark, RECEIPTS, statusOf, unreadOf } from '../support/receipts.js';
import { statementsOf } from '../support/statements.js';
import { attempt, createGroup, openDirect, REMOVE_MEMBER, remove, send } from '../support/talk.js';

const clients: { dispose(): unknown }[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.dispose()));
});

async function follow(url: string, person: Person, variables: Json = {}, query = RECEIPTS): Promise<Listening> {
  const client = connect(url, person.token);
  clients.push(client);
  const field = query === RECEIPTS ? 'receipts' : 'messages';
  const stream = listen(client, query, variables, field);
  await stream.until(({ type }) => type === 'CAUGHT_UP');
  return stream;
}

/** The delivered moves of one conversation. The stream can still deliver the last moves of an earlier test. */
const movesOf = ({ events }: Listening, id: string): Json[] =>
  events.filter(({ type, conversationId }) => type === 'MOVED' && conversationId === id);

const moved = (person: Person, readSeq: number, id: string) => (event: Json) =>
  event.type === 'MOVED' &&
  event.conversationId === id &&
  event.membership.user.id === person.id &&
  event.membership.readSeq === readSeq;

describe.each(modes)('receipts in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  let alice: Person;
  let bob: Person;
  let carol: Person;
  let dave: Person;
  beforeAll(async () => {
    [node, other] = await sharedTwo(mode, smallLimits);
    [alice, bob, carol, dave] = (await Promise.all(
      ['alice', 'bob', 'carol', 'dave'].map((name) => register(node.url, name)),
    )) as [Person, Person, Person, Person];
  });
  afterEach(() => void vi.restoreAllMocks());

  it('move the marks forward only, and at most to the newest message', async () => {
    const [erin, frank] = [await register(node.url, 'erin'), await register(node.url, 'frank')];
    const id = await openDirect(erin, frank);
    for (const text of ['1', '2', '3']) await send(erin, id, text);
    expect(await mark(frank, 'markDelivered', id, 2)).toEqual({ deliveredSeq: 2, readSeq: 0 });
    expect(await mark(frank, 'markRead', id, 1)).toEqual({ deliveredSeq: 2, readSeq: 1 });
    expect(await mark(frank, 'markRead', id, 3)).toEqual({ deliveredSeq: 3, readSeq: 3 });
    expect(await mark(frank, 'markRead', id, 2)).toEqual({ deliveredSeq: 3, readSeq: 3 });
    expect(await mark(frank, 'markDelivered', id, 0)).toEqual({ deliveredSeq: 3, readSeq: 3 });
    const refused = async (person: Person, conversationId: string, seq: number) => {
      const { errors } = await person.request(
        'mutation ($input: MarkReadInput!) { markRead(input: $input) { membership { id } } }',
        { input: { conversationId, seq } },
      );
      return errors?.map(({ extensions: { code, field } }) => `${code} ${field}`);
    };
    expect(await refused(frank, id, 4)).toEqual(['BAD_USER_INPUT input.seq']);
    expect(await refused(frank, id, -1)).toEqual(['BAD_USER_INPUT input.seq']);
    expect(await refused(carol, id, 1)).toEqual(['NOT_FOUND input.conversationId']);
    const open = await createGroup(alice, [bob], { visibility: 'PUBLIC' });
    expect(await refused(carol, open, 0)).toEqual(['FORBIDDEN input.conversationId']);
    expect(await mark(frank, 'markRead', id, 3)).toEqual({ deliveredSeq: 3, readSeq: 3 });
  });

  it('make the status of a message SENT, then DELIVERED to all others, then SEEN by all others', async () => {
    const id = await createGroup(alice, [bob, carol]);
    const first = await send(alice, id, 'first');
    expect(await statusOf(alice, first.id)).toBe('SENT');
    await mark(bob, 'markDelivered', id, 1);
    expect(await statusOf(alice, first.id)).toBe('SENT');
    await mark(carol, 'markRead', id, 1);
    expect(await statusOf(alice, first.id)).toBe('DELIVERED');
    // The status is the same for every viewer.
    expect(await statusOf(bob, first.id)).toBe('DELIVERED');
    await mark(bob, 'markRead', id, 1);
    expect(await statusOf(alice, first.id)).toBe('SEEN');
    const second = await send(bob, id, 'second');
    // The sender's own marks do not count.
    await mark(alice, 'markRead', id, 2);
    await mark(carol, 'markRead', id, 2);
    expect(await statusOf(bob, second.id)).toBe('SEEN');
    const { conversation } = await bob.ask(
      'query ($id: ID!) { conversation(id: $id) { othersReadSeq othersDeliveredSeq } }',
      { id },
    );
    expect(conversation).toEqual({ othersReadSeq: 2, othersDeliveredSeq: 2 });
  });

  itOnce('count members from when they join until they leave', async () => {
    const id = await createGroup(alice, [bob, carol]);
    const before = await send(alice, id, 'before dave');
    await mark(bob, 'markRead', id, 1);
    await alice.ask('mutation ($input: AddMembersInput!) { addMembers(input: $input) { skippedUserIds } }', {
      input: { conversationId: id, userIds: [dave.id] },
    });
    expect(await unreadOf(dave, id)).toBe(0);
    const { node: message } = await alice.ask(
      'query ($id: ID!) { node(id: $id) { ... on Message { readBy { nodes { id } edges { at } } deliveredTo { nodes { id } } } } }',
      { id: before.id },
    );
    expect(message.readBy.nodes).toEqual([{ id: bob.id }]);
    expect(message.deliveredTo.nodes).toEqual([{ id: bob.id }]);
    expect(message.readBy.edges[0].at).toMatch(/^\d{4}-/);
    expect(await statusOf(alice, before.id)).toBe('SENT');
    await carol.ask('mutation ($id: ID!) { leaveConversation(input: { conversationId: $id }) { conversationId } }', {
      id,
    });
    expect(await statusOf(alice, before.id)).toBe('SEEN');
    const alone = await createGroup(alice, []);
    expect(await statusOf(alice, (await send(alice, alone, 'to nobody')).id)).toBe('SENT');
  });

  itOnce('ignore bots and suspended users if there are other recipients', async () => {
    const [erin, frank, greta, bot] = await registerAll(node.url, 'erin', 'frank', 'greta', 'bot');
    const { db } = node.deps.database;
    const change = ({ id }: Person, data: { kind?: 'BOT'; suspendedAt?: Date | null }) =>
      db.user.update({ where: { id: idOf('User', id, 'id') }, data });
    await change(bot, { kind: 'BOT' });
    const id = await createGroup(bot, [erin, frank, greta]);
    const ofBot = await send(bot, id, 'from the bot');
    const ofErin = await send(erin, id, 'from a person');
    for (const person of [erin, frank]) await mark(person, 'markRead', id, 2);
    const othersReadSeq = async (person: Person) =>
      (await person.ask('query ($id: ID!) { conversation(id: $id) { othersReadSeq } }', { id })).conversation
        .othersReadSeq;
    expect(await statusOf(erin, ofErin.id)).toBe('SENT');
    expect(await othersReadSeq(erin)).toBe(0);
    await change(greta, { suspendedAt: new Date() });
    expect(await statusOf(erin, ofErin.id)).toBe('SEEN');
    expect(await statusOf(erin, ofBot.id)).toBe('SEEN');
    expect(await othersReadSeq(erin)).toBe(2);
    await change(greta, { suspendedAt: null });
    expect(await statusOf(erin, ofErin.id)).toBe('SENT');
    await mark(greta, 'markRead', id, 2);
    expect(await statusOf(erin, ofErin.id)).toBe('SEEN');
    // A bot counts if it is the only other member.
    const direct = await openDirect(erin, bot);
    const { id: toBot } = await send(erin, direct, 'are you there?');
    expect(await statusOf(erin, toBot)).toBe('SENT');
    await mark(bot, 'markRead', direct, 1);
    expect(await statusOf(erin, toBot)).toBe('SEEN');
  });

  itOnce('of a user who cannot be written to do not change for others, but for their own devices', async () => {
    const [erin, frank] = await registerAll(node.url, 'erin', 'frank');
    const id = await openDirect(erin, frank);
    for (const text of ['1', '2', '3']) await send(frank, id, text);
    await mark(erin, 'markRead', id, 1);
    const { syncCursor } = (await frank.ask('{ viewer { syncCursor } }')).viewer;
    const [own, theirs] = [await follow(other.url, erin), await follow(other.url, frank)];
    const seen = async () => {
      const { conversation } = await frank.ask(
        `query ($id: ID!) { conversation(id: $id) {
          othersReadSeq othersDeliveredSeq members { nodes { user { id } readSeq deliveredSeq } }
          messages { nodes { status readBy { edges { at node { id } } } deliveredTo { edges { at } } } }
        } }`,
        { id },
      );
      return conversation;
    };
    await attempt(erin, 'blockUser', { userId: frank.id });
    const before = await seen();
    expect(before.messages.nodes.map(({ status }: Json) => status)).toEqual(['SEEN', 'SENT', 'SENT']);
    expect(await mark(erin, 'markDelivered', id, 2)).toEqual({ deliveredSeq: 2, readSeq: 1 });
    expect(await mark(erin, 'markRead', id, 3)).toEqual({ deliveredSeq: 3, readSeq: 3 });
    await own.until(moved(erin, 3, id));
    expect(await unreadOf(erin, id)).toBe(0);
    expect(await seen()).toEqual(before);
    // Neither later events nor a replay reveal the marks.
    await mark(frank, 'markDelivered', id, 3);
    await theirs.until(({ membership }) => membership?.user.id === frank.id);
    const missed = await follow(other.url, frank, { after: syncCursor });
    for (const stream of [theirs, missed]) {
      // Marks from before the block may be delivered, possibly again.
      const moves = movesOf(stream, id).filter(({ membership }) => membership.user.id === erin.id);
      for (const { membership } of moves) expect(membership).toMatchObject({ readSeq: 1, deliveredSeq: 1 });
      expect(movesOf(stream, id).map(({ conversation }) => conversation.othersReadSeq)).not.toContain(3);
    }
    // After the block, the marks are shown when they move again.
    await attempt(erin, 'unblockUser', { userId: frank.id });
    expect((await seen()).messages).toEqual(before.messages);
    await send(frank, id, '4');
    await mark(erin, 'markRead', id, 4);
    await theirs.until(moved(erin, 4, id));
    expect(await statusOf(frank, (await send(frank, id, '5')).id)).toBe('SENT');
    expect((await seen()).messages.nodes.map(({ status }: Json) => status)).toEqual([
      ...['SEEN', 'SEEN', 'SEEN', 'SEEN'],
      'SENT',
    ]);
  });

  itOnce("are delivered to all members, each with the viewer's own view of the others", async () => {
    const id = await createGroup(alice, [bob, carol]);
    await send(alice, id, 'first');
    const [ofAlice, ofBob, ofPhone] = await Promise.all([
      follow(node.url, alice),
      follow(node.url, bob, { conversationId: id }),
      follow(node.url, bob),
    ]);
    await mark(carol, 'markRead', id, 1);
    for (const stream of [ofAlice, ofBob]) {
      const event = await stream.until(moved(carol, 1, id));
      expect(event).toMatchObject({ conversationId: id, membership: { deliveredSeq: 1, unreadCount: null } });
      // For Alice and Carol, Bob has read the least; for Bob himself, it is Alice.
      expect(event.conversation).toEqual({ othersReadSeq: 0, othersDeliveredSeq: 0 });
    }
    await mark(alice, 'markRead', id, 1);
    expect((await ofBob.until(moved(alice, 1, id))).conversation.othersReadSeq).toBe(1);
    expect((await ofAlice.until(moved(alice, 1, id))).conversation.othersReadSeq).toBe(0);
    await mark(bob, 'markRead', id, 1);
    // Own marks are delivered to the user's other devices too.
    expect((await ofPhone.until(moved(bob, 1, id))).membership.unreadCount).toBe(0);
    expect((await ofAlice.until(moved(bob, 1, id))).conversation.othersReadSeq).toBe(1);
  });

  it('resume with each membership that moved, once and in its present state', async () => {
    const id = await createGroup(alice, [bob, carol]);
    for (const text of ['1', '2', '3', '4']) await send(alice, id, text);
    const stream = await follow(node.url, alice);
    await mark(bob, 'markRead', id, 1);
    await stream.until(moved(bob, 1, id));
    const { cursor } = await stream.until(({ type }) => type === 'CHECKPOINT');
    stream.cancel();
    for (const seq of [2, 3, 4]) await mark(bob, 'markRead', id, seq);
    await mark(carol, 'markDelivered', id, 4);
    const again = await follow(node.url, alice, { after: cursor });
    const replayed = movesOf(again, id);
    expect(replayed.map(({ membership }) => [membership.user.id, membership.readSeq]).sort()).toEqual(
      [
        [bob.id, 4],
        [carol.id, 0],
      ].sort(),
    );
    await mark(carol, 'markRead', id, 4);
    const live = await again.until(moved(carol, 4, id));
    expect(live.replayed).toBe(false);
    expect(replayed.every((event) => event.replayed)).toBe(true);
    // The number of a membership grows with each of its moves, in replays as in live events.
    const numberOf = (events: Json[], { id: userId }: Person) =>
      events.find(({ membership }) => membership.user.id === userId)?.changeSeq;
    expect(live.changeSeq).toBeGreaterThan(numberOf(replayed, carol));
    expect(numberOf(replayed, bob)).toBeGreaterThan(numberOf(movesOf(stream, id), bob));
  });

  itOnce('are not delivered to a removed member', async () => {
    const id = await createGroup(alice, [bob, carol]);
    await send(alice, id, 'first');
    const [ofBob, ofAlice, one] = await Promise.all([
      follow(node.url, bob),
      follow(node.url, alice),
      follow(node.url, bob, { conversationId: id }),
    ]);
    await alice.ask(REMOVE_MEMBER, { input: { conversationId: id, userId: bob.id } });
    await mark(carol, 'markRead', id, 1);
    await ofAlice.until(moved(carol, 1, id));
    expect(await one.ended).toBeDefined();
    expect(movesOf(ofBob, id)).toEqual([]);
    const { errors } = await bob.request(
      'mutation ($input: MarkReadInput!) { markRead(input: $input) { membership { id } } }',
      { input: { conversationId: id, seq: 1 } },
    );
    expect(errors?.[0]?.extensions.code).toBe('NOT_FOUND');
  });

  itOnce('are merged: many moves of one user in quick succession cause few writes and events', async () => {
    const id = await openDirect(alice, bob);
    const newest = (await send(alice, id, 'the newest')).seq;
    for (let index = 0; index < 9; index += 1) await send(alice, id, `${index}`);
    const stream = await follow(node.url, alice);
    const statements = await statementsOf(node, async () => {
      const viewer = { userId: idOf('User', bob.id, 'id'), sessionId: '', expiresAt: new Date() };
      const conversationId = idOf('Conversation', id, 'id');
      const moves = Array.from({ length: 100 }, (_, index) => newest + Math.floor(index / 10));
      const answers = await Promise.all(moves.map((seq) => markRead(node.deps, viewer, { conversationId, seq })));
      for (const [index, { mark: own }] of answers.entries())
        expect(own.readSeq).toBeGreaterThanOrEqual(moves[index] ?? 0);
      await stream.until(moved(bob, newest + 9, id));
    });
    expect(statements.filter((text) => text.includes('UPDATE marks')).length).toBeLessThanOrEqual(3);
    const seqs = movesOf(stream, id).map(({ membership }) => membership.readSeq);
    expect(seqs.length).toBeLessThanOrEqual(3);
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
  });

  itOnce('are delivered only to the own devices in groups with more than receiptMaxMembers members', async () => {
    const erin = await register(node.url, 'erin');
    const id = await createGroup(alice, [bob, carol, dave, erin]);
    const { id: messageId } = await send(alice, id, 'to many');
    const [ofAlice, ofBob] = await Promise.all([
      follow(node.url, alice, { conversationId: id }),
      follow(node.url, bob),
    ]);
    for (const person of [carol, dave, erin, bob]) await mark(person, 'markRead', id, 1);
    const own = await ofBob.until(moved(bob, 1, id));
    expect(own.conversation).toEqual({ othersReadSeq: null, othersDeliveredSeq: null });
    await mark(alice, 'markRead', id, 1);
    await ofAlice.until(moved(alice, 1, id));
    for (const [stream, person] of [
      [ofAlice, alice],
      [ofBob, bob],
    ] as const) {
      const delivered = movesOf(stream, id).map(({ membership }) => membership.user.id);
      expect(new Set(delivered)).toEqual(new Set([person.id]));
    }
    expect(await statusOf(alice, messageId)).toBe('SENT');
    const { node: message, conversation } = await alice.ask(
      `query ($id: ID!, $conversation: ID!) {
        node(id: $id) { ... on Message { readBy { nodes { id } } deliveredTo { nodes { id } } } }
        conversation(id: $conversation) {
          othersReadSeq viewerMembership { readSeq } members { nodes { readSeq user { id } } }
        }
      }`,
      { id: messageId, conversation: id },
    );
    expect(message).toEqual({ readBy: null, deliveredTo: null });
    expect(conversation.othersReadSeq).toBeNull();
    expect(conversation.viewerMembership.readSeq).toBe(1);
    for (const { readSeq, user } of conversation.members.nodes) expect(readSeq).toBe(user.id === alice.id ? 1 : null);
  });

  itOnce('can be acknowledged for all conversations with the cursor of a messages stream', async () => {
    const [direct, group] = [await openDirect(carol, dave), await createGroup(carol, [dave, bob])];
    const stream = await follow(
      node.url,
      dave,
      {},
      'subscription { messages { type cursor message { text conversation { id } } } }',
    );
    const sent = [await send(carol, direct, 'one'), await send(carol, group, 'two'), await send(bob, group, 'three')];
    await stream.until(({ message }) => message?.text === 'three');
    const { cursor } = await stream.until(
      ({ type }) => type === 'CHECKPOINT' && stream.events.at(-1)?.type === 'CHECKPOINT',
    );
    const later = await send(carol, group, 'four');
    await acknowledge(dave, cursor);
    await mark(bob, 'markDelivered', group, later.seq);
    expect(await statusOf(carol, sent[0]?.id ?? '')).toBe('DELIVERED');
    expect(await statusOf(carol, sent[1]?.id ?? '')).toBe('DELIVERED');
    expect(await statusOf(carol, later.id)).toBe('SENT');
    const { viewer } = await dave.ask('{ viewer { syncCursor } }');
    await eventually('the cursor covers the message', async () => {
      const now = (await dave.ask('{ viewer { syncCursor } }')).viewer.syncCursor;
      await acknowledge(dave, now, group);
      return (await statusOf(carol, later.id)) === 'DELIVERED';
    });
    expect(viewer.syncCursor).toBeDefined();
    const wrong = async (input: Json) => {
      const { errors } = await dave.request(
        'mutation ($input: AcknowledgeInput!) { acknowledge(input: $input) { cursor } }',
        { input },
      );
      return errors?.map(({ extensions: { code, field } }) => `${code} ${field}`);
    };
    expect(await wrong({ cursor: 'nonsense' })).toEqual(['BAD_USER_INPUT input.cursor']);
    expect(await wrong({ cursor, conversationId: await openDirect(alice, bob) })).toEqual([
      'NOT_FOUND input.conversationId',
    ]);
  });

  it('do not count own and deleted messages as unread', async () => {
    const id = await createGroup(alice, [bob, carol]);
    const ofBob = [];
    for (const text of ['1', '2', '3']) ofBob.push(await send(bob, id, text));
    await send(alice, id, 'her own');
    expect(await unreadOf(alice, id)).toBe(3);
    await remove(bob, ofBob[1]?.id ?? '');
    expect(await unreadOf(alice, id)).toBe(2);
    await mark(alice, 'markRead', id, 1);
    expect(await unreadOf(alice, id)).toBe(1);
    await remove(bob, ofBob[0]?.id ?? '');
    expect(await unreadOf(alice, id)).toBe(1);
    await mark(alice, 'markRead', id, 4);
    expect(await unreadOf(alice, id)).toBe(0);
    await send(carol, id, 'more');
    const { viewer } = await alice.ask(
      '{ viewer { unreadCount conversations(first: 100) { nodes { viewerMembership { unreadCount } } } } }',
    );
    const each = viewer.conversations.nodes.map(({ viewerMembership }: Json) => viewerMembership.unreadCount);
    expect(viewer.unreadCount).toBe(each.reduce((sum: number, count: number) => sum + count, 0));
    // A user who joins again has nothing unread from before.
    await alice.ask(REMOVE_MEMBER, { input: { conversationId: id, userId: carol.id } });
    await send(bob, id, 'without carol');
    await alice.ask('mutation ($input: AddMembersInput!) { addMembers(input: $input) { skippedUserIds } }', {
      input: { conversationId: id, userIds: [carol.id] },
    });
    expect(await unreadOf(carol, id)).toBe(0);
    await send(bob, id, 'with carol');
    expect(await unreadOf(carol, id)).toBe(1);
    // The unread counts of other members are hidden.
    const { conversation } = await bob.ask(
      'query ($id: ID!) { conversation(id: $id) { members { nodes { unreadCount user { id } } } } }',
      { id },
    );
    for (const { unreadCount, user } of conversation.members.nodes)
      expect(unreadCount === null).toBe(user.id !== bob.id);
  });
});

describe.skipIf(!servicesFound)('receipts over two nodes', () => {
  let a: RunningNode;
  let b: RunningNode;
  let alice: Person;
  let bob: Person;
  let carol: Person;
  beforeAll(async () => {
    const place = await makePlace('postgresql');
    [a, b] = await Promise.all([place.start(), place.start()]);
    await eventually('Redis is connected', () => a.deps.bus.connected && b.deps.bus.connected);
    [alice, bob, carol] = (await Promise.all(['alice', 'bob', 'carol'].map((name) => register(a.url, name)))) as [
      Person,
      Person,
      Person,
    ];
  });
  afterEach(() => void vi.restoreAllMocks());

  it('never move back when two devices move them at the same time', async () => {
    const id = await openDirect(alice, bob);
    for (let index = 0; index < 40; index += 1) await send(alice, id, `${index}`);
    const streams = await Promise.all([follow(a.url, alice), follow(b.url, alice, { conversationId: id })]);
    const seqs = Array.from({ length: 40 }, (_, index) => index + 1);
    await Promise.all([
      ...seqs.map((seq) => mark(bob, 'markRead', id, seq)),
      ...[...seqs].reverse().map((seq) => mark(bob.at(b.url), 'markDelivered', id, seq)),
    ]);
    expect(await mark(bob, 'markRead', id, 1)).toEqual({ deliveredSeq: 40, readSeq: 40 });
    for (const stream of streams) {
      await stream.until(moved(bob, 40, id));
      const delivered = movesOf(stream, id).map(({ membership }) => membership);
      for (const field of ['readSeq', 'deliveredSeq']) {
        const values = delivered.map((membership) => membership[field]);
        expect(values).toEqual([...values].sort((one, other) => one - other));
      }
    }
  });

  it('are delivered after their wake-up is lost, and are covered by the next cursor', async () => {
    const id = await createGroup(alice, [bob, carol]);
    for (let seq = 1; seq <= 6; seq += 1) await send(alice, id, `message ${seq}`);
    const stream = await follow(b.url, alice);
    const { publish } = RedisPubSub.prototype;
    vi.spyOn(RedisPubSub.prototype, 'publish').mockImplementation(function (this: RedisPubSub, channel, text) {
      return String(text).includes('MARK_MOVED') ? Promise.resolve() : publish.call(this, channel, text);
    });
    let read = 0;
    const found = () =>
      durationOf(async () => {
        read += 1;
        await mark(bob, 'markRead', id, read);
        await stream.until(moved(bob, read, id));
      });
    // Afterwards, a sweep has just taken place, so that the next one is awaited for the whole interval: a second.
    await found();
    expect(await smallest(2_000, found)).toBeLessThan(2_000);
    vi.restoreAllMocks();
    const { cursor } = await stream.until(
      ({ type }) => type === 'CHECKPOINT' && stream.events.at(-1)?.type === 'CHECKPOINT',
    );
    const again = await follow(a.url, alice, { after: cursor });
    expect(again.events.map(({ type }) => type)).toEqual(['CAUGHT_UP']);
  });

  it('are delivered after an earlier removal of a member, even if the wake-up of the removal is lost', async () => {
    const id = await createGroup(alice, [bob, carol]);
    await send(alice, id, 'first');
    const [ofBob, ofAlice] = await Promise.all([follow(b.url, bob), follow(b.url, alice)]);
    const { publish } = RedisPubSub.prototype;
    vi.spyOn(RedisPubSub.prototype, 'publish').mockImplementation(function (this: RedisPubSub, channel, text) {
      return String(text).includes('MEMBER_LEFT') ? Promise.resolve() : publish.call(this, channel, text);
    });
    await alice.ask(REMOVE_MEMBER, { input: { conversationId: id, userId: bob.id } });
    await mark(carol, 'markRead', id, 1);
    await ofAlice.until(moved(carol, 1, id));
    expect(movesOf(ofBob, id)).toEqual([]);
  });
});
