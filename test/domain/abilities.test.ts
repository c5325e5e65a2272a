import { beforeAll, describe, expect, it } from 'vitest';
import { decodeGlobalId } from '../../src/core/ids.js';
import type { RunningNode } from '../../src/server/start.js';
import { connectInTest, type Json, listen, type Person, registerAll } from '../support/client.js';
import { detailModes, inOneMode, makePlace, modes, sharedNode } from '../support/place.js';
import { attempt, createGroup, openDirect, remove, send } from '../support/talk.js';

// Each ability is compared with the result of its mutation.

interface Scene {
  viewer: Person;
  conversationId: string;
  /** Undefined where the viewer can see no messages. */
  messageId?: string;
}

const ABILITIES = `query ($id: ID!, $messageId: ID!) {
  conversation(id: $id) { viewerCanSend viewerCanUpdate viewerCanAddMembers viewerCanPin viewerCanJoin memberCount }
  node(id: $messageId) { ... on Message { viewerCanReact viewerCanReply viewerCanPin viewerCanEdit viewerCanDelete } }
}`;

describe.each(modes)('abilities of the viewer in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let newcomer: Person;
  beforeAll(async () => {
    node = await sharedNode(mode, { SYSTEM_MESSAGES: 'on' });
    [newcomer] = await registerAll(node.url, 'newcomer');
  });

  const rowId = (id: string) => decodeGlobalId(id, 'id').id;

  /** A group with a message of its owner, in which the viewer has a role. */
  async function inGroup(role: 'MEMBER' | 'ADMIN' | 'OWNER'): Promise<Scene & { owner: Person }> {
    const [viewer, owner] = await registerAll(node.url, 'viewer', 'owner');
    const conversationId = await createGroup(owner, [viewer], { visibility: 'PUBLIC' });
    if (role !== 'MEMBER') await attempt(owner, 'setMemberRole', { conversationId, userId: viewer.id, role });
    const { id: messageId } = await send(owner, conversationId, 'hello');
    return { viewer, owner, conversationId, messageId };
  }
  async function inDirect(
    change: (viewer: Person, other: Person) => Promise<unknown> = async () => {},
  ): Promise<Scene> {
    const [viewer, other] = await registerAll(node.url, 'viewer', 'other');
    const conversationId = await openDirect(viewer, other);
    const { id: messageId } = await send(viewer, conversationId, 'hello');
    await change(viewer, other);
    return { viewer, conversationId, messageId };
  }
  async function outside(visibility: 'PUBLIC' | 'PRIVATE'): Promise<Scene> {
    const [viewer, owner] = await registerAll(node.url, 'viewer', 'owner');
    return { viewer, conversationId: await createGroup(owner, [], { visibility }) };
  }
  const suspend = (_viewer: Person, other: Person) =>
    node.deps.database.db.user.update({ where: { id: rowId(other.id) }, data: { suspendedAt: new Date() } });

  const situations: Record<string, () => Promise<Scene>> = {
    'a member of a group': () => inGroup('MEMBER'),
    'an admin of a group': () => inGroup('ADMIN'),
    'an owner of a group': () => inGroup('OWNER'),
    'an admin, of a deleted message': async () => {
      const scene = await inGroup('ADMIN');
      await remove(scene.owner, scene.messageId ?? '');
      return scene;
    },
    'an admin, of a system message': async () => {
      const scene = await inGroup('ADMIN');
      await attempt(scene.owner, 'updateGroup', { conversationId: scene.conversationId, title: 'Renamed' });
      const { conversation } = await scene.viewer.ask(
        'query ($id: ID!) { conversation(id: $id) { lastMessage { id kind } } }',
        { id: scene.conversationId },
      );
      expect(conversation.lastMessage.kind).toBe('SYSTEM');
      return { ...scene, messageId: conversation.lastMessage.id };
    },
    'a member, of an own message': async () => {
      const scene = await inGroup('MEMBER');
      return { ...scene, messageId: (await send(scene.viewer, scene.conversationId, 'mine')).id };
    },
    'an outsider of a public group': () => outside('PUBLIC'),
    'someone who has left a public group': async () => {
      const { viewer, conversationId } = await inGroup('MEMBER');
      await attempt(viewer, 'leaveConversation', { conversationId });
      return { viewer, conversationId };
    },
    'one of two in a direct conversation': () => inDirect(),
    'someone who blocked the counterpart': () =>
      inDirect((viewer, other) => attempt(viewer, 'blockUser', { userId: other.id })),
    'someone whom the counterpart blocked': () =>
      inDirect((viewer, other) => attempt(other, 'blockUser', { userId: viewer.id })),
    'the counterpart of a suspended user': () => inDirect(suspend),
    'the counterpart of a deleted user': () =>
      inDirect((_viewer, other) => attempt(other, 'deleteAccount', { password: other.password })),
  };

  itOnce.each(Object.entries(situations))('are what the mutations allow to %s', async (situation, scene) => {
    const { viewer, conversationId, messageId } = await scene();
    const { conversation, node: message } = await viewer.ask(ABILITIES, {
      id: conversationId,
      messageId: messageId ?? conversationId,
    });
    const succeeds = async (mutation: string, input: Json) =>
      typeof (await attempt(viewer, mutation, input)) !== 'string';
    const { memberCount, ...ofConversation } = conversation;
    // In an order in which no mutation changes what a later one is allowed to do.
    if (messageId !== undefined) {
      const reply = { conversationId, text: 'a reply', replyToId: messageId };
      expect(message).toEqual({
        viewerCanReact: await succeeds('addReaction', { messageId, emoji: '👍' }),
        viewerCanReply: await succeeds('sendMessage', reply),
        viewerCanPin: await succeeds('pinMessage', { messageId }),
        viewerCanEdit: await succeeds('editMessage', { messageId, text: 'edited' }),
        viewerCanDelete:
          (await succeeds('deleteMessage', { messageId })) && situation !== 'an admin, of a deleted message',
      });
    }
    const sent = await attempt(viewer, 'sendMessage', { conversationId, text: 'hello' }, 'message { id }');
    const pinned = typeof sent === 'string' ? messageId : sent.message.id;
    const allowed = {
      viewerCanSend: typeof sent !== 'string',
      viewerCanUpdate: await succeeds('updateGroup', { conversationId, title: 'New', description: 'New' }),
      viewerCanAddMembers: await succeeds('addMembers', { conversationId, userIds: [newcomer.id] }),
      viewerCanPin: pinned !== undefined && (await succeeds('pinMessage', { messageId: pinned })),
      viewerCanJoin: false,
    };
    const membersBefore = memberCount + (allowed.viewerCanAddMembers ? 1 : 0);
    const joined = await attempt(viewer, 'joinConversation', { conversationId }, 'conversation { memberCount }');
    allowed.viewerCanJoin = typeof joined !== 'string' && joined.conversation.memberCount > membersBefore;
    expect(ofConversation).toEqual(allowed);
  });

  itOnce('do not show whether a private group exists', async () => {
    const { viewer, conversationId } = await outside('PRIVATE');
    const { conversation } = await viewer.ask(ABILITIES, { id: conversationId, messageId: conversationId });
    expect(conversation).toBeNull();
  });

  it('are computed for each viewer in an event', async () => {
    const { viewer, owner, conversationId } = await inGroup('MEMBER');
    const query = `subscription { messages { type message {
      text viewerCanReact viewerCanReply viewerCanPin conversation { viewerCanUpdate viewerCanJoin }
    } } }`;
    const streams = [viewer, owner].map((person) => listen(connectInTest(node.url, person.token), query));
    for (const stream of streams) await stream.until(({ type }) => type === 'CAUGHT_UP');
    await send(viewer, conversationId, 'for both');
    const events = await Promise.all(
      streams.map((stream) => stream.until(({ message }) => message?.text === 'for both')),
    );
    const both = { text: 'for both', viewerCanReact: true, viewerCanReply: true };
    expect(events.map(({ message }) => message)).toEqual([
      { ...both, viewerCanPin: false, conversation: { viewerCanUpdate: false, viewerCanJoin: false } },
      { ...both, viewerCanPin: true, conversation: { viewerCanUpdate: true, viewerCanJoin: false } },
    ]);
  });
});

describe.each(detailModes)('Message.editableUntil in %s mode', (mode) => {
  const untilOf = async (person: Person, id: string) =>
    (await person.ask('query ($id: ID!) { node(id: $id) { ... on Message { createdAt editableUntil } } }', { id }))
      .node;

  async function start(window: string) {
    const node = await (await makePlace(mode)).start({ MESSAGE_EDIT_WINDOW: window, SYSTEM_MESSAGES: 'on' });
    const [owner, member] = await registerAll(node.url, 'owner', 'member');
    const group = await createGroup(owner, [member]);
    return { node, owner, member, message: await send(owner, group, 'hello'), group };
  }

  it('is when editing ends, for everyone who sees the message', async () => {
    const { node, owner, member, message, group } = await start('1h');
    const messageId = message.id;
    for (const person of [owner, member]) {
      const { createdAt, editableUntil } = await untilOf(person, messageId);
      expect(Date.parse(editableUntil) - Date.parse(createdAt)).toBe(3_600_000);
    }
    const editAgo = async (ms: number) => {
      const { id } = decodeGlobalId(messageId, 'id');
      await node.deps.database.db.message.update({ where: { id }, data: { createdAt: new Date(Date.now() - ms) } });
      return attempt(owner, 'editMessage', { messageId, text: `after ${ms}` });
    };
    expect(await editAgo(3_000_000)).toEqual({ __typename: 'EditMessagePayload' });
    expect(await editAgo(3_600_001)).toBe('FORBIDDEN');
    expect(Date.parse((await untilOf(owner, messageId)).editableUntil)).toBeLessThan(Date.now());
    await remove(owner, messageId);
    expect((await untilOf(owner, messageId)).editableUntil).toBeNull();
    await attempt(owner, 'updateGroup', { conversationId: group, title: 'Renamed' });
    const { conversation } = await owner.ask(
      'query ($id: ID!) { conversation(id: $id) { lastMessage { kind editableUntil } } }',
      { id: group },
    );
    expect(conversation.lastMessage).toEqual({ kind: 'SYSTEM', editableUntil: null });
  });

  it('is null without a time limit', async () => {
    const { owner, message } = await start('forever');
    expect((await untilOf(owner, message.id)).editableUntil).toBeNull();
  });
});
