import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { type Json, type Person, registerAll } from '../support/client.js';
import { inOneMode, modes, sharedNode } from '../support/place.js';
import { mark } from '../support/receipts.js';
import { attempt, createGroup, openDirect, remove, send } from '../support/talk.js';

const LIST = `query ($kind: ConversationKind, $unreadOnly: Boolean, $first: Int, $after: String) {
  viewer { conversations(kind: $kind, unreadOnly: $unreadOnly, first: $first, after: $after) {
    nodes { id viewerMembership { unreadCount } }
    pageInfo { hasNextPage endCursor }
  } }
}`;

describe.each(modes)('lists of conversations in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  beforeAll(async () => {
    node = await sharedNode(mode, { SYSTEM_MESSAGES: 'on' });
  });

  const list = async (person: Person, filter: Json = {}) => (await person.ask(LIST, filter)).viewer.conversations;
  const idsOf = async (person: Person, filter: Json = {}): Promise<string[]> =>
    (await list(person, filter)).nodes.map(({ id }: Json) => id);

  /** Ana, with direct conversations and groups of which two of each have unread messages; the latest is the first. */
  async function makeScene() {
    const [ana, bob, carol, dora] = await registerAll(node.url, 'ana', 'bob', 'carol', 'dora');
    const directs = [await openDirect(ana, bob), await openDirect(ana, carol), await openDirect(ana, dora)];
    const groups = [await createGroup(bob, [ana]), await createGroup(bob, [ana]), await createGroup(bob, [ana])];
    const [direct1, direct2, direct3] = directs as [string, string, string];
    const [group1, group2, group3] = groups as [string, string, string];
    const read = await send(bob, direct1, 'read');
    await mark(ana, 'markRead', direct1, read.seq);
    await send(carol, direct2, 'unread');
    await send(bob, group1, 'unread');
    // One's own messages are not unread, nor are deleted ones and what the service reports.
    await send(ana, group2, 'own');
    await remove(bob, (await send(bob, group2, 'deleted')).id);
    await attempt(bob, 'updateGroup', { conversationId: group2, title: 'Renamed' });
    await send(dora, direct3, 'unread');
    await send(bob, group3, 'unread');
    return { ana, bob, carol, direct1, direct2, direct3, group1, group2, group3 };
  }

  it('contain the kind of conversation that is asked for', async () => {
    const { ana, direct1, direct2, direct3, group1, group2, group3 } = await makeScene();
    expect(await idsOf(ana)).toEqual([group3, direct3, group2, group1, direct2, direct1]);
    expect(await idsOf(ana, { kind: 'GROUP' })).toEqual([group3, group2, group1]);
    expect(await idsOf(ana, { kind: 'DIRECT' })).toEqual([direct3, direct2, direct1]);
    expect(await idsOf(ana, { kind: null, unreadOnly: null })).toHaveLength(6);
    expect(await idsOf(ana, { unreadOnly: false })).toHaveLength(6);
  });

  it('contain only conversations with unread messages', async () => {
    const { ana, bob, direct2, direct3, group1, group3 } = await makeScene();
    const { nodes } = await list(ana, { unreadOnly: true });
    expect(nodes.map(({ id }: Json) => id)).toEqual([group3, direct3, group1, direct2]);
    for (const { viewerMembership } of nodes) expect(viewerMembership.unreadCount).toBe(1);
    expect(await idsOf(ana, { unreadOnly: true, kind: 'DIRECT' })).toEqual([direct3, direct2]);
    expect(await idsOf(ana, { unreadOnly: true, kind: 'GROUP' })).toEqual([group3, group1]);
    const all = (await list(ana)).nodes.filter(({ viewerMembership }: Json) => viewerMembership.unreadCount > 0);
    expect(nodes).toEqual(all);
    await mark(ana, 'markRead', direct2, 1);
    await attempt(ana, 'leaveConversation', { conversationId: group3 });
    expect(await idsOf(ana, { unreadOnly: true })).toEqual([direct3, group1]);
    expect(await idsOf(bob, { unreadOnly: true, kind: 'DIRECT' })).toEqual([]);
  });

  itOnce('are read page by page', async () => {
    const { ana, direct2, direct3, group1, group3 } = await makeScene();
    const found: string[] = [];
    for (let after: string | null = null; ; ) {
      const page: Json = await list(ana, { unreadOnly: true, first: 1, after });
      found.push(...page.nodes.map(({ id }: Json) => id));
      if (!page.pageInfo.hasNextPage) break;
      after = page.pageInfo.endCursor;
    }
    expect(found).toEqual([group3, direct3, group1, direct2]);
  });

  itOnce('do not accept a cursor of another filter', async () => {
    const { ana } = await makeScene();
    const filters = [
      {},
      { kind: 'GROUP' },
      { kind: 'DIRECT' },
      { unreadOnly: true },
      { kind: 'GROUP', unreadOnly: true },
    ];
    for (const filter of filters) {
      const { pageInfo } = await list(ana, { ...filter, first: 1 });
      for (const other of filters) {
        const { errors } = await ana.request(LIST, { ...other, after: pageInfo.endCursor });
        expect(errors?.[0]?.extensions).toEqual(
          filter === other ? undefined : { code: 'BAD_USER_INPUT', field: 'after' },
        );
      }
    }
  });
});

describe.each(modes)('User.viewerConversation in %s mode', (mode) => {
  it('is the direct conversation with the viewer if there is one', async () => {
    const node = await sharedNode(mode);
    const [ana, bob, carol, dora] = await registerAll(node.url, 'ana', 'bob', 'carol', 'dora');
    const withBob = await openDirect(ana, bob);
    const withCarol = await openDirect(carol, ana);
    await openDirect(bob, carol);
    await createGroup(ana, [bob, dora]);
    const before = await node.deps.database.db.conversation.count();
    const { nodes } = await ana.ask(
      'query ($ids: [ID!]!) { nodes(ids: $ids) { ... on User { viewerConversation { id counterpart { id } } } } }',
      { ids: [bob.id, carol.id, dora.id, ana.id] },
    );
    expect(nodes.map(({ viewerConversation }: Json) => viewerConversation)).toEqual([
      { id: withBob, counterpart: { id: bob.id } },
      { id: withCarol, counterpart: { id: carol.id } },
      null,
      null,
    ]);
    // A block changes neither what exists nor what can be read.
    await attempt(bob, 'blockUser', { userId: ana.id });
    const again = await ana.ask('query ($id: ID!) { user(id: $id) { viewerConversation { id viewerCanSend } } }', {
      id: bob.id,
    });
    expect(again.user.viewerConversation).toEqual({ id: withBob, viewerCanSend: false });
    expect(await node.deps.database.db.conversation.count()).toBe(before);
  });
});
