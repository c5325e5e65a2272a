import { beforeAll, describe, expect, it } from 'vitest';
import { namesIn } from '../../src/core/text/mentions.js';
import type { RunningNode } from '../../src/server/start.js';
import { connect, type Json, listen, type Person, register, request } from '../support/client.js';
import { inOneMode, modes, sharedTwo, smallLimits } from '../support/place.js';
import { mark } from '../support/receipts.js';
import { createGroup, edit, openDirect, REMOVE_MEMBER, remove, send, trySend } from '../support/talk.js';

describe('the parser of mentions', () => {
  it.each([
    ['@ana', [['ana']]],
    ['hello @Ana and @bob-2!', [['ana'], ['bob-2']]],
    ['(@ana), "@bob"', [['ana'], ['bob']]],
    ['ask @ana.', [['ana.', 'ana']]],
    ['ask @ana...', [['ana...', 'ana..', 'ana.', 'ana']]],
    ['你好@mei，来吗', [['mei']]],
    ['@ana@elsewhere', [['ana']]],
    ['ana@example.com', []],
    ['first.last@example.com', []],
    ['@al is too short, @ is none', []],
    [`@${'a'.repeat(33)}`, []],
    [`@${'a'.repeat(32)}.`, [['a'.repeat(32)]]],
    ['@ab.', [['ab.']]],
  ])('%s', (text, names) => expect(namesIn(text)).toEqual(names));
});

const MENTIONS = `query ($id: ID!) {
  node(id: $id) { ... on Message { text mentionsEveryone mentions { id username } } }
}`;
const STREAM = `subscription ($conversationId: ID, $after: String) {
  messages(conversationId: $conversationId, after: $after) {
    type cursor messageId message { mentionsEveryone mentions { id displayName createdAt } }
  }
}`;
const COUNTS = `query ($id: ID!) {
  conversation(id: $id) { viewerMembership { unreadCount unreadMentionCount } }
}`;

describe.each(modes)('mentions in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let ana: Person;
  let bob: Person;
  let carol: Person;
  let group: string;
  beforeAll(async () => {
    node = (await sharedTwo(mode, smallLimits))[0];
    [ana, bob, carol] = (await Promise.all(['ana', 'bob', 'carol'].map((name) => register(node.url, name)))) as [
      Person,
      Person,
      Person,
    ];
    group = await createGroup(ana, [bob, carol]);
  });

  const mentionsOf = async (person: Person, id: string) => {
    const { node } = await person.ask(MENTIONS, { id });
    return { everyone: node.mentionsEveryone, ids: node.mentions.map((user: Json) => user.id) };
  };
  const counts = async (person: Person, id: string) => {
    const { conversation } = await person.ask(COUNTS, { id });
    const { unreadCount, unreadMentionCount } = conversation.viewerMembership;
    return [unreadCount, unreadMentionCount];
  };

  it('contain members by username, each once, in the order of the text', async () => {
    const dave = await register(node.url, 'dave');
    const shout = `@${carol.username.toUpperCase()}`;
    const { id } = await send(ana, group, `${shout}, @${bob.username}. And @${carol.username} with @${dave.username}`);
    expect(await mentionsOf(bob, id)).toEqual({ everyone: false, ids: [carol.id, bob.id] });
  });

  it('are delivered with events, live and replayed, and removed with a deleted message', async () => {
    const client = connect(node.url, bob.token);
    const stream = listen(client, STREAM, { conversationId: group });
    const { cursor } = await stream.until(({ type }) => type === 'CAUGHT_UP');
    const { id } = await send(ana, group, `hello @${carol.username}`);
    const live = await stream.until(({ messageId }) => messageId === id);
    expect(live.message.mentions).toMatchObject([{ id: carol.id, displayName: carol.username }]);
    const again = listen(client, STREAM, { conversationId: group, after: cursor });
    expect((await again.until(({ messageId }) => messageId === id)).message).toEqual(live.message);
    await edit(ana, id, `hello @${bob.username} and @${ana.username}`);
    const edited = await stream.until(({ messageId, type }) => messageId === id && type === 'EDITED');
    expect(edited.message.mentions.map((user: Json) => user.id)).toEqual([bob.id, ana.id]);
    await remove(ana, id);
    const deleted = await stream.until(({ messageId, type }) => messageId === id && type === 'DELETED');
    expect(deleted.message).toEqual({ mentionsEveryone: false, mentions: [] });
    expect(await mentionsOf(bob, id)).toEqual({ everyone: false, ids: [] });
    await client.dispose();
  });

  it('count as unread for the mentioned users until these have read them', async () => {
    const own = await createGroup(ana, [bob, carol]);
    await send(ana, own, 'nobody');
    const second = await send(ana, own, `@${bob.username} and @${bob.username}`);
    await send(bob, own, `@${bob.username} to himself`);
    expect(await counts(bob, own)).toEqual([2, 1]);
    expect(await counts(carol, own)).toEqual([3, 0]);
    await edit(ana, second.id, `@${carol.username} now`);
    expect(await counts(bob, own)).toEqual([2, 0]);
    expect(await counts(carol, own)).toEqual([3, 1]);
    await mark(carol, 'markRead', own, 2);
    expect(await counts(carol, own)).toEqual([1, 0]);
    await send(ana, own, `@${carol.username} again`);
    const last = await send(ana, own, `@${carol.username} and again`);
    expect(await counts(carol, own)).toEqual([3, 2]);
    await remove(ana, last.id);
    expect(await counts(carol, own)).toEqual([2, 1]);
    await ana.ask(REMOVE_MEMBER, { input: { conversationId: own, userId: carol.id } });
    await ana.ask('mutation ($input: AddMembersInput!) { addMembers(input: $input) { skippedUserIds } }', {
      input: { conversationId: own, userIds: [carol.id] },
    });
    expect(await counts(carol, own)).toEqual([0, 0]);
  });

  itOnce('include everyone if a moderator of a group writes @everyone', async () => {
    const own = await createGroup(ana, [bob, carol]);
    const { id } = await send(ana, own, `@Everyone, and @${bob.username} above all`);
    expect(await mentionsOf(carol, id)).toEqual({ everyone: true, ids: [bob.id] });
    expect(await counts(bob, own)).toEqual([1, 1]);
    expect(await counts(carol, own)).toEqual([1, 1]);
    expect(await counts(ana, own)).toEqual([0, 0]);
    const { id: idOfBob } = await send(bob, own, '@everyone');
    expect(await mentionsOf(carol, idOfBob)).toEqual({ everyone: false, ids: [] });
    await edit(ana, id, `only @${bob.username}`);
    expect(await counts(carol, own)).toEqual([2, 0]);
    expect(await counts(bob, own)).toEqual([1, 1]);
    await edit(ana, id, 'for @everyone after all');
    expect(await counts(carol, own)).toEqual([2, 1]);
    await remove(ana, id);
    expect(await counts(carol, own)).toEqual([1, 0]);
    const direct = await openDirect(ana, bob);
    const inDirect = await send(ana, direct, '@everyone');
    expect(await mentionsOf(bob, inDirect.id)).toEqual({ everyone: false, ids: [] });
  });

  itOnce('are limited in number', async () => {
    const names = [ana, bob, carol].map(({ username }) => `@${username}`);
    const { errors } = await trySend(ana, group, names.join(' '));
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.text' });
    const two = await send(ana, group, `${names[0]} ${names[1]} `.repeat(50));
    expect((await mentionsOf(bob, two.id)).ids).toEqual([ana.id, bob.id]);
    const edited = await ana.request(
      'mutation ($input: EditMessageInput!) { editMessage(input: $input) { message { id } } }',
      {
        input: { messageId: two.id, text: names.join(' ') },
      },
    );
    expect(edited.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.text' });
    // A thousand mentions of unknown names cause no error.
    expect((await trySend(ana, group, '@nobody_at_all_ '.repeat(400))).errors).toBeUndefined();
  });

  itOnce('do not reveal to outsiders who is a member', async () => {
    const names = [ana, bob, carol].map(({ username }) => `@${username}`);
    const stranger = await register(node.url, 'stranger');
    const { errors } = await trySend(stranger, group, names.join(' '));
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'NOT_FOUND', field: 'input.conversationId' });
  });

  itOnce('reserve the username everyone', async () => {
    const input = { username: 'Everyone', email: 'every@example.com', password: 'long enough' };
    const { errors } = await request(
      node.url,
      'mutation ($input: RegisterInput!) { register(input: $input) { viewer { id } } }',
      { input },
    );
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.username' });
  });
});
