import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { connectInTest, type Json, type Listening, listen, type Person, registerAll } from '../support/client.js';
import { inOneMode, modes, sharedTwo, smallLimits } from '../support/place.js';
import { attempt, createGroup, edit, openDirect, pin, remove, send, unpin } from '../support/talk.js';

const PINNED = 'query ($id: ID!) { conversation(id: $id) { pinnedMessages { text pinnedAt } } }';
const STREAM = `subscription ($after: String) { messages(after: $after) {
  type cursor messageId actor { id } message { pinnedAt viewerReactions viewerCanDelete }
} }`;

describe.each(modes)('pins in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  let ana: Person;
  let bob: Person;
  let carol: Person;
  beforeAll(async () => {
    [node, other] = await sharedTwo(mode, { ...smallLimits, SYSTEM_MESSAGES: 'on' });
    [ana, bob, carol] = await registerAll(node.url, 'ana', 'bob', 'carol');
  });

  const pinnedIn = async (person: Person, id: string) =>
    (await person.ask(PINNED, { id })).conversation.pinnedMessages.map(({ text }: Json) => text);
  async function follow(person: Person, url: string, variables: Json = {}): Promise<Listening> {
    const stream = listen(connectInTest(url, person.token), STREAM, variables);
    await stream.until(({ type }) => type === 'CAUGHT_UP');
    return stream;
  }

  it('are listed newest first, keep their place when pinned again, and can be removed', async () => {
    const group = await createGroup(ana, [bob]);
    expect(await pinnedIn(bob, group)).toEqual([]);
    const [one, two, three] = [
      await send(ana, group, 'one'),
      await send(bob, group, 'two'),
      await send(bob, group, 'three'),
    ];
    for (const { id } of [two, three, one, two]) await pin(ana, id);
    expect(await pinnedIn(bob, group)).toEqual(['one', 'three', 'two']);
    await edit(bob, three.id, 'three, edited');
    await unpin(ana, one.id);
    await unpin(ana, one.id);
    expect(await pinnedIn(bob, group)).toEqual(['three, edited', 'two']);
    await remove(bob, three.id);
    expect(await pinnedIn(bob, group)).toEqual(['two']);
  });

  itOnce('are limited in number, also when they are made concurrently', async () => {
    const group = await createGroup(ana, [bob]);
    const sent = await Promise.all(Array.from({ length: 6 }, (_, index) => send(ana, group, `${index}`)));
    const answers = await Promise.all(sent.map(({ id }) => attempt(ana, 'pinMessage', { messageId: id })));
    expect(answers.filter((answer) => answer === 'FORBIDDEN input.messageId')).toHaveLength(3);
    const pinned = await pinnedIn(bob, group);
    expect(pinned).toHaveLength(3);
    const removed = sent.find((_message, index) => pinned.includes(`${index}`));
    await unpin(ana, removed?.id ?? '');
    const next = sent.find((_message, index) => !pinned.includes(`${index}`));
    await pin(ana, next?.id ?? '');
    expect(await pinnedIn(bob, group)).toHaveLength(3);
    const { serverInfo } = await ana.ask('{ serverInfo { limits { pinsMax } } }');
    expect(serverInfo.limits.pinsMax).toBe(3);
  });

  it('are delivered as events, live and replayed', async () => {
    const group = await createGroup(ana, [bob]);
    const { id } = await send(bob, group, 'to be pinned');
    const streams = await Promise.all([follow(ana, node.url), follow(bob, other.url)]);
    const { cursor } = streams[1]?.events[0] ?? {};
    await pin(ana, id);
    for (const stream of streams) {
      const event = await stream.until(({ messageId, type }) => messageId === id && type === 'PINNED');
      expect(event.actor.id).toBe(ana.id);
      expect(event.message.pinnedAt).not.toBeNull();
    }
    const again = await follow(bob, node.url, { after: cursor });
    expect(again.events.find(({ messageId }) => messageId === id)).toMatchObject({
      type: 'PINNED',
      actor: { id: ana.id },
    });
    await unpin(ana, id);
    for (const stream of [...streams, again]) {
      const event = await stream.until(({ messageId, type }) => messageId === id && type === 'UNPINNED');
      expect(event.message.pinnedAt).toBeNull();
    }
  });

  itOnce('can be made by both users of a direct conversation', async () => {
    const direct = await openDirect(ana, bob);
    const { id } = await send(ana, direct, 'ours');
    await pin(bob, id);
    expect(await pinnedIn(ana, direct)).toEqual(['ours']);
    await unpin(ana, id);
    expect(await pinnedIn(bob, direct)).toEqual([]);
  });

  itOnce('hide messages from before a member joined, and everything from outsiders', async () => {
    const group = await createGroup(ana, [bob], { historyVisibility: 'SINCE_JOINED', visibility: 'PUBLIC' });
    await pin(ana, (await send(ana, group, 'before')).id);
    expect(await pinnedIn(carol, group)).toEqual([]);
    await attempt(carol, 'joinConversation', { conversationId: group });
    await pin(ana, (await send(ana, group, 'after')).id);
    expect(await pinnedIn(carol, group)).toEqual(['after']);
    expect(await pinnedIn(bob, group)).toEqual(['after', 'before']);
  });

  itOnce('are rejected for system messages, as all other changes are', async () => {
    const group = await createGroup(ana, [bob]);
    const { conversation } = await ana.ask(
      'query ($id: ID!) { conversation(id: $id) { lastMessage { id kind viewerCanEdit viewerCanDelete } } }',
      { id: group },
    );
    const { id: messageId, ...rest } = conversation.lastMessage;
    expect(rest).toEqual({ kind: 'SYSTEM', viewerCanEdit: false, viewerCanDelete: false });
    expect({
      edit: await attempt(ana, 'editMessage', { messageId, text: 'mine now' }),
      delete: await attempt(ana, 'deleteMessage', { messageId }),
      react: await attempt(ana, 'addReaction', { messageId, emoji: '👍' }),
      reply: await attempt(ana, 'sendMessage', { conversationId: group, text: 'an answer', replyToId: messageId }),
      pin: await attempt(ana, 'pinMessage', { messageId }),
      unpin: await attempt(ana, 'unpinMessage', { messageId }),
    }).toEqual({
      ...{ edit: 'FORBIDDEN', delete: 'FORBIDDEN', react: 'FORBIDDEN', pin: 'FORBIDDEN', unpin: 'FORBIDDEN' },
      reply: 'FORBIDDEN input.replyToId',
    });
  });
});
