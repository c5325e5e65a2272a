import { beforeAll, describe, expect, it } from 'vitest';
import { decodeGlobalId, newId } from '../../src/core/ids.js';
import { findMembershipsOf } from '../../src/domain/conversation/conversation.store.js';
import { searchWordsOf } from '../../src/domain/user/user.store.js';
import type { RunningNode } from '../../src/server/start.js';
import { connectInTest, type Json, listen, type Person, registerAll } from '../support/client.js';
import { inOneMode, modes, sharedNode } from '../support/place.js';
import { attempt, createGroup, openDirect } from '../support/talk.js';

const MEMBERS = `query ($id: ID!, $search: String, $role: MemberRole, $first: Int, $after: String) {
  conversation(id: $id) {
    members(search: $search, role: $role, first: $first, after: $after) {
      nodes { user { username } }
      pageInfo { hasNextPage endCursor }
    }
  }
}`;

describe.each(modes)('the members of a conversation in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  const describeOnce = inOneMode(mode, describe);
  let node: RunningNode;
  let ana: Person;
  let bob: Person;
  let carol: Person;
  let outsider: Person;
  beforeAll(async () => {
    node = await sharedNode(mode);
    [ana, bob, carol, outsider] = await registerAll(node.url, 'ana', 'bob', 'carol', 'outsider');
    await rename(bob, 'Zoë van Dijk');
    await rename(carol, 'Dirk Zander');
  });

  const rowId = (id: string) => decodeGlobalId(id, 'id').id;
  const rename = (person: Person, displayName: string) => attempt(person, 'updateProfile', { displayName });
  const namesOf = async (person: Person, id: string, filter: Json = {}): Promise<string[]> => {
    const { conversation } = await person.ask(MEMBERS, { id, ...filter });
    return conversation.members.nodes.map(({ user }: Json) => user.username);
  };
  /** All pages, of so many members each. */
  async function pagesOf(person: Person, id: string, filter: Json, first: number): Promise<string[]> {
    const found: string[] = [];
    for (let after: string | null = null; ; ) {
      const { members }: Json = (await person.ask(MEMBERS, { id, ...filter, first, after })).conversation;
      found.push(...members.nodes.map(({ user }: Json) => user.username));
      if (!members.pageInfo.hasNextPage) return found;
      after = members.pageInfo.endCursor;
    }
  }

  describe('members(search, role)', () => {
    it('finds members by the beginnings of their username and of words of their display name', async () => {
      const group = await createGroup(ana, [bob, carol]);
      const found = (search: string) => namesOf(ana, group, { search });
      // They joined at the same time.
      expect((await found('z')).sort()).toEqual([bob.username, carol.username]);
      expect(await found('ZOE')).toEqual([bob.username]);
      expect(await found('di zan')).toEqual([carol.username]);
      expect(await found('ana_')).toEqual([ana.username]);
      expect(await found(bob.username)).toEqual([bob.username]);
      expect(await found('outsider')).toEqual([]);
      expect(await found('ijk')).toEqual([]);
      expect(await found('')).toEqual([]);
    });

    itOnce('finds members by their role', async () => {
      const group = await createGroup(ana, [bob, carol]);
      await attempt(ana, 'setMemberRole', { conversationId: group, userId: carol.id, role: 'ADMIN' });
      expect(await namesOf(bob, group, { role: 'OWNER' })).toEqual([ana.username]);
      expect(await namesOf(bob, group, { role: 'ADMIN' })).toEqual([carol.username]);
      expect(await namesOf(bob, group, { role: 'MEMBER' })).toEqual([bob.username]);
      expect(await namesOf(bob, group, { role: 'MEMBER', search: 'z' })).toEqual([bob.username]);
      expect(await namesOf(bob, group, { role: null, search: null })).toHaveLength(3);
    });

    itOnce('does not accept a cursor of another filter', async () => {
      const group = await createGroup(ana, [bob, carol]);
      const filters: Json[] = [
        {},
        { search: 'z' },
        { search: 'zo' },
        { role: 'MEMBER' },
        { role: 'MEMBER', search: 'z' },
      ];
      for (const filter of filters) {
        const { members } = (await ana.ask(MEMBERS, { id: group, ...filter, first: 1 })).conversation;
        for (const other of filters) {
          const { errors } = await ana.request(MEMBERS, { id: group, ...other, after: members.pageInfo.endCursor });
          const [error] = errors ?? [];
          expect(error?.extensions).toEqual(filter === other ? undefined : { code: 'BAD_USER_INPUT', field: 'after' });
        }
      }
    });

    itOnce('rejects a search that is longer than any name', async () => {
      const group = await createGroup(ana, []);
      const { errors } = await ana.request(MEMBERS, { id: group, search: 'a'.repeat(161) });
      expect(errors?.[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT', field: 'search' });
    });

    itOnce('does not find a deleted account by its former name', async () => {
      const [dora] = await registerAll(node.url, 'dora');
      const group = await createGroup(ana, [dora, bob]);
      expect(await namesOf(ana, group, { search: 'dora' })).toEqual([dora.username]);
      await attempt(dora, 'deleteAccount', { password: dora.password });
      expect(await namesOf(ana, group, { search: 'dora' })).toEqual([]);
    });

    itOnce('finds the same page by page, whether few or many users have such names', { timeout: 120_000 }, async () => {
      const group = await createGroup(ana, [bob]);
      const { db } = node.deps.database;
      const crowd = Array.from({ length: 1_200 }, (_, index) => {
        const username = `crowd_${rowId(group).slice(0, 8)}_${index}`;
        const displayName = `Crowd ${index % 100 === 0 ? 'Hundred' : `Member${index % 10}`}`;
        return { username, displayName, usernameKey: username, searchWords: searchWordsOf({ username, displayName }) };
      });
      const people = crowd.map((names) => ({ id: newId(), ...names }));
      await db.user.createMany({ data: people });
      // Those at the end are outside the group.
      const inside = people.slice(0, 1_150);
      const start = Date.now();
      await db.membership.createMany({
        data: inside.map(({ id: userId }, index) => ({
          id: newId(),
          conversationId: rowId(group),
          userId,
          joinedAt: new Date(start + Math.floor(index / 3)),
        })),
      });
      const expected = (has: (displayName: string) => boolean) =>
        inside.filter(({ displayName }) => has(displayName)).map(({ username }) => username);
      const found = async (search: string, first: number) => (await pagesOf(ana, group, { search }, first)).sort();
      // More users than are looked up one by one.
      expect(await found('crow', 100)).toEqual(expected(() => true).sort());
      expect(await found('crowd_', 100)).toEqual(expected(() => true).sort());
      // The second word belongs to few users.
      expect(await found('crowd hund', 5)).toEqual(expected((name) => name.endsWith('Hundred')).sort());
      expect(await found('member7', 50)).toEqual(expected((name) => name.endsWith('Member7')).sort());
    });
  });

  describe('Conversation.membership', () => {
    const MEMBERSHIP = `query ($ids: [ID!]!, $userId: ID!) {
      nodes(ids: $ids) { ... on Conversation { id membership(userId: $userId) { role user { id } conversation { id title } } } }
    }`;

    it('is the membership of a user in each conversation, or null', async () => {
      const own = await createGroup(ana, [bob], { title: 'Own' });
      const other = await createGroup(bob, [ana], { title: 'Other' });
      const without = await createGroup(ana, [carol]);
      const direct = await openDirect(ana, bob);
      const ids = [own, other, without, direct];
      const { nodes } = await ana.ask(MEMBERSHIP, { ids, userId: bob.id });
      const user = { id: bob.id };
      expect(nodes.map(({ membership }: Json) => membership)).toEqual([
        { role: 'MEMBER', user, conversation: { id: own, title: 'Own' } },
        { role: 'OWNER', user, conversation: { id: other, title: 'Other' } },
        null,
        { role: 'MEMBER', user, conversation: { id: direct, title: null } },
      ]);
    });

    itOnce('is shown to whoever can see the members', async () => {
      const open = await createGroup(ana, [bob], { visibility: 'PUBLIC' });
      const { nodes } = await outsider.ask(MEMBERSHIP, { ids: [open], userId: bob.id });
      expect(nodes[0].membership.role).toBe('MEMBER');
      const { sql } = node.deps.database;
      await createGroup(outsider, []);
      const closed = rowId(await createGroup(ana, [bob]));
      const as = (viewer: Person) => findMembershipsOf(sql, rowId(viewer.id), rowId(bob.id), [closed, rowId(open)]);
      expect((await as(outsider)).map((membership) => membership?.conversationId ?? null)).toEqual([null, rowId(open)]);
      expect((await as(ana)).map((membership) => membership?.conversationId ?? null)).toEqual([closed, rowId(open)]);
    });

    itOnce('needs the id of a user', async () => {
      const group = await createGroup(ana, []);
      const { errors } = await ana.request(MEMBERSHIP, { ids: [group], userId: group });
      expect(errors?.[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT', field: 'userId' });
    });
  });

  describeOnce('Membership.conversation', () => {
    it('is the conversation, also in an event', async () => {
      const stream = listen(
        connectInTest(node.url, ana.token),
        'subscription { conversations { type conversation { id title } membership { user { id } conversation { id title } } } }',
        {},
        'conversations',
      );
      await stream.until(({ type }) => type === 'CAUGHT_UP');
      const group = await createGroup(ana, [], { title: 'Events' });
      await attempt(ana, 'addMembers', { conversationId: group, userIds: [bob.id] });
      const event = await stream.until(
        ({ type, conversation }) => type === 'MEMBER_JOINED' && conversation.id === group,
      );
      expect(event.membership).toEqual({ user: { id: bob.id }, conversation: { id: group, title: 'Events' } });
    });
  });
});
