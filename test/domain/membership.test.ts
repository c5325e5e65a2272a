import { afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { erasures } from '../../src/domain/account/erasures.js';
import { readabilityLookup } from '../../src/domain/conversation/conversation.store.js';
import type { RunningNode } from '../../src/server/start.js';
import { connect, eventually, type Json, type Listening, listen, type Person, register } from '../support/client.js';
import { inOneMode, modes, sharedNode } from '../support/place.js';
import { attempt, createGroup, MESSAGES, openDirect, send, trySend } from '../support/talk.js';

const ADD = `mutation ($input: AddMembersInput!) {
  addMembers(input: $input) { conversation { id memberCount } skippedUserIds }
}`;
const REMOVE_MEMBER = `mutation ($input: RemoveMemberInput!) {
  removeMember(input: $input) { conversationId userId conversation { memberCount } }
}`;
const LEAVE = `mutation ($input: LeaveConversationInput!) {
  leaveConversation(input: $input) { conversationId conversation { id } }
}`;
const CONVERSATIONS = `subscription ($after: String) {
  conversations(after: $after) {
    type cursor conversationId userId membershipId changeSeq replayed
    actor { id }
    conversation { id title memberCount viewerMembership { role } }
    membership { role user { id username } }
  }
}`;
const SYNC = '{ viewer { syncCursor conversations { nodes { id memberCount } } } }';
const absent = (type: string) => `${type}_AaH9b5HNcECpvBfEbG_tgA`;

describe.each(modes)('memberships of a group in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let url: string;
  let alice: Person;
  let bob: Person;
  let carol: Person;
  let dave: Person;
  const clients: { dispose(): unknown }[] = [];

  beforeAll(async () => {
    node = await sharedNode(mode);
    ({ url } = node);
    [alice, bob, carol, dave] = (await Promise.all(
      ['alice', 'bob', 'carol', 'dave'].map((name) => register(url, name)),
    )) as [Person, Person, Person, Person];
  });
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.dispose()));
  });

  const follow = async (
    person: Person,
    field: 'messages' | 'conversations',
    variables: object = {},
  ): Promise<Listening> => {
    const client = connect(url, person.token);
    clients.push(client);
    const stream = listen(client, field === 'messages' ? MESSAGES : CONVERSATIONS, variables, field);
    await stream.until(({ type }) => type === 'CAUGHT_UP');
    return stream;
  };
  const add = (person: Person, conversationId: string, userIds: string[]) =>
    person.request(ADD, { input: { conversationId, userIds } });
  const removeMember = (person: Person, conversationId: string, userId: string) =>
    person.request(REMOVE_MEMBER, { input: { conversationId, userId } });
  const leave = (person: Person, conversationId: string) => person.request(LEAVE, { input: { conversationId } });
  const members = async (conversationId: string): Promise<Record<string, string>> => {
    const rows = await node.deps.database.db.membership.findMany({
      where: { conversation: { id: rowId(conversationId) } },
      include: { user: true },
    });
    return Object.fromEntries(rows.map(({ user, role }) => [user.username, role]));
  };
  const rowId = (globalId: string) => {
    const hex = Buffer.from(globalId.split('_').slice(1).join('_'), 'base64url').toString('hex');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  };

  itOnce('show nothing to removed members, even for an old clientMessageId', async () => {
    const group = await createGroup(alice, [bob]);
    const repeat = () =>
      attempt(bob, 'sendMessage', { conversationId: group, text: 'hi', clientMessageId: `to ${group}` });
    expect(await repeat()).toMatchObject({});
    const own = { title: 'Mine', memberIds: [alice.id], clientGroupId: `of ${group}` };
    const made = await attempt(bob, 'createGroup', own, 'conversation { id title }');
    await attempt(alice, 'removeMember', { conversationId: group, userId: bob.id });
    await attempt(bob, 'leaveConversation', { conversationId: made.conversation.id });
    await attempt(alice, 'updateGroup', { conversationId: made.conversation.id, title: 'Not for Bob' });
    expect(await repeat()).toBe('NOT_FOUND input.conversationId');
    expect(await attempt(bob, 'createGroup', own, 'conversation { id title }')).toBe('NOT_FOUND input.clientGroupId');
    await attempt(alice, 'addMembers', { conversationId: group, userIds: [bob.id] });
    expect(await repeat()).toMatchObject({});
    expect(
      (await alice.ask('query ($id: ID!) { conversation(id: $id) { latestSeq } }', { id: group })).conversation
        .latestSeq,
    ).toBe(1);
  });

  describe('addMembers', () => {
    it('adds users, lists those who cannot be added, and has no effect when repeated', async () => {
      const group = await createGroup(alice, []);
      const ids = [bob.id, carol.id, bob.id, absent('User')];
      const { data } = await add(alice, group, ids);
      expect(data.addMembers).toEqual({
        conversation: { id: group, memberCount: 3 },
        skippedUserIds: [absent('User')],
      });
      expect((await add(alice, group, ids)).data).toEqual(data);
      expect(await members(group)).toEqual({
        [alice.username]: 'OWNER',
        [bob.username]: 'MEMBER',
        [carol.username]: 'MEMBER',
      });
      expect((await send(bob, group, 'thanks')).seq).toBe(1);
    });

    itOnce('is for owners and admins of groups', async () => {
      const group = await createGroup(alice, [bob]);
      const room = await createGroup(alice, [], { visibility: 'PUBLIC' });
      const direct = await openDirect(alice, bob);
      const code = async (answer: Promise<Json>) => (await answer).errors?.[0]?.extensions.code;
      expect(await code(add(bob, group, [carol.id]))).toBe('FORBIDDEN');
      expect(await code(add(carol, group, [carol.id]))).toBe('NOT_FOUND');
      expect(await code(add(carol, room, [carol.id]))).toBe('FORBIDDEN');
      expect(await code(add(alice, direct, [carol.id]))).toBe('FORBIDDEN');
      expect(await code(add(alice, absent('Conversation'), [carol.id]))).toBe('NOT_FOUND');
      expect(Object.keys(await members(group))).toHaveLength(2);
    });

    itOnce.each([
      ['an id of something else', () => ({ userIds: [absent('Message')] }), 'input.userIds.0'],
      ['too many', () => ({ userIds: Array.from({ length: 101 }, () => bob.id) }), 'input.userIds'],
      ['a malformed conversation', () => ({ conversationId: 'x' }), 'input.conversationId'],
    ])('rejects %s', async (_what, wrong, field) => {
      const group = await createGroup(alice, []);
      const { errors } = await alice.request(ADD, { input: { conversationId: group, userIds: [bob.id], ...wrong() } });
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field });
      expect(Object.keys(await members(group))).toHaveLength(1);
    });
  });

  describe('removeMember', () => {
    it('removes a member, has no effect when repeated, and notifies only the remaining members', async () => {
      const group = await createGroup(alice, [bob]);
      const { data } = await removeMember(alice, group, bob.id);
      expect(data.removeMember).toEqual({ conversationId: group, userId: bob.id, conversation: { memberCount: 1 } });
      expect((await removeMember(alice, group, bob.id)).data).toEqual(data);
      expect(
        (await bob.ask('query ($id: ID!) { conversation(id: $id) { id } }', { id: group })).conversation,
      ).toBeNull();
      expect((await trySend(bob, group, 'hello?')).errors?.[0]?.extensions.code).toBe('NOT_FOUND');
    });

    itOnce('is allowed according to roles', async () => {
      const group = await createGroup(alice, [bob, carol, dave]);
      const code = async (answer: Promise<Json>) => (await answer).errors?.[0]?.extensions.code;
      await node.deps.database.db.membership.updateMany({
        where: { conversationId: rowId(group), user: { username: { in: [bob.username] } } },
        data: { role: 'ADMIN' },
      });
      expect(await code(removeMember(carol, group, dave.id))).toBe('FORBIDDEN');
      expect(await code(removeMember(bob, group, alice.id))).toBe('FORBIDDEN');
      expect(await code(removeMember(bob, group, bob.id))).toBe('BAD_USER_INPUT');
      expect(await code(removeMember(bob, group, dave.id))).toBeUndefined();
      expect(await code(removeMember(alice, group, bob.id))).toBeUndefined();
      expect(Object.keys(await members(group)).sort()).toEqual([alice.username, carol.username].sort());
    });

    itOnce('rejects sends of a removed member that are waiting', async () => {
      const group = await createGroup(alice, [bob]);
      const sends = Array.from({ length: 40 }, (_, index) => trySend(bob, group, `late ${index}`));
      const removed = removeMember(alice, group, bob.id);
      const answers = await Promise.all(sends);
      await removed;
      const { id } = await node.deps.database.db.conversation.findUniqueOrThrow({ where: { id: rowId(group) } });
      const leftAt = await node.deps.database.db.change.findFirstOrThrow({
        where: { conversationId: id, type: 'MEMBER_LEFT' },
      });
      const after = await node.deps.database.db.change.count({
        where: { conversationId: id, changeSeq: { gt: leftAt.changeSeq } },
      });
      expect(after).toBe(0);
      const stored = await node.deps.database.db.message.count({ where: { conversationId: id } });
      expect(answers.filter(({ errors }) => !errors)).toHaveLength(stored);
    });

    itOnce(
      "ends the removed member's stream of the group and its events in their stream of all conversations",
      async () => {
        const group = await createGroup(alice, [bob, carol]);
        const [one, all, others] = [
          await follow(bob, 'messages', { conversationId: group }),
          await follow(bob, 'messages'),
          await follow(carol, 'messages'),
        ];
        await send(alice, group, 'while all are here');
        await one.until(({ message }) => message?.text === 'while all are here');
        await removeMember(alice, group, bob.id);
        const errors = (await one.ended) as { extensions: object }[];
        expect(errors[0]?.extensions).toMatchObject({ code: 'NOT_FOUND', field: 'conversationId' });
        await send(alice, group, 'without Bob');
        const direct = await openDirect(alice, bob);
        await send(alice, direct, 'to Bob alone');
        await others.until(({ message }) => message?.text === 'without Bob');
        await all.until(({ message }) => message?.text === 'to Bob alone');
        expect(all.events.flatMap(({ message }) => message?.text ?? [])).toEqual([
          'while all are here',
          'to Bob alone',
        ]);
      },
    );
  });

  describe('leaveConversation', () => {
    it('makes the longest-standing member the owner if the last owner leaves', async () => {
      const group = await createGroup(alice, [bob]);
      await add(alice, group, [carol.id]);
      expect((await leave(alice, group)).data.leaveConversation).toEqual({ conversationId: group, conversation: null });
      expect(await members(group)).toEqual({ [bob.username]: 'OWNER', [carol.username]: 'MEMBER' });
      expect((await leave(alice, group)).errors?.[0]?.extensions.code).toBe('NOT_FOUND');
      await leave(bob, group);
      await leave(carol, group);
      expect(await members(group)).toEqual({});
    });

    itOnce(
      'prefers persons to bots as new owners, suspended users last, and never chooses deleted accounts',
      async () => {
        const [owner, gone, suspended, bot, person, admin, suspendedAdmin] = (await Promise.all(
          ['owner', 'gone', 'suspended', 'bot', 'person', 'admin', 'suspended_admin'].map((name) =>
            register(url, name),
          ),
        )) as [Person, Person, Person, Person, Person, Person, Person];
        const group = await createGroup(owner, []);
        const inOrder = [gone, suspended, bot, suspendedAdmin, person, admin];
        for (const { id } of inOrder) await add(owner, group, [id]);
        const { db } = node.deps.database;
        const rowOf = ({ id }: Person) => ({ id: rowId(id) });
        await db.membership.updateMany({
          where: {
            conversationId: rowId(group),
            userId: { in: [gone, admin, suspendedAdmin].map(({ id }) => rowId(id)) },
          },
          data: { role: 'ADMIN' },
        });
        await db.user.update({ where: rowOf(bot), data: { kind: 'BOT' } });
        await db.user.updateMany({
          where: { id: { in: [suspended, suspendedAdmin].map(({ id }) => rowId(id)) } },
          data: { suspendedAt: new Date() },
        });
        // The state while a deleted account is being removed from its groups.
        await db.user.update({ where: rowOf(gone), data: { deletedAt: new Date() } });
        const order = [owner, admin, person, bot, suspendedAdmin];
        for (const [index, next] of order.slice(1).entries()) {
          await leave(order[index] as Person, group);
          const owners = Object.entries(await members(group)).filter(([, role]) => role === 'OWNER');
          expect(owners).toEqual([[next.username, 'OWNER']]);
        }
      },
    );

    itOnce('gives a group an owner if a user joins while it only has members with deleted accounts', async () => {
      const [owner, gone] = [await register(url, 'owner'), await register(url, 'gone')];
      const room = await createGroup(owner, [gone], { visibility: 'PUBLIC' });
      await node.deps.database.db.user.update({ where: { id: rowId(gone.id) }, data: { deletedAt: new Date() } });
      await leave(owner, room);
      await attempt(alice, 'joinConversation', { conversationId: room });
      expect(await members(room)).toEqual({ [gone.username]: 'MEMBER', [alice.username]: 'MEMBER' });
      await node.deps.database.db.erasure.create({ data: { userId: rowId(gone.id) } });
      erasures.of(node.deps).begin();
      await eventually(
        'the user who joined owns the group',
        async () => (await members(room))[alice.username] === 'OWNER',
      );
      expect(Object.keys(await members(room))).toHaveLength(1);
    });

    itOnce('keeps a public group visible, and is rejected for direct conversations', async () => {
      const room = await createGroup(alice, [], { visibility: 'PUBLIC' });
      await add(alice, room, [bob.id]);
      expect((await leave(bob, room)).data.leaveConversation.conversation).toEqual({ id: room });
      const direct = await openDirect(alice, bob);
      expect((await leave(bob, direct)).errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    });
  });

  describe('the conversations subscription', () => {
    it('delivers joins and departures of the viewer and of other members', async () => {
      const stream = await follow(bob, 'conversations');
      let group = '';
      // The stream can also contain the last changes of an earlier test, which the node had not delivered yet.
      const changes = () =>
        stream.events.filter((event) => event.type === 'CAUGHT_UP' || event.conversationId === group);
      // Events contain the current state, so each is received before the next change.
      const received = (count: number) => eventually('the event is received', () => changes().length > count);
      group = await createGroup(alice, [bob], { title: 'Climbing' });
      await received(1);
      await add(alice, group, [carol.id]);
      await received(2);
      await leave(carol, group);
      await received(3);
      await removeMember(alice, group, bob.id);
      await received(4);
      await add(alice, group, [dave.id]);
      await add(alice, group, [bob.id]);
      await received(5);
      const conversation = { id: group, title: 'Climbing' };
      expect(changes()).toMatchObject([
        { type: 'CAUGHT_UP', conversationId: null, conversation: null },
        { type: 'JOINED', conversation: { ...conversation, memberCount: 2 }, actor: { id: alice.id } },
        { type: 'MEMBER_JOINED', conversation, membership: { role: 'MEMBER', user: { id: carol.id } } },
        { type: 'MEMBER_LEFT', conversation, userId: carol.id, actor: { id: carol.id } },
        { type: 'LEFT', conversationId: group, conversation: null, userId: bob.id, actor: { id: alice.id } },
        { type: 'JOINED', conversation: { ...conversation, memberCount: 3 }, membership: { user: { id: bob.id } } },
      ]);
    });

    itOnce('delivers a conversation whose member was removed before the event was resolved', async () => {
      const stream = await follow(bob, 'conversations');
      const { services } = node.deps;
      const lookup = readabilityLookup.of(node.deps);
      onTestFinished(() => services.replace(readabilityLookup, lookup));
      let removing: Promise<unknown> | undefined;
      let resolve: (id: string) => void = () => {};
      const created = new Promise<string>((resolveIt) => {
        resolve = resolveIt;
      });
      services.replace(readabilityLookup, async (key) => {
        if (key.userId === rowId(bob.id)) {
          removing ??= created.then((id) => removeMember(alice, id, bob.id));
          await removing;
        }
        return lookup(key);
      });
      resolve(await createGroup(alice, [bob]));
      await stream.until(({ type }) => type === 'LEFT');
      expect(stream.events.find(({ type }) => type === 'JOINED')).toMatchObject({
        conversation: { viewerMembership: null },
      });
    });

    itOnce('names the membership that ended, as the payloads do, live and replayed', async () => {
      const group = await createGroup(alice, [bob, carol, dave]);
      const { conversation } = await alice.ask(
        'query ($id: ID!) { conversation(id: $id) { members(first: 10) { nodes { id user { id } } } } }',
        { id: group },
      );
      const membershipOf = ({ id }: Person): string =>
        conversation.members.nodes.find(({ user }: Json) => user.id === id).id;
      await node.deps.feed.sweep();
      const { viewer } = await dave.ask(SYNC);
      const [ofBob, ofDave] = [await follow(bob, 'conversations'), await follow(dave, 'conversations')];
      const removal = () => attempt(alice, 'removeMember', { conversationId: group, userId: bob.id }, 'membershipId');
      expect(await removal()).toEqual({ membershipId: membershipOf(bob) });
      expect(await removal()).toEqual({ membershipId: null });
      expect(await attempt(carol, 'leaveConversation', { conversationId: group }, 'membershipId')).toEqual({
        membershipId: membershipOf(carol),
      });
      expect(await ofBob.until(({ type }) => type === 'LEFT')).toMatchObject({ membershipId: membershipOf(bob) });
      await ofDave.until(({ userId }) => userId === carol.id);
      const again = await follow(dave, 'conversations', { after: viewer.syncCursor });
      const ended = (stream: Listening) =>
        stream.events.flatMap(({ type, userId, membershipId, changeSeq, replayed }) =>
          type === 'MEMBER_LEFT' ? [{ userId, membershipId, changeSeq, replayed }] : [],
        );
      const [first, second] = ended(ofDave);
      expect(ended(ofDave)).toEqual([
        { userId: bob.id, membershipId: membershipOf(bob), changeSeq: expect.any(Number), replayed: false },
        { userId: carol.id, membershipId: membershipOf(carol), changeSeq: expect.any(Number), replayed: false },
      ]);
      expect(second?.changeSeq).toBeGreaterThan(first?.changeSeq);
      expect(ended(again)).toEqual([
        { ...first, replayed: true },
        { ...second, replayed: true },
      ]);
      expect(again.events.at(-1)).toMatchObject({ type: 'CAUGHT_UP', changeSeq: null, replayed: false });
    });

    it('with a syncCursor delivers each missed change once, in its current state', async () => {
      const [erin, frank] = [await register(url, 'erin'), await register(url, 'frank')];
      const [stays, goes] = [await createGroup(erin, [frank]), await createGroup(erin, [frank])];
      await node.deps.feed.sweep();
      const { viewer } = await frank.ask(SYNC);
      expect(viewer.conversations.nodes).toHaveLength(2);
      await add(erin, stays, [alice.id, bob.id]);
      await removeMember(erin, stays, alice.id);
      await removeMember(erin, goes, frank.id);
      await send(erin, goes, 'not for Frank any more');
      const fresh = await openDirect(erin, frank);
      const { events } = await follow(frank, 'conversations', { after: viewer.syncCursor });
      const seen = events.map(({ type, conversationId, userId }) => [type, conversationId, userId]);
      expect(seen.pop()?.[0]).toBe('CAUGHT_UP');
      expect(seen.sort()).toEqual(
        [
          ['MEMBER_JOINED', stays, null],
          ['MEMBER_LEFT', stays, alice.id],
          ['LEFT', goes, frank.id],
          ['JOINED', fresh, null],
        ].sort(),
      );
      const messages = await follow(frank, 'messages', { after: viewer.syncCursor });
      expect(messages.events.filter(({ message }) => message?.conversation.id === goes)).toEqual([]);
    });
  });
});
