import { beforeAll, describe, expect, it } from 'vitest';
import type { ConversationHandle, Parley } from '../../../packages/client/src/index.js';
import { pinsOf } from '../../../packages/client/src/pins.js';
import type { RunningNode } from '../../../src/server/start.js';
import { eventually, type Person, registerAll } from '../../support/client.js';
import { detailModes, sharedNode } from '../../support/place.js';
import { openAlone } from '../../support/tabs.js';
import { attempt, createGroup, openDirect, send } from '../../support/talk.js';

describe.each(detailModes)('a conversation in %s mode', (mode) => {
  let node: RunningNode;

  beforeAll(async () => {
    node = await sharedNode(mode);
  });

  async function openFor(person: Person): Promise<Parley> {
    const parley = openAlone({ url: node.url, pageSize: 10 });
    await parley.session.useTokens({ accessToken: person.token, refreshToken: person.refreshToken });
    await eventually('it is live', () => parley.connection.value.status === 'live');
    return parley;
  }

  const texts = (handle: ConversationHandle) => handle.value.rows.map(({ text }) => text);

  it('shows the newest messages, and those that arrive', async () => {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const id = await openDirect(ana, ben);
    for (let number = 1; number <= 12; number += 1) await send(ana, id, `${number}`);
    const parley = await openFor(ben);
    const conversation = parley.conversation(id);
    conversation.subscribe(() => {});
    await eventually('the page is loaded', () => conversation.value.rows.length >= 10);
    expect(texts(conversation).slice(-3)).toEqual(['10', '11', '12']);
    await send(ana, id, '13');
    await eventually('the message arrives', () => texts(conversation).at(-1) === '13');
    await conversation.loadEarlier();
    expect(texts(conversation)).toEqual(Array.from({ length: 13 }, (_, index) => `${index + 1}`));
    expect(conversation.value).toMatchObject({ hasEarlier: false, hasLater: false, error: undefined });
  });

  it('keeps the rows that a new message does not change, so that applications need not render them again', async () => {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const id = await openDirect(ana, ben);
    await send(ana, id, 'theirs');
    await send(ben, id, 'own');
    const parley = await openFor(ben);
    const conversation = parley.conversation(id);
    conversation.subscribe(() => {});
    await eventually('the page is loaded', () => texts(conversation).length === 2);
    await attempt(ana, 'markRead', { conversationId: id, seq: 2 });
    await eventually('the own message is seen', () => conversation.value.rows[1]?.status === 'seen');
    const before = conversation.value.rows;
    await send(ana, id, 'new');
    await eventually('the message arrives', () => texts(conversation).length === 3);
    const [theirs, own] = conversation.value.rows;
    expect(theirs).toBe(before[0]);
    expect(own).toBe(before[1]);
  });

  it('begins where the history of a member begins', async () => {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const id = await createGroup(ana, [], { historyVisibility: 'SINCE_JOINED' });
    for (const text of ['hidden 1', 'hidden 2', 'hidden 3']) await send(ana, id, text);
    const parley = await openFor(ben);
    await attempt(ana, 'addMembers', { conversationId: id, userIds: [ben.id] });
    const conversation = parley.conversation(id);
    const isComplete = () => {
      const { hasEarlier, hasLater, isLoading } = conversation.value;
      return conversation.value.conversation !== undefined && !hasEarlier && !hasLater && !isLoading;
    };
    conversation.subscribe(() => {});
    await eventually('the beginning is known without a message', isComplete);
    expect(texts(conversation)).toEqual([]);
    for (const text of ['4', '5']) await send(ana, id, text);
    await eventually('the messages arrive', () => texts(conversation).length === 2);
    expect(texts(conversation)).toEqual(['4', '5']);
    await conversation.loadEarlier();
    await conversation.showAround(2);
    await eventually('the beginning is shown', isComplete);
    expect(texts(conversation)).toEqual(['4', '5']);
    const next = await openFor(ben);
    const again = next.conversation(id);
    again.subscribe(() => {});
    await eventually('the messages are loaded', () => texts(again).length === 2 && !again.value.hasEarlier);
    expect(again.value).toMatchObject({ hasEarlier: false, hasLater: false });
  });

  it('contains pinned messages that are not loaded, and keeps them current', async () => {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const id = await openDirect(ana, ben);
    const ids = [];
    for (let number = 1; number <= 30; number += 1) ids.push((await send(ana, id, `${number}`)).id);
    const pin = (name: 'pin' | 'unpin', messageId: string | undefined) =>
      ana.ask(
        `mutation ($input: ${name === 'pin' ? 'Pin' : 'Unpin'}MessageInput!) { ${name}Message(input: $input) { message { id } } }`,
        { input: { messageId } },
      );
    await pin('pin', ids[0]);
    const parley = await openFor(ben);
    const conversation = parley.conversation(id);
    conversation.subscribe(() => {});
    const pins = pinsOf(parley).of(id);
    await pinsOf(parley).load(id);
    const pinned = () => pins.value.map(({ text }) => text).join();
    expect(pinned()).toBe('1');
    await pin('pin', ids[29]);
    await eventually('the newest pin comes first', () => pinned() === '30,1');
    await pin('unpin', ids[0]);
    await eventually('it is unpinned', () => pinned() === '30');
    await pinsOf(parley).set(id, ids[1] as string);
    await eventually('another message is pinned', () => pinned() === '2,30');
    await pinsOf(parley).set(id, ids[1] as string, false);
    await eventually('it is unpinned again', () => pinned() === '30');
    await expect(pinsOf(parley).set(id, 'Message_unknown')).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
  });

  it('sends a message, whose row stays the same when it is confirmed', async () => {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const id = await openDirect(ana, ben);
    const [mine, theirs] = await Promise.all([openFor(ana), openFor(ben)]);
    const conversation = mine.conversation(id);
    const seen: string[] = [];
    conversation.subscribe(({ rows }) => {
      for (const { key, status } of rows) seen.push(`${key} ${status}`);
    });
    const other = theirs.conversation(id);
    other.subscribe(() => {});
    const key = await conversation.send('Hello');
    await eventually('it arrives', () => texts(other).includes('Hello'));
    await eventually('it is delivered', () => seen.includes(`${key} delivered`));
    other.markRead(other.value.rows.at(-1)?.message?.seq ?? 0);
    await eventually('it is seen', () => seen.includes(`${key} seen`));
    expect([...new Set(seen.map((each) => each.split(' ')[0]))]).toEqual([key]);
  });
});
