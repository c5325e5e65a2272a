import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { decodeGlobalId } from '../../src/core/ids.js';
import type { RunningNode } from '../../src/server/start.js';
import { connect, type Json, type Listening, listen, type Person, register, registerAll } from '../support/client.js';
import { detailModes, inOneMode, makePlace, modes, startTwo } from '../support/place.js';
import { attempt, createGroup, openDirect, send } from '../support/talk.js';

const CONVERSATIONS = `subscription { conversations {
  type conversationId conversation { title description imageUrl visibility memberCount } membership { role user { id } }
} }`;
const FIELDS = 'id title description imageUrl visibility memberCount';

const clients: { dispose(): unknown }[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.dispose()));
});

describe.each(modes)('groups in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let owner: Person;
  let admin: Person;
  let member: Person;
  let outsider: Person;
  beforeAll(async () => {
    node = await (await makePlace(mode)).start({ GROUP_MAX_MEMBERS: '4' });
    [owner, admin, member, outsider] = (await Promise.all(
      ['owner', 'admin', 'member', 'outsider'].map((name) => register(node.url, name)),
    )) as [Person, Person, Person, Person];
  });

  async function follow(person: Person): Promise<Listening> {
    const client = connect(node.url, person.token);
    clients.push(client);
    const stream = listen(client, CONVERSATIONS, {}, 'conversations');
    await stream.until(({ type }) => type === 'CAUGHT_UP');
    return stream;
  }
  const act = (person: Person, mutation: string, input: Json, selection = `conversation { ${FIELDS} }`) =>
    attempt(person, mutation, input, selection);
  const setRole = (person: Person, conversationId: string, other: Person, role: string) =>
    act(person, 'setMemberRole', { conversationId, userId: other.id, role }, 'membership { role user { id } }');
  const update = (person: Person, conversationId: string, input: Json) =>
    act(person, 'updateGroup', { conversationId, ...input });

  /** Creates a group with an owner, an admin and a member. */
  async function makeGroup(more: Json = {}): Promise<string> {
    const group = await createGroup(owner, [admin, member], more);
    await setRole(owner, group, admin, 'ADMIN');
    return group;
  }

  it('can be changed by owners and admins, with an event for every member', async () => {
    const group = await makeGroup({ description: 'Before' });
    const streams = await Promise.all([owner, admin, member].map(follow));
    const outside = await follow(outsider);
    const changed = await update(admin, group, { title: 'After', imageUrl: 'https://example.com/a.png' });
    expect(changed.conversation).toMatchObject({
      title: 'After',
      description: 'Before',
      imageUrl: 'https://example.com/a.png',
    });
    for (const stream of streams) {
      const event = await stream.until(
        ({ type, conversation }) => type === 'UPDATED' && conversation.title === 'After',
      );
      expect(event.conversation).toMatchObject({ description: 'Before', imageUrl: 'https://example.com/a.png' });
    }
    const cleared = await update(owner, group, { description: null, imageUrl: null });
    expect(cleared.conversation).toMatchObject({ title: 'After', description: null, imageUrl: null });
    // Setting the present values is not a change.
    const { db } = node.deps.database;
    const before = await db.conversation.findFirstOrThrow({ where: { title: 'After' } });
    await update(owner, group, { title: 'After' });
    await update(owner, group, {});
    expect((await db.conversation.findFirstOrThrow({ where: { id: before.id } })).changeSeq).toBe(before.changeSeq);
    expect(outside.events.map(({ type }) => type)).toEqual(['CAUGHT_UP']);
  });

  itOnce('cannot be changed by other users, or to invalid values', async () => {
    const group = await makeGroup();
    expect(await update(member, group, { title: 'x' })).toBe('FORBIDDEN');
    expect(await update(outsider, group, { title: 'x' })).toBe('NOT_FOUND input.conversationId');
    expect(await update(admin, group, { visibility: 'PUBLIC' })).toBe('FORBIDDEN input.visibility');
    expect(await update(owner, group, { title: ' ' })).toBe('BAD_USER_INPUT input.title');
    expect(await update(owner, group, { title: null })).toBe('BAD_USER_INPUT input.title');
    expect(await update(owner, group, { imageUrl: 'javascript:alert(1)' })).toBe('BAD_USER_INPUT input.imageUrl');
    expect(await update(owner, group, { description: 'x'.repeat(1_001) })).toBe('BAD_USER_INPUT input.description');
    expect(await update(owner, await openDirect(owner, member), { title: 'x' })).toBe('FORBIDDEN input.conversationId');
    expect((await update(owner, group, { visibility: 'PUBLIC' })).conversation.visibility).toBe('PUBLIC');
    expect(await update(outsider, group, { title: 'x' })).toBe('FORBIDDEN input.conversationId');
  });

  itOnce('have roles that only owners can change, and always an owner', async () => {
    const group = await makeGroup();
    const stream = await follow(member);
    expect(await setRole(owner, group, member, 'ADMIN')).toEqual({
      membership: { role: 'ADMIN', user: { id: member.id } },
    });
    const event = await stream.until(({ type }) => type === 'MEMBER_UPDATED');
    expect(event.membership).toEqual({ role: 'ADMIN', user: { id: member.id } });
    expect(await setRole(admin, group, member, 'MEMBER')).toBe('FORBIDDEN');
    expect(await setRole(outsider, group, member, 'MEMBER')).toBe('NOT_FOUND input.conversationId');
    expect(await setRole(owner, group, outsider, 'MEMBER')).toBe('NOT_FOUND input.userId');
    expect(await setRole(owner, group, owner, 'MEMBER')).toBe('CONFLICT input.role');
    await setRole(owner, group, member, 'OWNER');
    expect(await setRole(owner, group, owner, 'MEMBER')).toMatchObject({ membership: { role: 'MEMBER' } });
    expect(await setRole(owner, group, admin, 'MEMBER')).toBe('FORBIDDEN');
    expect(await setRole(member, group, member, 'OWNER')).toMatchObject({ membership: { role: 'OWNER' } });
    // If two owners step down at the same time, one remains.
    await setRole(member, group, owner, 'OWNER');
    const stepped = await Promise.all([setRole(owner, group, owner, 'ADMIN'), setRole(member, group, member, 'ADMIN')]);
    expect(stepped.filter((answer) => answer === 'CONFLICT input.role' || answer === 'FORBIDDEN').length).toBe(1);
  });

  it('can be joined and then read if they are public', async () => {
    const group = await makeGroup({ visibility: 'PUBLIC' });
    await send(owner, group, 'before');
    const [own, others] = await Promise.all([follow(outsider), follow(member)]);
    const joined = await act(outsider, 'joinConversation', { conversationId: group });
    expect(joined.conversation).toMatchObject({ id: group, memberCount: 4 });
    expect((await own.until(({ type }) => type === 'JOINED')).conversationId).toBe(group);
    const event = await others.until(({ type }) => type === 'MEMBER_JOINED');
    expect(event.membership).toEqual({ role: 'MEMBER', user: { id: outsider.id } });
    expect((await send(outsider, group, 'hello')).seq).toBe(2);
    // Repeating it has no effect.
    expect((await act(outsider, 'joinConversation', { conversationId: group })).conversation.memberCount).toBe(4);
    const late = await register(node.url, 'late');
    expect(await act(late, 'joinConversation', { conversationId: group })).toBe('FORBIDDEN input.conversationId');
    const closed = await makeGroup();
    expect(await act(late, 'joinConversation', { conversationId: closed })).toBe('NOT_FOUND input.conversationId');
    const direct = await openDirect(owner, member);
    expect(await act(late, 'joinConversation', { conversationId: direct })).toBe('NOT_FOUND input.conversationId');
  });

  it('are found by prefixes of words if they are public, latest activity first', async () => {
    const titles = ['Zebra Café', 'Zebra Crossing', 'The Zebras of São Paulo'];
    const ids: string[] = [];
    for (const title of titles) ids.push(await createGroup(owner, [], { title, visibility: 'PUBLIC' }));
    await createGroup(owner, [], { title: 'Zebra in secret' });
    await send(owner, ids[0] as string, 'the latest');
    const find = async (search: string | null, more: Json = {}) => {
      const { publicConversations } = await outsider.ask(
        `query ($search: String, $first: Int, $after: String) {
          publicConversations(search: $search, first: $first, after: $after) {
            nodes { title } pageInfo { hasNextPage endCursor }
          }
        }`,
        { search, ...more },
      );
      return publicConversations;
    };
    const found = async (search: string | null) => (await find(search)).nodes.map(({ title }: Json) => title);
    expect(await found('zeb')).toEqual([titles[0], titles[2], titles[1]]);
    expect(await found('ZEBRA cafe')).toEqual([titles[0]]);
    expect(await found('paulo sao')).toEqual([titles[2]]);
    expect(await found('ebra')).toEqual([]);
    expect(await found(' ')).toEqual([]);
    expect(await found("zebra' | ':*")).toEqual([titles[0], titles[2], titles[1]]);
    const first = await find('zebra', { first: 2 });
    expect(first).toMatchObject({
      nodes: [{ title: titles[0] }, { title: titles[2] }],
      pageInfo: { hasNextPage: true },
    });
    const rest = await find('zebra', { first: 2, after: first.pageInfo.endCursor });
    expect(rest).toMatchObject({ nodes: [{ title: titles[1] }], pageInfo: { hasNextPage: false } });
    expect((await found(null)).slice(0, 1)).toEqual([titles[0]]);
    // Found by its new title after the change, and not at all when it is no longer public.
    await update(owner, ids[1] as string, { title: 'Okapi Crossing' });
    expect(await found('okapi')).toEqual(['Okapi Crossing']);
    expect(await found('zebra crossing')).toEqual([]);
    await update(owner, ids[1] as string, { visibility: 'PRIVATE' });
    expect(await found('okapi')).toEqual([]);
    const { errors } = await outsider.request('{ publicConversations(search: "x", first: 0) { nodes { id } } }');
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'first' });
  });
});

describe.each(detailModes)('the limits of groups per user in %s mode', (mode) => {
  const rowOf = (person: Person) => decodeGlobalId(person.id, 'id').id;

  it('are separate for groups that a user creates or joins, and for those to which others add the user', async () => {
    const { url, deps } = await (await makePlace(mode)).start({ GROUPS_MAX: '2', GROUPS_ADDED_MAX: '3' });
    const [ana, bob, carol, dave, eve] = await registerAll(url, 'ana', 'bob', 'carol', 'dave', 'eve');
    const membersOf = async (id: string) =>
      (await ana.ask('query ($id: ID!) { conversation(id: $id) { memberCount } }', { id })).conversation.memberCount;
    const add = (person: Person, conversationId: string) =>
      attempt(person, 'addMembers', { conversationId, userIds: [ana.id] }, 'skippedUserIds');

    // One user can add another to a tenth of them, here to one.
    const ofBob = await createGroup(bob, [ana, carol], { visibility: 'PUBLIC' });
    expect(await membersOf(ofBob)).toBe(3);
    expect(await membersOf(await createGroup(bob, [ana], { visibility: 'PUBLIC' }))).toBe(1);
    expect(await attempt(bob, 'createGroup', { title: 'One too many' })).toBe('FORBIDDEN');
    for (const person of [carol, dave]) {
      expect(await membersOf(await createGroup(person, [ana], { visibility: 'PUBLIC' }))).toBe(2);
    }
    const ofEve = await createGroup(eve, [ana], { visibility: 'PUBLIC' });
    expect(await membersOf(ofEve)).toBe(1);
    expect(await add(eve, ofEve)).toEqual({ skippedUserIds: [ana.id] });

    // Independently of these, two own groups remain possible.
    await createGroup(ana, []);
    expect(await attempt(ana, 'joinConversation', { conversationId: ofEve })).toMatchObject({});
    expect(await attempt(ana, 'createGroup', { title: 'One too many' })).toBe('FORBIDDEN');
    expect(await attempt(ana, 'leaveConversation', { conversationId: ofEve })).toMatchObject({});
    expect(await attempt(ana, 'leaveConversation', { conversationId: ofBob })).toMatchObject({});
    expect(await add(eve, ofEve)).toEqual({ skippedUserIds: [] });
    expect(await attempt(ana, 'joinConversation', { conversationId: ofBob })).toMatchObject({});

    // For memberships without a stored adder, the group determines it: she created one of them, and joined none.
    await deps.database.db.$executeRaw`UPDATE memberships SET added_by_id = NULL WHERE user_id = ${rowOf(ana)}::uuid`;
    await deps.database.db.$executeRaw`
      UPDATE conversations SET visibility = 'PRIVATE'
      WHERE id IN (SELECT conversation_id FROM memberships WHERE user_id = ${rowOf(ana)}::uuid)`;
    await createGroup(ana, []);
    expect(await attempt(ana, 'createGroup', { title: 'One too many' })).toBe('FORBIDDEN');
  });

  it('hold for concurrent calls that add the same user', async () => {
    const [node, other] = await startTwo(await makePlace(mode), { GROUPS_ADDED_MAX: '2' });
    const [ana, ...others] = await registerAll(node.url, 'ana', 'one', 'two', 'three', 'four');
    const groups = await Promise.all(others.map((person) => createGroup(person, [])));
    await Promise.all(
      others.flatMap((person, index) => [
        createGroup(person.at(index % 2 ? other.url : node.url), [ana]),
        attempt(person, 'addMembers', { conversationId: groups[index], userIds: [ana.id] }),
      ]),
    );
    const { viewer } = await ana.ask('{ viewer { conversations { nodes { id } } } }');
    expect(viewer.conversations.nodes).toHaveLength(2);
  }, 120_000);

  it('include GROUP_ADD_MAX, the number of users that one call can add', async () => {
    const { url } = await (await makePlace(mode)).start({ GROUP_ADD_MAX: '1' });
    const [ana, bob, carol] = await registerAll(url, 'ana', 'bob', 'carol');
    const input = { title: 'Both at once', memberIds: [bob.id, carol.id] };
    expect(await attempt(ana, 'createGroup', input)).toBe('BAD_USER_INPUT input.memberIds');
    const conversationId = await createGroup(ana, [bob]);
    const both = { conversationId, userIds: [bob.id, carol.id] };
    expect(await attempt(ana, 'addMembers', both)).toBe('BAD_USER_INPUT input.userIds');
    expect(await attempt(ana, 'addMembers', { conversationId, userIds: [carol.id] })).toMatchObject({});
  });
});
