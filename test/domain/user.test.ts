import { beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../src/core/ids.js';
import { searchWordsOf } from '../../src/domain/user/user.store.js';
import type { RunningNode } from '../../src/server/start.js';
import { type Person, register } from '../support/client.js';
import { detailModes, makePlace } from '../support/place.js';
import { openDirect, send } from '../support/talk.js';

const USERS = `query ($search: String!, $first: Int, $after: String) {
  users(search: $search, first: $first, after: $after) {
    nodes { username displayName }
    edges { cursor node { username } }
    pageInfo { hasNextPage hasPreviousPage endCursor }
  }
}`;

describe.each(detailModes)('users in %s mode', (mode) => {
  let node: RunningNode;
  let alice: Person;
  let bob: Person;

  beforeAll(async () => {
    node = await (await makePlace(mode)).start();
    [alice, bob] = await Promise.all([register(node.url, 'alice'), register(node.url, 'bob')]);
    const people: [string, string][] = [
      ['zoe.k', 'Zoë Krüger'],
      ['z_oliver', 'Oliver Zander'],
      ['maria', 'María José Núñez'],
      ['jose', 'José Ángel'],
      ['ivan', 'Иван Петров'],
      ['quote', "O'Brien \\ & | ! ( :* <-> '"],
    ];
    await node.deps.database.db.user.createMany({
      data: people.map(([username, displayName]) => ({
        id: newId(),
        username,
        usernameKey: username,
        displayName,
        searchWords: searchWordsOf({ username, displayName }),
      })),
    });
  });

  const found = async (search: string, args: object = {}): Promise<string[]> =>
    (await alice.ask(USERS, { search, ...args })).users.nodes.map(({ username }: { username: string }) => username);

  it('are found by prefixes of the username and of words of the display name, ignoring case and accents', async () => {
    expect(await found('zo')).toEqual(['zoe.k']);
    expect(await found('ZOË')).toEqual(['zoe.k']);
    expect(await found('kruger')).toEqual(['zoe.k']);
    expect(await found('zoe.k')).toEqual(['zoe.k']);
    expect(await found('z_o')).toEqual(['z_oliver']);
    expect(await found('jose')).toEqual(['jose', 'maria']);
    expect(await found('nunez jos')).toEqual(['maria']);
    expect(await found('пет')).toEqual(['ivan']);
    expect(await found('ruger')).toEqual([]);
    expect(await found("o'bri")).toEqual(['quote']);
  });

  it.each(['', '  ', "'", '\\', ':*', '&|!()<->', "' | 'xq", '%', '\u{1f600}'])(
    'are not found by %j',
    async (search) => {
      expect(await found(search)).toEqual([]);
    },
  );

  it('are listed in pages by username', async () => {
    const first = (await alice.ask(USERS, { search: 'jo', first: 1 })).users;
    expect(first).toMatchObject({ nodes: [{ username: 'jose' }], pageInfo: { hasNextPage: true } });
    const second = (await alice.ask(USERS, { search: 'jo', first: 1, after: first.pageInfo.endCursor })).users;
    expect(second).toMatchObject({ nodes: [{ username: 'maria' }], pageInfo: { hasNextPage: false } });
  });

  it.each([
    ['first', { search: 'jo', first: 0 }],
    ['first', { search: 'jo', first: 101 }],
    ['after', { search: 'jo', after: 'x' }],
  ])('are not listed for an invalid %s', async (field, variables) => {
    const { errors } = await alice.request(USERS, variables);
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field });
  });

  it('are not listed for a cursor of another search', async () => {
    const { endCursor } = (await alice.ask(USERS, { search: 'jo', first: 1 })).users.pageInfo;
    const { errors } = await alice.request(USERS, { search: 'zo', after: endCursor });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'after' });
  });

  it('are fetched by id and by username, ignoring case, and are null if they do not exist', async () => {
    const query =
      'query ($id: ID!, $name: String!) { user(id: $id) { username } userByUsername(username: $name) { id } }';
    expect(await alice.ask(query, { id: bob.id, name: bob.username.toUpperCase() })).toEqual({
      user: { username: bob.username },
      userByUsername: { id: bob.id },
    });
    expect(await alice.ask(query, { id: 'User_AaH9b5HNcECpvBfEbG_tgA', name: 'nobody' })).toEqual({
      user: null,
      userByUsername: null,
    });
  });

  describe('node and nodes', () => {
    const NODES = 'query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }';

    it('return every object with an id to viewers who may see it, and null to others', async () => {
      const conversation = await openDirect(alice, bob);
      const message = await send(alice, conversation, 'hello');
      const { viewer } = await alice.ask(
        `{ viewer { id sessions { id } conversations { nodes { viewerMembership { id } members { nodes { id } } } } } }`,
      );
      const ids = [
        alice.id,
        viewer.id,
        viewer.sessions[0].id,
        conversation,
        viewer.conversations.nodes[0].viewerMembership.id,
        message.id,
      ];
      const types = ['User', 'Viewer', 'Session', 'Conversation', 'Membership', 'Message'];
      const seen = await alice.ask(NODES, { ids });
      expect(seen.nodes).toEqual(ids.map((id, index) => ({ __typename: types[index], id })));
      const carol = await register(node.url, 'carol');
      const hidden = await carol.ask(NODES, { ids });
      expect(hidden.nodes).toEqual([{ __typename: 'User', id: alice.id }, null, null, null, null, null]);
      for (const id of ids) {
        const one = await alice.ask('query ($id: ID!) { node(id: $id) { id } }', { id });
        expect(one.node).toEqual({ id });
      }
    });

    it.each([
      '',
      'nonsense',
      'User_short',
      'Query_AaH9b5HNcECpvBfEbG_tgA',
      'Nothing_AaH9b5HNcECpvBfEbG_tgA',
      'User_AaH9b5HNcECpvBfEbG_tgB',
    ])('reject the id %j', async (id) => {
      const one = await alice.request('query ($id: ID!) { node(id: $id) { id } }', { id });
      expect(one.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'id' });
      const many = await alice.request(NODES, { ids: [id] });
      expect(many.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'ids.0' });
    });

    it('reject more ids than the maximum page size', async () => {
      const { errors } = await alice.request(NODES, { ids: Array.from({ length: 101 }, () => alice.id) });
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'ids' });
    });
  });
});
