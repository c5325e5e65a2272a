import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { connect, type Json, listen, type Person, register } from '../support/client.js';
import { inOneMode, modes, sharedNode } from '../support/place.js';
import { attempt, createGroup, openDirect, send } from '../support/talk.js';

const EVENT = 'type oldValue newValue actor { id } subjects { id }';
const MESSAGE = `id seq kind text status editedAt sender { id } systemEvent { ${EVENT} } viewerCanEdit viewerCanDelete`;
const STATE = `query ($id: ID!) { conversation(id: $id) {
  latestSeq lastActivityAt lastMessage { seq } viewerMembership { unreadCount unreadMentionCount } messages(first: 50) { nodes { ${MESSAGE} } }
} }`;
const STREAM = `subscription ($id: ID) { messages(conversationId: $id) { type actor { id } message { ${MESSAGE} } } }`;

describe.each(modes)('system messages in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let ana: Person;
  let bob: Person;
  let carol: Person;
  beforeAll(async () => {
    node = await sharedNode(mode, { SYSTEM_MESSAGES: 'on' });
    [ana, bob, carol] = (await Promise.all(['ana', 'bob', 'carol'].map((name) => register(node.url, name)))) as [
      Person,
      Person,
      Person,
    ];
  });

  const stateOf = async (person: Person, id: string) => (await person.ask(STATE, { id })).conversation;
  /** The system messages of a group as `TYPE actor: subjects old → new`. */
  async function toldIn(id: string, person = ana): Promise<string[]> {
    const names = new Map([ana, bob, carol].map((each) => [each.id, each.username.split('_')[0]]));
    const { messages } = await stateOf(person, id);
    return messages.nodes
      .filter(({ kind }: Json) => kind === 'SYSTEM')
      .map(({ systemEvent: { type, actor, subjects, oldValue, newValue } }: Json) =>
        [type, `${names.get(actor.id)}:`, ...subjects.map((each: Json) => names.get(each.id)), oldValue, newValue]
          .filter((part) => part !== null)
          .join(' '),
      );
  }
  const change = (person: Person, mutation: string, conversationId: string, input: Json = {}) =>
    attempt(person, mutation, { conversationId, ...input });

  it('report each event of a group in order', async () => {
    const group = await createGroup(ana, [bob], { title: 'Climbing' });
    await change(ana, 'addMembers', group, { userIds: [carol.id, bob.id] });
    await change(ana, 'setMemberRole', group, { userId: bob.id, role: 'ADMIN' });
    await change(bob, 'updateGroup', group, {
      title: 'Bouldering',
      description: 'Indoors',
      imageUrl: 'https://example.com',
    });
    await change(ana, 'updateGroup', group, { visibility: 'PUBLIC', historyVisibility: 'SINCE_JOINED' });
    await change(bob, 'removeMember', group, { userId: carol.id });
    await change(carol, 'joinConversation', group);
    await change(ana, 'leaveConversation', group);
    expect(await toldIn(group, bob)).toEqual([
      'GROUP_CREATED ana: Climbing',
      'MEMBER_ADDED ana: carol',
      'ROLE_CHANGED ana: bob MEMBER ADMIN',
      'TITLE_CHANGED bob: Climbing Bouldering',
      'DESCRIPTION_CHANGED bob: Indoors',
      'VISIBILITY_CHANGED ana: PRIVATE PUBLIC',
      'HISTORY_VISIBILITY_CHANGED ana: ALL SINCE_JOINED',
      'MEMBER_REMOVED bob: carol',
      'MEMBER_JOINED carol: carol',
      'MEMBER_LEFT ana: ana',
      'ROLE_CHANGED ana: bob ADMIN OWNER',
    ]);
    const { latestSeq, lastMessage, messages, lastActivityAt } = await stateOf(bob, group);
    expect([latestSeq, lastMessage.seq]).toEqual([11, 11]);
    expect(messages.nodes.map(({ seq }: Json) => seq)).toEqual(Array.from({ length: 11 }, (_, index) => index + 1));
    expect(Date.parse(lastActivityAt)).toBeGreaterThan(Date.now() - 60_000);
  });

  itOnce('are not sent if nothing changed, nor in direct conversations', async () => {
    const group = await createGroup(ana, [bob], { title: 'Same' });
    await change(ana, 'addMembers', group, { userIds: [bob.id] });
    await change(ana, 'setMemberRole', group, { userId: bob.id, role: 'MEMBER' });
    await change(ana, 'updateGroup', group, { title: 'Same', visibility: 'PRIVATE' });
    await change(ana, 'removeMember', group, { userId: carol.id });
    await change(bob, 'joinConversation', group);
    expect(await toldIn(group)).toEqual(['GROUP_CREATED ana: Same']);
    expect(await toldIn(await openDirect(ana, bob))).toEqual([]);
  });

  it('report once that a conversation was encrypted, also a direct one', async () => {
    // Another test uses the direct conversation of Ana and Bob.
    const [group, direct] = [await createGroup(ana, [bob], { title: 'Secret' }), await openDirect(bob, carol)];
    expect(await change(bob, 'enableEncryption', group)).toBe('FORBIDDEN input.conversationId');
    await Promise.all([ana, ana, ana].map((person) => change(person, 'enableEncryption', group)));
    await Promise.all([bob, carol].map((person) => change(person, 'enableEncryption', direct)));
    await change(ana, 'enableEncryption', group);
    expect(await toldIn(group)).toEqual(['GROUP_CREATED ana: Secret', 'ENCRYPTION_ENABLED ana:']);
    expect(await toldIn(direct, bob)).toEqual([expect.stringMatching(/^ENCRYPTION_ENABLED (bob|carol):$/)]);
  });

  itOnce('have no sender, do not count as unread, and cannot be edited or deleted', async () => {
    const group = await createGroup(ana, [bob]);
    await change(ana, 'updateGroup', group, { title: 'Renamed' });
    const { messages, viewerMembership } = await stateOf(bob, group);
    expect(viewerMembership).toEqual({ unreadCount: 0, unreadMentionCount: 0 });
    const [, renamed] = messages.nodes;
    expect(renamed).toMatchObject({ sender: null, text: null, viewerCanEdit: false, viewerCanDelete: false });
    const owners = await stateOf(ana, group);
    expect(owners.messages.nodes[1]).toMatchObject({ viewerCanEdit: false, viewerCanDelete: false });
    expect(await attempt(ana, 'deleteMessage', { messageId: renamed.id })).toBe('FORBIDDEN');
    expect(await attempt(ana, 'editMessage', { messageId: renamed.id, text: 'mine' })).toBe('FORBIDDEN');
    await send(ana, group, 'a word');
    expect((await stateOf(bob, group)).viewerMembership.unreadCount).toBe(1);
  });

  it('are delivered as SENT events, also to added members, but not to removed ones', async () => {
    const group = await createGroup(ana, [bob]);
    const client = connect(node.url, carol.token);
    const stream = listen(client, STREAM);
    await stream.until(({ type }) => type === 'CAUGHT_UP');
    await change(ana, 'addMembers', group, { userIds: [carol.id] });
    expect(await stream.until(({ type }) => type === 'SENT')).toMatchObject({
      actor: { id: ana.id },
      message: {
        seq: 2,
        kind: 'SYSTEM',
        status: 'SENT',
        systemEvent: { type: 'MEMBER_ADDED', subjects: [{ id: carol.id }] },
      },
    });
    await change(ana, 'removeMember', group, { userId: carol.id });
    await change(ana, 'updateGroup', group, { title: 'Without Carol' });
    const direct = await openDirect(ana, carol);
    const { id } = await send(ana, direct, 'after all that');
    await stream.until(({ message }) => message?.id === id);
    expect(stream.events.filter(({ message }) => message?.kind === 'SYSTEM')).toHaveLength(1);
    await client.dispose();
  });

  itOnce('are not sent if they are disabled', async () => {
    const quiet = await sharedNode(mode);
    const person = await register(quiet.url, 'quiet');
    const group = await createGroup(person, []);
    await change(person, 'updateGroup', group, { title: 'Renamed' });
    expect((await stateOf(person, group)).latestSeq).toBe(0);
  });
});
