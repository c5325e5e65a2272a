import { beforeAll, describe, expect, it } from 'vitest';
import { decodeGlobalId } from '../../src/core/ids.js';
import { hashInput } from '../../src/platform/input.js';
import type { RunningNode } from '../../src/server/start.js';
import { type Json, type Person, register } from '../support/client.js';
import { anyMode, inOneMode, makePlace, modes, sharedNode } from '../support/place.js';
import { createGroup, openDirect, send } from '../support/talk.js';

const OPEN = `mutation ($input: OpenDirectConversationInput!) { openDirectConversation(input: $input) { conversation { id } wasCreated } }`;
const GROUP = `mutation ($input: CreateGroupInput!) {
  createGroup(input: $input) { conversation { id title description visibility memberCount } wasCreated }
}`;
const SEE = `query ($id: ID!) {
  conversation(id: $id) {
    kind visibility title description imageUrl memberCount latestSeq viewerCanSend createdAt lastActivityAt
    counterpart { id }
    lastMessage { text }
    viewerMembership { role user { id } conversationId joinedAt }
  }
}`;
const MEMBERS = `query ($id: ID!, $first: Int, $after: String) {
  conversation(id: $id) {
    members(first: $first, after: $after) { nodes { role user { id } } pageInfo { hasNextPage endCursor } }
  }
}`;
const LIST = `query ($first: Int, $after: String) {
  viewer { conversations(first: $first, after: $after) {
    nodes { id latestSeq lastMessage { text sender { username } } counterpart { username } }
    pageInfo { hasNextPage endCursor }
  } }
}`;

describe.each(modes)('conversations in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  const describeOnce = inOneMode(mode, describe);
  let node: RunningNode;
  let alice: Person;
  let bob: Person;
  let carol: Person;

  beforeAll(async () => {
    node = await sharedNode(mode);
    const { url } = node;
    [alice, bob, carol] = await Promise.all([register(url, 'alice'), register(url, 'bob'), register(url, 'carol')]);
  });

  const stored = () => node.deps.database.db.conversation.count();

  describe('openDirectConversation', () => {
    it('creates one conversation per pair of users, also for concurrent calls of both', async () => {
      const [dave, erin] = [await register(node.url), await register(node.url)];
      const before = await stored();
      const opened: Json[] = await Promise.all(
        Array.from({ length: 10 }, async (_, index) => {
          const [one, other] = index % 2 ? [dave, erin] : [erin, dave];
          return (await one.ask(OPEN, { input: { userId: other.id } })).openDirectConversation;
        }),
      );
      const ids = opened.map(({ conversation }) => conversation.id);
      expect(new Set(ids).size).toBe(1);
      expect(opened.filter(({ wasCreated }) => wasCreated).length, 'one call says that it created it').toBe(1);
      expect(await stored()).toBe(before + 1);
      const id = ids[0];
      expect((await dave.ask(SEE, { id })).conversation).toMatchObject({
        kind: 'DIRECT',
        visibility: 'PRIVATE',
        title: null,
        memberCount: 2,
        latestSeq: 0,
        lastMessage: null,
        viewerCanSend: true,
        counterpart: { id: erin.id },
        viewerMembership: { role: 'MEMBER', user: { id: dave.id }, conversationId: id },
      });
      expect((await erin.ask(SEE, { id })).conversation.counterpart.id).toBe(dave.id);
    });

    itOnce('is rejected for oneself, for unknown users and for ids of other types', async () => {
      const before = await stored();
      for (const [userId, code] of [
        [alice.id, 'BAD_USER_INPUT'],
        ['User_AaH9b5HNcECpvBfEbG_tgA', 'NOT_FOUND'],
        ['Message_AaH9b5HNcECpvBfEbG_tgA', 'BAD_USER_INPUT'],
        ['x', 'BAD_USER_INPUT'],
      ]) {
        const { errors } = await alice.request(OPEN, { input: { userId } });
        expect(errors?.[0]?.extensions).toMatchObject({ code, field: 'input.userId' });
      }
      expect(await stored()).toBe(before);
    });

    itOnce(
      'opens a conversation that cannot be written in after the counterpart has deleted their account',
      async () => {
        const gone = await register(node.url, 'gone');
        const id = await openDirect(alice, gone);
        await node.deps.database.db.user.updateMany({
          where: { username: gone.username },
          data: { deletedAt: new Date() },
        });
        expect((await alice.ask(SEE, { id })).conversation).toMatchObject({ viewerCanSend: false });
        const { errors } = await alice.request(
          'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }',
          {
            input: { conversationId: id, text: 'anyone?' },
          },
        );
        expect(errors?.[0]?.extensions).toMatchObject({ code: 'FORBIDDEN' });
        const again = await carol.request(OPEN, { input: { userId: gone.id } });
        expect(again.errors?.[0]?.extensions).toMatchObject({ code: 'FORBIDDEN', field: 'input.userId' });
      },
    );
  });

  describe('createGroup', () => {
    it('makes the creator the owner and the others members', async () => {
      const input = { title: ' Climbing ', description: '', memberIds: [bob.id, bob.id, alice.id, carol.id] };
      const { conversation } = (await alice.ask(GROUP, { input })).createGroup;
      expect(conversation).toMatchObject({
        title: 'Climbing',
        description: null,
        visibility: 'PRIVATE',
        memberCount: 3,
      });
      const { members } = (await bob.ask(MEMBERS, { id: conversation.id })).conversation;
      expect(members.nodes.map(({ role, user }: { role: string; user: { id: string } }) => [user.id, role])).toEqual(
        expect.arrayContaining([
          [alice.id, 'OWNER'],
          [bob.id, 'MEMBER'],
          [carol.id, 'MEMBER'],
        ]),
      );
      const first = (await bob.ask(MEMBERS, { id: conversation.id, first: 2 })).conversation.members;
      const rest = (await bob.ask(MEMBERS, { id: conversation.id, first: 2, after: first.pageInfo.endCursor }))
        .conversation.members;
      expect([first.nodes.length, first.pageInfo.hasNextPage, rest.nodes.length, rest.pageInfo.hasNextPage]).toEqual([
        2,
        true,
        1,
        false,
      ]);
    });

    it('returns the first group for the same key and input, also for concurrent calls', async () => {
      const input = { title: 'Once', memberIds: [bob.id, carol.id], clientGroupId: 'key' };
      const answers = await Promise.all(Array.from({ length: 5 }, () => alice.ask(GROUP, { input })));
      const again = await alice.ask(GROUP, { input: { ...input, memberIds: [carol.id, bob.id] } });
      const all: Json[] = [...answers, again].map(({ createGroup }) => createGroup);
      expect(new Set(all.map(({ conversation }) => conversation.id)).size).toBe(1);
      expect(all.filter(({ wasCreated }) => wasCreated).length, 'one call says that it created it').toBe(1);
      const { errors } = await alice.request(GROUP, { input: { ...input, title: 'Twice' } });
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'CONFLICT', field: 'input.clientGroupId' });
      expect((await bob.request(GROUP, { input: { ...input, memberIds: [] } })).errors).toBeUndefined();
    });

    itOnce('returns a group to a retry whose hash a version without historyVisibility has stored', async () => {
      const input = { title: 'Old', description: 'of then', memberIds: [bob.id], clientGroupId: 'old' };
      const { conversation } = (await alice.ask(GROUP, { input })).createGroup;
      const { id } = decodeGlobalId(conversation.id, 'id');
      const inputHash = hashInput('Old', 'of then', 'PRIVATE', decodeGlobalId(bob.id, 'id').id);
      await node.deps.database.db.conversation.update({ where: { id }, data: { inputHash } });
      for (const more of [{}, { historyVisibility: 'ALL' }]) {
        const again = await alice.ask(GROUP, { input: { ...input, ...more } });
        expect(again.createGroup.conversation.id).toBe(conversation.id);
      }
      const another = { ...input, historyVisibility: 'SINCE_JOINED' };
      expect((await alice.request(GROUP, { input: another })).errors?.[0]?.extensions.code).toBe('CONFLICT');
    });

    itOnce.each([
      ['an empty title', { title: ' ' }, 'BAD_USER_INPUT', 'input.title'],
      ['a long title', { title: 'x'.repeat(101) }, 'BAD_USER_INPUT', 'input.title'],
      ['a long description', { description: 'x'.repeat(1_001) }, 'BAD_USER_INPUT', 'input.description'],
      ['a malformed member', { memberIds: ['x'] }, 'BAD_USER_INPUT', 'input.memberIds.0'],
      ['an unknown member', { memberIds: ['User_AaH9b5HNcECpvBfEbG_tgA'] }, 'NOT_FOUND', 'input.memberIds'],
      ['an empty key', { clientGroupId: '' }, 'BAD_USER_INPUT', 'input.clientGroupId'],
    ])('rejects %s and stores nothing', async (_what, wrong, code, field) => {
      const before = await stored();
      const { errors } = await alice.request(GROUP, { input: { title: 'Fine', ...wrong } });
      expect(errors?.[0]?.extensions).toMatchObject({ code, field });
      expect(await stored()).toBe(before);
    });
  });

  describeOnce('conversation', () => {
    it('is null for a private conversation of others, and for one that does not exist', async () => {
      const id = await openDirect(alice, bob);
      expect(await carol.ask(SEE, { id })).toEqual({ conversation: null });
      expect(await carol.ask(SEE, { id: 'Conversation_AaH9b5HNcECpvBfEbG_tgA' })).toEqual({ conversation: null });
      const { errors } = await carol.request(SEE, { id: 'x' });
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'id' });
    });

    it('shows a public group to everyone, without its messages', async () => {
      const id = await createGroup(alice, [], { visibility: 'PUBLIC', title: 'Open' });
      await send(alice, id, 'among us');
      expect((await carol.ask(SEE, { id })).conversation).toMatchObject({
        title: 'Open',
        visibility: 'PUBLIC',
        viewerMembership: null,
        viewerCanSend: false,
        lastMessage: null,
      });
    });
  });

  describe('viewer.conversations', () => {
    it('are listed by latest activity in pages, each with its last message', async () => {
      const dave = await register(node.url, 'dave');
      const ids: string[] = [];
      for (let index = 0; index < 5; index += 1) {
        const id =
          index === 0 ? await openDirect(dave, alice) : await createGroup(dave, [alice], { title: `no ${index}` });
        ids.unshift(id);
        if (index > 0) await send(dave, id, `in ${index}`);
      }
      const seen: string[] = [];
      let after: string | null = null;
      for (let more = true; more; ) {
        const { conversations }: Json = (await dave.ask(LIST, { first: 2, after })).viewer;
        seen.push(...conversations.nodes.map(({ id }: { id: string }) => id));
        after = conversations.pageInfo.endCursor;
        more = conversations.pageInfo.hasNextPage;
      }
      expect(seen).toEqual(ids);
      await send(alice, ids.at(-1) as string, 'news');
      const { nodes } = (await dave.ask(LIST)).viewer.conversations;
      expect(nodes[0]).toMatchObject({
        id: ids.at(-1),
        latestSeq: 1,
        lastMessage: { text: 'news', sender: { username: alice.username } },
        counterpart: { username: alice.username },
      });
      expect(nodes[1]).toMatchObject({ id: ids[0], lastMessage: { text: 'in 4' }, counterpart: null });
    });

    itOnce.each([
      ['first', { first: 0 }],
      ['first', { first: 101 }],
      ['after', { after: 'x' }],
    ])('are not listed for an invalid %s', async (field, variables) => {
      const { errors } = await alice.request(LIST, variables);
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field });
    });

    itOnce("are not listed for a cursor of another user's list", async () => {
      await openDirect(alice, bob);
      const { endCursor } = (await alice.ask(LIST, { first: 1 })).viewer.conversations.pageInfo;
      const { errors } = await bob.request(LIST, { after: endCursor });
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'after' });
    });
  });
});

describe('a group of the maximum size', () => {
  it('can be created, but not a larger one', async () => {
    const node = await (await makePlace(anyMode)).start({ GROUP_MAX_MEMBERS: '2' });
    const [alice, bob, carol] = await Promise.all([register(node.url), register(node.url), register(node.url)]);
    await createGroup(alice, [bob]);
    const { errors } = await alice.request(GROUP, { input: { title: 'Three', memberIds: [bob.id, carol.id] } });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.memberIds' });
    const { serverInfo } = await alice.ask(
      '{ serverInfo { version features errorCodes limits { messageMaxChars groupMaxMembers groupsMax contactsMax blocksMax pageMax } } }',
    );
    expect(serverInfo.limits).toEqual({
      messageMaxChars: 8_000,
      groupMaxMembers: 2,
      groupsMax: 1_000,
      contactsMax: 5_000,
      blocksMax: 5_000,
      pageMax: 100,
    });
    expect(serverInfo.errorCodes).toContain('CURSOR_EXPIRED');
  });
});
