import type { Client } from 'graphql-ws';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { connect, eventually, type Json, listen, type Person, register, registerAll } from '../support/client.js';
import { modes, sharedTwo, smallLimits } from '../support/place.js';
import { PRESENCE, statusesOf, untilStatus } from '../support/presence.js';

const clients: Client[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.dispose()));
});

describe.each(modes)('contacts in %s mode', (mode) => {
  let node: RunningNode;
  let other: RunningNode;
  beforeAll(async () => {
    [node, other] = await sharedTwo(mode, smallLimits);
  });
  const makePeople = (...names: string[]) =>
    Promise.all(names.map((name) => register(node.url, name))) as Promise<[Person, Person, Person, Person, Person]>;
  const change = async (person: Person, mutation: 'addContact' | 'removeContact', userId: string) => {
    const type = mutation === 'addContact' ? 'AddContactInput' : 'RemoveContactInput';
    const { data, errors } = await person.request(
      `mutation ($input: ${type}!) { ${mutation}(input: $input) { contact { id viewerIsContact } } }`,
      { input: { userId } },
    );
    const [error] = errors ?? [];
    return error ? `${error.extensions.code} ${error.extensions.field}` : data[mutation].contact;
  };
  const contactsOf = async (person: Person, args: Json = {}) =>
    (
      await person.ask(
        `query ($first: Int, $after: String) { viewer { contacts(first: $first, after: $after) {
          totalCount nodes { id } edges { addedAt } pageInfo { hasNextPage endCursor }
        } } }`,
        args,
      )
    ).viewer.contacts;

  it('are returned by addContact as an item of the list, also when they were contacts before', async () => {
    const [alice, bob, carol] = await makePeople('alice', 'bob', 'carol');
    const add = async (userId: string) =>
      (
        await alice.ask(
          `mutation ($userId: ID!) { addContact(input: { userId: $userId }) { contactEdge { cursor addedAt node { id } } } }`,
          { userId },
        )
      ).addContact.contactEdge;
    const edges = [await add(bob.id), await add(carol.id)];
    const { contacts } = (await alice.ask('{ viewer { contacts { edges { cursor addedAt node { id } } } } }')).viewer;
    expect(contacts.edges).toEqual([...edges].reverse());
    expect(await add(bob.id)).toEqual(edges[0]);
  });

  it('are added and removed once, and listed latest first in pages', async () => {
    const [alice, bob, carol, dave] = await makePeople('alice', 'bob', 'carol', 'dave');
    for (const { id } of [bob, carol, dave, bob]) {
      expect(await change(alice, 'addContact', id)).toEqual({ id, viewerIsContact: true });
    }
    const all = await contactsOf(alice);
    expect(all.nodes.map(({ id }: Json) => id)).toEqual([dave.id, carol.id, bob.id]);
    expect(all.totalCount).toBe(3);
    expect(all.edges[0].addedAt).toMatch(/^\d{4}-/);
    const first = await contactsOf(alice, { first: 2 });
    expect(first.pageInfo.hasNextPage).toBe(true);
    const rest = await contactsOf(alice, { first: 2, after: first.pageInfo.endCursor });
    expect(rest.nodes).toEqual([{ id: bob.id }]);
    for (const _twice of [1, 2]) {
      expect(await change(alice, 'removeContact', carol.id)).toEqual({ id: carol.id, viewerIsContact: false });
    }
    expect((await contactsOf(alice)).nodes.map(({ id }: Json) => id)).toEqual([dave.id, bob.id]);
    // Each user has their own list.
    expect((await contactsOf(bob)).totalCount).toBe(0);
  });

  it('must be other existing users, and are limited in number', async () => {
    const [erin, ...others] = await makePeople('erin', 'b', 'c', 'd', 'e');
    expect(await change(erin, 'addContact', erin.id)).toBe('BAD_USER_INPUT input.userId');
    expect(await change(erin, 'addContact', 'nonsense')).toMatch(/ input\.userId$/);
    const { id } = others[0];
    const { db } = node.deps.database;
    for (const person of others.slice(0, 3)) await change(erin, 'addContact', person.id);
    expect(await change(erin, 'addContact', others[3]?.id ?? '')).toBe('FORBIDDEN input.userId');
    expect(await change(erin, 'addContact', id)).toEqual({ id, viewerIsContact: true });
    await db.user.updateMany({ where: { username: others[3]?.username ?? '' }, data: { deletedAt: new Date() } });
    await change(erin, 'removeContact', id);
    expect(await change(erin, 'addContact', others[3]?.id ?? '')).toBe('NOT_FOUND input.userId');
  });

  it('are limited in number also when they are added concurrently', async () => {
    const [ana, ...others] = await registerAll(node.url, 'ana', 'b', 'c', 'd', 'e', 'f', 'g');
    const answers = await Promise.all(
      others.map(({ id }, index) => change(ana.at(index % 2 ? other.url : node.url), 'addContact', id)),
    );
    expect(answers.filter((answer) => answer === 'FORBIDDEN input.userId')).toHaveLength(3);
    expect((await contactsOf(ana)).totalCount).toBe(3);
  });

  it("can see each other's presence only when each has the other as a contact", async () => {
    const [alice, bob] = await makePeople('alice', 'bob');
    clients.push(connect(node.url, bob.token, { lazy: false, onNonLazyError: () => {} }));
    await change(alice, 'addContact', bob.id);
    const presence = async (viewer = alice) =>
      (await viewer.ask('query ($id: ID!) { user(id: $id) { presence { status } } }', { id: bob.id })).user.presence;
    await eventually('Bob is online', async () => (await presence(bob))?.status === 'ONLINE');
    expect(await presence()).toBeNull();
    const watch = () => {
      const client = connect(node.url, alice.token);
      clients.push(client);
      return listen(client, PRESENCE, {}, 'presence');
    };
    const before = watch();
    await untilStatus(before, alice, 'ONLINE');
    expect(statusesOf(before, bob)).toEqual([]);
    await change(bob, 'addContact', alice.id);
    expect(await presence()).toEqual({ status: 'ONLINE' });
    await untilStatus(watch(), bob, 'ONLINE');
  });
});
