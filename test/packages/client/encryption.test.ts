import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { type Changes, changesOf } from '../../../packages/client/src/changes.js';
import { contextOf } from '../../../packages/client/src/context.js';
import { draftsOf } from '../../../packages/client/src/drafts.js';
import { encryptParley, type ParleyEncryption } from '../../../packages/client/src/encryption.js';
import type { ConversationHandle, Parley, Row } from '../../../packages/client/src/index.js';
import { mediaOf } from '../../../packages/client/src/media.js';
import { pinsOf } from '../../../packages/client/src/pins.js';
import {
  decryptAttachment,
  type E2ee,
  type E2eeStorage,
  encryptAttachment,
  memoryLocks,
  memoryStorage,
  openE2ee,
} from '../../../packages/e2ee/src/index.js';
import type { RunningNode } from '../../../src/server/start.js';
import { eventually, type Person, registerAll } from '../../support/client.js';
import { atEnd } from '../../support/ending.js';
import { detailModes, sharedNode } from '../../support/place.js';
import { startProxy } from '../../support/proxy.js';
import { mark } from '../../support/receipts.js';
import { openAlone, openBrowser } from '../../support/tabs.js';
import { createGroup, openDirect, react as reactPlain, send as sendPlain } from '../../support/talk.js';

const portOf = (node: RunningNode) => Number(new URL(node.url).port);
const isLive = (parley: Parley) => parley.connection.value.status === 'live';
/** The rows that users have written. */
const written = (handle: ConversationHandle) => handle.value.rows.filter(({ message }) => message?.kind !== 'SYSTEM');
const texts = (handle: ConversationHandle) => written(handle).map(({ text }) => text);
const last = (handle: ConversationHandle) => written(handle).at(-1) as Row;
const protections = (handle: ConversationHandle) => written(handle).map(({ message }) => message?.protection);

/** Records everything that this process sends over WebSockets and HTTP. */
function recordRequests(): string[] {
  const bodies: string[] = [];
  const { fetch: original } = globalThis;
  vi.stubGlobal('fetch', (input: never, init?: RequestInit) => {
    const { body } = init ?? {};
    bodies.push(typeof body === 'string' ? body : body ? Buffer.from(body as ArrayBuffer).toString('latin1') : '');
    return original(input, init);
  });
  class RecordedWebSocket extends WebSocket {
    override send(data: string): void {
      bodies.push(data);
      super.send(data);
    }
  }
  vi.stubGlobal('WebSocket', RecordedWebSocket);
  return bodies;
}

const UPDATE = `mutation ($input: UpdateGroupInput!) { updateGroup(input: $input) { conversation { id } } }`;

describe.each(detailModes)('encrypted conversations of a client in %s mode', (mode) => {
  let node: RunningNode;

  beforeAll(async () => {
    node = await sharedNode(mode);
  });

  interface Device {
    person: Person;
    parley: Parley;
    e2ee: E2ee;
    encryption: ParleyEncryption;
    storage: E2eeStorage;
  }

  const open = (parley: Parley, storage: E2eeStorage) =>
    openE2ee({ storage, locks: memoryLocks(), execute: (document, variables) => parley.request(document, variables) });

  const encrypt = (parley: Parley, e2ee: E2ee) => encryptParley(parley, e2ee, { encryptAttachment, decryptAttachment });

  async function device(person: Person, recoveryKey?: string, parley = openAlone({ url: node.url })): Promise<Device> {
    await parley.session.useTokens({ accessToken: person.token, refreshToken: person.refreshToken });
    await eventually('it is live', () => isLive(parley));
    const storage = memoryStorage();
    const e2ee = await open(parley, storage);
    if (recoveryKey) await e2ee.recover(recoveryKey);
    else await e2ee.setUp();
    return { person, parley, e2ee, storage, encryption: encrypt(parley, e2ee) };
  }

  function show({ parley }: { parley: Parley }, id: string): ConversationHandle {
    const conversation = parley.conversation(id);
    conversation.subscribe(() => {});
    return conversation;
  }

  /** Ana and Ben, who have begun to encrypt their conversation. */
  async function meet(kind: 'direct' | 'group' = 'direct') {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const id = await (kind === 'direct' ? openDirect(ana, ben) : createGroup(ana, [ben]));
    const [one, two] = [await device(ana), await device(ben)];
    await one.e2ee.conversation(id).enable();
    const [here, there] = [show(one, id), show(two, id)];
    for (const { value } of [here, there]) void value;
    await eventually('both know', () =>
      [here, there].every(({ value }) => value.conversation?.encryption === 'END_TO_END'),
    );
    return { ana, ben, id, one, two, here, there };
  }

  it('finds encrypted edits that were missed, as soon as they can be opened', async () => {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const id = await openDirect(ana, ben);
    const proxy = await startProxy(portOf(node));
    const parley = openAlone({ url: `http://127.0.0.1:${proxy.port}/graphql` });
    const changes = changesOf(parley);
    const [one, two] = [await device(ana), await device(ben, undefined, parley)];
    await one.e2ee.conversation(id).enable();
    const [here, there] = [show(one, id), show(two, id)];
    await eventually('both have seen it', () =>
      [here, there].every(({ value }) => value.conversation?.encryption === 'END_TO_END'),
    );
    for (const text of ['before', 'unchanged', 'taken back']) await here.send(text);
    await eventually('they are read', () => texts(there).length === 3);
    const messages = written(there).map(({ message }) => message);
    await mark(ben, 'markRead', id, messages.at(-1)?.seq as number);
    await eventually('it is stored', () => there.value.conversation?.viewerMembership?.unreadCount === 0);
    proxy.pointTo(1);
    proxy.cut();
    await eventually('it is not connected', () => !isLive(parley));
    two.encryption.close();
    await here.edit(messages[0]?.id as string, 'after');
    await here.react(messages[1]?.id as string, '👍');
    for (const text of ['in between', 'taken back']) await here.edit(messages[2]?.id as string, text);
    proxy.pointTo(portOf(node));
    await eventually('the edits have arrived', () =>
      written(there).every(({ message }, at) => at === 1 || message?.editedAt),
    );
    const idsOf = () => changes.value.map(({ messageId }) => messageId);
    await eventually('the reaction is found', () => changes.value.length === 1);
    expect(idsOf()).toEqual([messages[1]?.id]);
    encrypt(parley, two.e2ee);
    await eventually('the edit is found', () => changes.value.length === 2);
    expect(idsOf()).toEqual([messages[1]?.id, messages[0]?.id]);
    expect(changes.value[1]).toMatchObject({ before: { text: 'before' }, after: { text: 'after' } });
    await changes.dismiss();
    expect(changes.value).toEqual([]);
  });

  it('finds encrypted reactions that were missed, and shows their emojis, also after a page load', async () => {
    const [ana, ben, cleo] = await registerAll(node.url, 'ana', 'ben', 'cleo');
    const id = await createGroup(ana, [ben, cleo]);
    const { id: old } = await sendPlain(ana, id, 'in plain text', 'key-of-a-message-with-a-plain-reaction');
    await reactPlain(cleo, old, '👍');
    const one = await device(ana);
    const browser = openBrowser();
    const proxy = await startProxy(portOf(node));
    const options = { url: `http://127.0.0.1:${proxy.port}/graphql` };
    const parley = browser.open(options);
    const changes = changesOf(parley);
    const two = await device(ben, undefined, parley);
    await one.e2ee.conversation(id).enable();
    const [here, there] = [show(one, id), show(two, id)];
    await eventually('it is known', () => here.value.conversation?.encryption === 'END_TO_END');
    await here.edit(old, 'encrypted');
    for (const text of ['to react to', 'another one']) await here.send(text);
    await eventually('they are read', () => texts(there).join() === 'encrypted,to react to,another one');
    const messageId = written(there)[1]?.message?.id as string;
    await here.react(messageId, '👍');
    await eventually('the reaction is shown', () => written(there)[1]?.message?.reactions[0]?.emoji === '👍');
    await mark(ben, 'markRead', id, last(there).message?.seq as number);
    await eventually('it is stored', () => there.value.conversation?.viewerMembership?.unreadCount === 0);
    proxy.pointTo(1);
    proxy.cut();
    await eventually('it is not connected', () => !isLive(parley));
    await here.react(old, '👍');
    await here.react(messageId, '🎉');
    // Nobody has made these with the key of the message.
    for (const person of [ana, cleo]) await reactPlain(person, messageId, randomBytes(63).toString('base64url'));
    proxy.pointTo(portOf(node));
    const shown = [
      { messageId: old, before: { reactions: { '👍': 1 } }, after: { text: 'encrypted', reactions: { '👍': 2 } } },
      {
        messageId,
        before: { reactions: { '👍': 1 } },
        after: { text: 'to react to', reactions: { '👍': 1, '🎉': 1, '\uFFFD': 2 } },
      },
    ];
    const shownBy = ({ value }: Changes) =>
      value
        .map(({ messageId: about, before, after }) => ({
          messageId: about,
          before: { reactions: before.reactions },
          after: { text: after.text, reactions: after.reactions },
        }))
        .sort((first) => (first.messageId === old ? -1 : 1));
    const areShown = (given: Changes) => isDeepStrictEqual(shownBy(given), shown);
    await eventually('the emojis are shown', () => areShown(changes));
    await parley.close();
    const next = browser.open(options);
    const later = changesOf(next);
    await eventually('the changes are known', () => later.value.length === 2);
    const e2ee = await open(next, two.storage);
    await e2ee.start();
    encrypt(next, e2ee);
    await eventually('the emojis are shown again', () => areShown(later));
  });

  it('messages, replies, edits and deletions arrive on all devices, and no text is sent', async () => {
    const bodies = recordRequests();
    const { ana, ben, id, one, two, here, there } = await meet();
    await here.send('canary one');
    await eventually('it is read', () => texts(there).includes('canary one'));
    expect(protections(there)).toEqual(['protected']);
    const first = last(there).message;
    await there.send('canary two', { replyToId: first?.id as string });
    await eventually('the reply is read', () => last(here).text === 'canary two');
    expect(last(here).message?.replyTo).toMatchObject({ text: 'canary one', protection: 'protected' });
    await here.edit(first?.id as string, 'canary edited');
    await here.edit(first?.id as string, 'canary edited twice');
    await eventually('the edit is read', () => texts(there)[0] === 'canary edited twice');
    expect(texts(here)).toEqual(['canary edited twice', 'canary two']);
    // A change of another field does not take the text away.
    await there.react(first?.id as string, '👍');
    await eventually('the reaction is shown', () => written(here)[0]?.message?.reactions.length === 1);
    expect(texts(here)).toEqual(['canary edited twice', 'canary two']);
    const phone = await device(ben, await two.e2ee.recoveryKey());
    const phoned = show(phone, id);
    await eventually(
      'the new device reads everything',
      () => texts(phoned).join() === 'canary edited twice,canary two',
    );
    expect(phone.parley.conversations.value.conversations[0]?.lastMessage?.text).toBe('canary two');
    await phoned.send('canary three');
    await eventually('all read it', () => [here, there, phoned].every((each) => texts(each).at(-1) === 'canary three'));
    await phoned.delete(last(phoned).message?.id as string);
    await eventually('it is deleted', () => texts(here).at(-1) === null);
    expect(last(here).message).toMatchObject({ text: null });
    expect(last(here).message?.protection).toBeUndefined();
    expect(bodies.length).toBeGreaterThan(20);
    expect(bodies.filter((body) => body.includes('canary'))).toEqual([]);
    const { conversation } = await ana.ask(
      'query ($id: ID!) { conversation(id: $id) { messages { nodes { text } } } }',
      {
        id,
      },
    );
    expect(conversation.messages.nodes.every(({ text }: { text: string | null }) => text === null)).toBe(true);
    expect(one.parley.outbox.value).toEqual([]);
  });

  it('reactions are counted and toggled on all devices, also after edits, and no emoji is sent', async () => {
    const { id, two, here, there } = await meet();
    const bodies = recordRequests();
    const shownTo = (handle: ConversationHandle) =>
      last(handle).message?.reactions.map(({ emoji, count, protection }) => `${emoji} ${count} ${protection}`);
    const ownOf = (handle: ConversationHandle) => last(handle).message?.viewerReactions;
    await here.send('to react to');
    await eventually('it is read', () => last(there)?.text === 'to react to');
    const messageId = last(there).message?.id as string;
    await there.react(messageId, '❤');
    await there.react(messageId, '❤️');
    await here.react(messageId, '❤️');
    await here.react(messageId, '🎉');
    const both = ['❤️ 2 protected', '🎉 1 protected'];
    for (const each of [here, there]) {
      await eventually('both are shown', () => shownTo(each)?.join() === both.join());
    }
    expect(ownOf(here)).toEqual(['❤️', '🎉']);
    expect(ownOf(there)).toEqual(['❤️']);
    for (const text of ['edited', 'edited again']) {
      await here.edit(messageId, text);
      await eventually('the edit is read', () => last(there).text === text);
      for (const each of [here, there]) {
        await eventually('they are shown', () => shownTo(each)?.join() === both.join());
      }
    }
    // A device that has seen only the edited version.
    const phone = await device(two.person, await two.e2ee.recoveryKey());
    const phoned = show(phone, id);
    await eventually('the new device shows them', () => last(phoned) && shownTo(phoned)?.join() === both.join());
    for (const isAdded of [false, false, true, true, false]) await phoned.react(messageId, '❤️', isAdded);
    await phoned.react(messageId, '🎉');
    const later = ['❤️ 1 protected', '🎉 2 protected'];
    for (const each of [here, there, phoned]) {
      await eventually('all show the same', () => shownTo(each)?.join() === later.join());
    }
    expect(ownOf(there)).toEqual(['🎉']);
    await expect(there.react(messageId, 'no emoji')).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      field: 'input.emoji',
    });
    expect(bodies.some((body) => body.includes(messageId))).toBe(true);
    expect(bodies.filter((body) => /❤|🎉|no emoji/u.test(body))).toEqual([]);
  });

  it('reactions that are opened are shown by a page without encryption, which sends none', async () => {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const id = await openDirect(ana, ben);
    const two = await device(ben);
    const browser = openBrowser();
    const one = await device(ana, undefined, browser.open({ url: node.url }));
    await one.e2ee.conversation(id).enable();
    const [here, there] = [show(one, id), show(two, id)];
    await here.send('kept');
    await eventually('it is read', () => last(there)?.text === 'kept');
    const messageId = last(there).message?.id as string;
    await there.react(messageId, '👍');
    const emojis = (handle: ConversationHandle) => last(handle)?.message?.reactions.map(({ emoji }) => emoji);
    await eventually('it is shown', () => emojis(here)?.join() === '👍');
    await one.parley.close();
    const next = browser.open({ url: node.url });
    const shown = show({ parley: next }, id);
    await eventually('it is shown at once', () => emojis(shown)?.join() === '👍');
    await expect(shown.react(messageId, '👍')).rejects.toMatchObject({ code: 'NOT_SET_UP' });
    await there.react(messageId, '🎉');
    await there.send('afterwards');
    await eventually('the next message has arrived', () => shown.value.rows.length > here.value.rows.length);
    // A reaction that has not been opened is not shown as it is.
    const before = written(shown).find(({ message }) => message?.id === messageId)?.message;
    expect(before?.reactions.map(({ emoji }) => emoji)).toEqual(['👍']);
    const e2ee = await open(next, one.storage);
    await e2ee.start();
    encrypt(next, e2ee);
    const after = () => written(shown).find(({ message }) => message?.id === messageId)?.message;
    await eventually(
      'both are shown',
      () =>
        after()
          ?.reactions.map(({ emoji }) => emoji)
          .join() === '👍,🎉',
    );
  });

  it('reactions from before the encryption are recognizable, and can be removed', async () => {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const id = await openDirect(ana, ben);
    const { id: old } = await sendPlain(ana, id, 'in plain text', 'key-of-a-message-with-reactions');
    for (const emoji of ['👍', '❤️']) await reactPlain(ben, old, emoji);
    const [one, two] = [await device(ana), await device(ben)];
    await one.e2ee.conversation(id).enable();
    const [here, there] = [show(one, id), show(two, id)];
    await eventually(
      'it is known',
      () => there.value.conversation?.encryption === 'END_TO_END' && written(there).length > 0,
    );
    // The message remains in plain text, and reactions to it do.
    await here.react(old, '👍');
    await here.edit(old, 'now encrypted');
    await eventually('it is protected', () => protections(there)[0] === 'protected');
    // Ben has reacted so already.
    await there.react(old, '❤');
    await there.react(old, '🎉');
    const shownTo = (handle: ConversationHandle) =>
      last(handle).message?.reactions.map(({ emoji, count, protection }) => `${emoji} ${count} ${protection}`);
    const all = ['👍 2 undefined', '❤️ 1 undefined', '🎉 1 protected'];
    await eventually('all are shown', () => shownTo(here)?.join() === all.join());
    for (const emoji of ['👍', '❤', '🎉']) await there.react(old, emoji, false);
    await eventually('they are removed', () => shownTo(here)?.join() === '👍 1 undefined');
    expect(last(there).message?.viewerReactions).toEqual([]);
  });

  it('mentions are counted for the members that a text names', async () => {
    const [ana, ben, cleo] = await registerAll(node.url, 'ana', 'ben', 'cleo');
    const id = await createGroup(ana, [ben, cleo]);
    const [one, two] = [await device(ana), await device(ben)];
    await one.e2ee.conversation(id).enable();
    const here = show(one, id);
    await eventually('it is known', () => here.value.conversation?.encryption === 'END_TO_END');
    await here.send(`Hello @${ben.username}, \`@${cleo.username}\` and @nobody-at-all.`);
    const unread = () => show(two, id).value.conversation?.viewerMembership;
    await eventually('it is counted', () => unread()?.unreadMentionCount === 1);
    const names = () => last(here).message?.mentions.map(({ id: userId }) => userId);
    await eventually('it is confirmed', () => names() !== undefined);
    expect(names()).toEqual([ben.id]);
    await here.send('To @everyone');
    await eventually('everyone is mentioned', () => unread()?.unreadMentionCount === 2);
    expect(last(here).message?.mentionsEveryone).toBe(true);
  });

  it('what is written offline waits for the encryption, across page loads, and is sent once', async () => {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const id = await openDirect(ana, ben);
    const two = await device(ben);
    const bodies = recordRequests();
    const proxy = await startProxy(portOf(node));
    const browser = openBrowser();
    recordInto(bodies);
    const options = { url: `http://127.0.0.1:${proxy.port}/graphql`, requestTimeout: 10_000 };
    const one = await device(ana, undefined, browser.open(options));
    await one.e2ee.conversation(id).enable();
    const here = show(one, id);
    await here.send('first');
    await eventually('it is sent', () => one.parley.outbox.value.length === 0 && texts(here).join() === 'first');
    proxy.pointTo(1);
    proxy.cut();
    await here.send('canary offline');
    await eventually('it waits', () => one.parley.outbox.value.length === 1);
    await one.parley.close();
    // A page that has not loaded the encryption.
    const next = browser.open(options);
    const shown = show({ parley: next }, id);
    await eventually('everything is shown at once', () => texts(shown).join() === 'first,canary offline');
    expect(protections(shown)[0]).toBe('protected');
    proxy.pointTo(portOf(node));
    await eventually('it is live', () => isLive(next));
    expect(last(shown).status).toBe('queued');
    await expect(shown.edit(written(shown)[0]?.message?.id as string, 'canary edit')).rejects.toMatchObject({
      code: 'NOT_SET_UP',
    });
    const e2ee = await open(next, one.storage);
    await e2ee.start();
    encrypt(next, e2ee);
    await eventually('it is sent', () => next.outbox.value.length === 0);
    const there = show(two, id);
    await eventually('it is read', () => texts(there).join() === 'first,canary offline');
    expect(bodies.filter((body) => body.includes('canary'))).toEqual([]);
    // Another tab shares what was opened.
    const tab = browser.open(options);
    const tabbed = show({ parley: tab }, id);
    await there.send('to the tabs');
    await eventually('a tab without encryption shows it', () => texts(tabbed).at(-1) === 'to the tabs');
    await next.session.signOut();
    await eventually('nothing is left', () => tab.conversations.value.conversations.length === 0);
    await tab.close();
    const content = await contentOfBrowser();
    expect(content).not.toContain('to the tabs');
    expect(content).not.toContain('first');
  });

  it('a message whose answer is lost is repeated with the same bytes', async () => {
    const { id, one, here, there } = await meet();
    const sent = new Map<string, Set<string>>();
    const parley = openAlone({ url: node.url });
    const { person } = one;
    await parley.session.useTokens({ accessToken: person.token, refreshToken: person.refreshToken });
    await one.parley.close();
    void here;
    let lost = 0;
    const ids = new Set<string>();
    class LossyWebSocket extends WebSocket {
      override send(data: string): void {
        const { id: operation, payload } = JSON.parse(data);
        const { encrypted, clientMessageId } = payload?.variables?.input ?? {};
        if (encrypted) {
          ids.add(operation);
          sent.set(clientMessageId, (sent.get(clientMessageId) ?? new Set()).add(encrypted.content));
        }
        super.send(data);
      }
      override emit(event: string, ...args: unknown[]): boolean {
        const isAnswer = event === 'message' && ids.delete(JSON.parse(String(args[0])).id);
        if (!isAnswer || lost === 2) return super.emit(event, ...args);
        lost += 1;
        this.terminate();
        return true;
      }
    }
    vi.stubGlobal('WebSocket', LossyWebSocket);
    const again = openAlone({ url: node.url });
    vi.stubGlobal('WebSocket', LossyWebSocket);
    await again.session.useTokens({ accessToken: person.token, refreshToken: person.refreshToken });
    await eventually('it is live', () => isLive(again));
    const e2ee = await open(again, one.storage);
    await e2ee.start();
    encrypt(again, e2ee);
    await again.conversation(id).send('once');
    await eventually('an answer was lost', () => lost > 0);
    await eventually('it is sent', () => again.outbox.value.length === 0);
    await eventually('it is read', () => texts(there).join() === 'once');
    expect([...sent.values()].map(({ size }) => size)).toEqual([1]);
  });

  it('an encryption that began while a device was offline encrypts what the server has refused', async () => {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const id = await openDirect(ana, ben);
    const two = await device(ben);
    const proxy = await startProxy(portOf(node));
    const one = await device(ana, undefined, openAlone({ url: `http://127.0.0.1:${proxy.port}/graphql` }));
    const here = show(one, id);
    await eventually('it is shown', () => here.value.conversation !== undefined);
    proxy.pointTo(1);
    proxy.cut();
    await here.send('written before');
    await two.e2ee.conversation(id).enable();
    proxy.pointTo(portOf(node));
    const there = show(two, id);
    await eventually('it is read', () => texts(there).join() === 'written before');
    expect(protections(there)).toEqual(['protected']);
  });

  it('texts that the server adds, swaps or claims are not shown as protected', async () => {
    const { id, one, two, there, here } = await meet('group');
    await here.send('genuine');
    await here.send('other');
    await eventually('both are read', () => texts(there).join() === 'genuine,other');
    // The next answers of the server are changed.
    let change = (_: Record<string, unknown>) => {};
    class HostileWebSocket extends WebSocket {
      override emit(event: string, ...args: unknown[]): boolean {
        if (event !== 'message') return super.emit(event, ...args);
        const data = JSON.parse(String(args[0]), (_, value) => {
          if (value?.__typename === 'Message') change(value);
          if (value?.encryption) value.encryption = 'NONE';
          return value;
        });
        return super.emit(event, Buffer.from(JSON.stringify(data)), ...args.slice(1));
      }
    }
    vi.stubGlobal('WebSocket', HostileWebSocket);
    const parley = openAlone({ url: node.url });
    vi.stubGlobal('WebSocket', HostileWebSocket);
    const { person } = two;
    await parley.session.useTokens({ accessToken: person.token, refreshToken: person.refreshToken });
    await eventually('it is live', () => isLive(parley));
    const e2ee = await open(parley, two.storage);
    await e2ee.start();
    encrypt(parley, e2ee);
    const shown = show({ parley }, id);
    await eventually('both are read', () => texts(shown).join() === 'genuine,other');
    const [first, second] = written(shown).map(({ message }) => message) as [Row['message'], Row['message']];
    const rowOf = (index: number) => written(shown)[index] as Row;
    const emojis = ['👍', '🎉', '❤️', '😀', '🐢', '🙏'];
    /** Lets the server send a message again with changed fields. */
    const lie = async (messageId: string, fields: Record<string, unknown>) => {
      change = (message) => message['id'] === messageId && Object.assign(message, fields);
      await here.react(messageId, emojis.pop() as string);
    };
    const [id1, id2] = [first?.id as string, second?.id as string];
    await lie(id1, { text: 'fake', protection: 'protected' });
    await eventually('it arrived', () => rowOf(0).message?.reactions.length === 1);
    expect(rowOf(0)).toMatchObject({ text: 'genuine', message: { protection: 'protected' } });
    // It moves a reaction from another message, changes a byte of one, and adds one of its own.
    const reactionsIn = (index: number) =>
      rowOf(index).message?.reactions.map(({ emoji, count, protection }) => [emoji, count, protection]);
    await here.react(id2, '🦊');
    await eventually('it is shown', () => reactionsIn(1)?.length === 1);
    const [moved] = await sealedReactions(two.person, id2);
    const [genuine] = await sealedReactions(two.person, id1);
    const changed = genuine?.replace(/.$/, (character) => (character === 'A' ? 'B' : 'A'));
    const groups = [genuine, moved, changed, '😈'].map((emoji, index) => ({
      emoji,
      count: index + 1,
      protection: 'protected',
    }));
    await lie(id1, { reactions: groups, viewerReactions: [moved] });
    await eventually('the others are not shown as emojis', () => reactionsIn(0)?.length === 3);
    expect(reactionsIn(0)).toEqual([
      ['🙏', 1, 'protected'],
      ['\uFFFD', 5, { error: 'TAMPERED' }],
      ['😈', 4, undefined],
    ]);
    expect(rowOf(0).message?.viewerReactions).toEqual(['\uFFFD']);
    await lie(id1, { text: 'fake', encrypted: null, protection: 'protected' });
    await eventually('the text is shown', () => rowOf(0).text === 'fake');
    expect(rowOf(0).message?.protection).toBeUndefined();
    await lie(id1, { text: 'fake', sender: { ...first?.sender, id: two.person.id } });
    await eventually('another sender is noticed', () => typeof rowOf(0).message?.protection === 'object');
    expect(rowOf(0)).toMatchObject({ text: null, message: { protection: { error: 'TAMPERED' } } });
    const { conversation } = await two.person.ask(
      `query ($id: ID!) { conversation(id: $id) { messages(last: 2) { nodes {
        encrypted { __typename generation epoch content device { __typename id } } } } } }`,
      { id },
    );
    await lie(id2, { encrypted: conversation.messages.nodes[0].encrypted, text: 'fake' });
    await eventually('another content is noticed', () => typeof rowOf(1).message?.protection === 'object');
    expect(rowOf(1)).toMatchObject({ text: null, message: { protection: { error: 'TAMPERED' } } });
    await lie(id2, {});
    await eventually('the genuine one is shown again', () => rowOf(1).text === 'other');
    expect(rowOf(1).message?.protection).toBe('protected');
    // It states that the conversation is not encrypted.
    await one.person.ask(UPDATE, { input: { conversationId: id, title: 'Another title' } });
    await eventually('it is stated', () => shown.value.conversation?.encryption === 'NONE');
    change = () => {};
    const bodies = recordRequests();
    await shown.send('canary after the lies');
    await eventually('it is sent encrypted', () => texts(here).at(-1) === 'canary after the lies');
    expect(bodies.filter((body) => body.includes('canary'))).toEqual([]);
  });

  it('a server that denies the encryption to a client without stored data receives no text', async () => {
    const { id, one, there } = await meet();
    const denied = (data: string) => data.replaceAll('"encryption":"END_TO_END"', '"encryption":"NONE"');
    class HostileWebSocket extends WebSocket {
      override emit(event: string, ...args: unknown[]): boolean {
        if (event !== 'message') return super.emit(event, ...args);
        return super.emit(event, Buffer.from(denied(String(args[0]))), ...args.slice(1));
      }
    }
    const { fetch: original } = globalThis;
    // The other tests of this file use it as well.
    atEnd(() => vi.stubGlobal('fetch', original));
    vi.stubGlobal('fetch', async (...given: Parameters<typeof fetch>) => {
      const response = await original(...given);
      return new Response(denied(await response.text()), response);
    });
    vi.stubGlobal('WebSocket', HostileWebSocket);
    const parley = openAlone({ url: node.url });
    vi.stubGlobal('WebSocket', HostileWebSocket);
    const { person } = one;
    await parley.session.useTokens({ accessToken: person.token, refreshToken: person.refreshToken });
    await eventually('it is live', () => isLive(parley));
    const shown = show({ parley }, id);
    await eventually('it is shown', () => shown.value.conversation?.encryption === 'NONE');
    const e2ee = await open(parley, one.storage);
    await e2ee.start();
    encrypt(parley, e2ee);
    await eventually('it is known', () => contextOf(parley).store.isEncrypted(id));
    const bodies = recordRequests();
    await shown.send('canary');
    await eventually('it is read', () => texts(there).join() === 'canary');
    expect(protections(there)).toEqual(['protected']);
    expect(bodies.filter((body) => body.includes('canary'))).toEqual([]);
  });

  it('files are encrypted before the upload and decrypted by the others', async () => {
    const bodies = recordRequests();
    const { id, one, two, here, there } = await meet();
    const media = mediaOf(one.parley);
    mediaOf(two.parley);
    const content = 'canary content '.repeat(5_000);
    const image = new File([content], 'canary-name.png', { type: 'image/png' });
    await media.add(id, image, { width: 640, height: 480, altText: 'canary description' });
    await media.send(id, 'Look');
    await eventually(
      'it is read',
      () => last(there)?.text === 'Look' && last(there).message?.attachments[0]?.state === 'READY',
    );
    const [attachment] = last(there).message?.attachments ?? [];
    expect(attachment).toMatchObject({
      kind: 'IMAGE',
      filename: 'canary-name.png',
      contentType: 'image/png',
      byteSize: content.length,
      width: 640,
      height: 480,
      altText: 'canary description',
    });
    await eventually('there is a token', () => mediaOf(two.parley).token.value !== undefined);
    let received = 0;
    const opened = await two.encryption.file(attachment as never, { onProgress: (bytes) => (received = bytes) });
    expect(opened.type).toBe('image/png');
    expect(await opened.text()).toBe(content);
    expect(received).toBeGreaterThan(content.length);
    expect(media.ownFile(attachment?.id as string)).toBeDefined();
    await there.edit(last(there).message?.id as string, 'no').then(
      () => expect.unreachable(),
      () => {},
    );
    await here.edit(last(here).message?.id as string, null);
    await eventually('the text is removed', () => last(there).text === null);
    expect(last(there).message?.attachments).toHaveLength(1);
    expect(bodies.filter((body) => body.includes('canary'))).toEqual([]);
  });

  it('drafts of encrypted conversations stay on the device', async () => {
    const { id, ana, one } = await meet();
    const bodies = recordRequests();
    const drafts = draftsOf(one.parley);
    const other = await createGroup(ana, []);
    const saved = async () => (await ana.ask('{ viewer { drafts { text } } }')).viewer.drafts;
    await drafts.save(id, 'canary draft');
    await drafts.save(other, 'not encrypted');
    await eventually('the later one is saved', async () => (await saved()).length > 0);
    expect(drafts.of(id).value?.text).toBe('canary draft');
    expect(bodies.filter((body) => body.includes('canary'))).toEqual([]);
    expect(await saved()).toEqual([{ text: 'not encrypted' }]);
  });

  it('new messages are announced with their texts, and pins and quotes have theirs', async () => {
    const { id, one, two, here, there } = await meet();
    const announced: (string | null)[] = [];
    two.parley.onMessage(({ text }) => announced.push(text));
    await here.send('announced');
    await eventually('it is announced', () => announced.length === 1);
    expect(announced).toEqual(['announced']);
    await eventually('it is read', () => last(there)?.text === 'announced');
    const pins = pinsOf(one.parley);
    await pins.set(id, last(here).message?.id as string, true);
    const phone = await device(two.person, await two.e2ee.recoveryKey());
    const others = pinsOf(phone.parley);
    await others.load(id);
    await eventually('the pin is opened', () => others.of(id).value?.[0]?.text === 'announced');
  });

  it('messages from before the encryption are recognizable, and can be edited', async () => {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const id = await openDirect(ana, ben);
    const { id: old } = await sendPlain(ana, id, 'in plain text', 'key-of-the-old-message');
    const [one, two] = [await device(ana), await device(ben)];
    await one.e2ee.conversation(id).enable();
    const [here, there] = [show(one, id), show(two, id)];
    await eventually(
      'it is shown',
      () => here.value.conversation?.encryption === 'END_TO_END' && texts(there).length === 1,
    );
    expect(protections(there)).toEqual([undefined]);
    await here.edit(old, 'now encrypted');
    await eventually('it is protected', () => texts(there)[0] === 'now encrypted');
    expect(protections(there)).toEqual(['protected']);
  });

  it('an error of the encryption stays with the entry, and retrying sends it', async () => {
    const { here, there, one } = await meet();
    let fails = true;
    const failing: E2ee = {
      ...one.e2ee,
      conversation(id) {
        const conversation = one.e2ee.conversation(id);
        return {
          ...conversation,
          async encrypt(...args) {
            if (fails) throw Object.assign(new Error('changed'), { name: 'E2eeError', code: 'IDENTITY_CHANGED' });
            return conversation.encrypt(...args);
          },
        };
      },
    };
    encrypt(one.parley, failing);
    const key = await here.send('tried twice');
    await eventually('it has failed', () => last(here).status === 'failed');
    expect(last(here).pending?.error).toMatchObject({ code: 'IDENTITY_CHANGED' });
    fails = false;
    await one.parley.outbox.retry(key);
    await eventually('it is read', () => texts(there).join() === 'tried twice');
  });
});

/** The emojis of the reactions to a message, as the server has them. */
const sealedReactions = async (person: Person, id: string): Promise<string[]> =>
  (
    await person.ask('query ($id: ID!) { node(id: $id) { ... on Message { reactions { emoji } } } }', { id })
  ).node.reactions.map(({ emoji }: { emoji: string }) => emoji);

/** Records into `bodies` again after the globals of a browser were replaced. */
function recordInto(bodies: string[]): void {
  class RecordedWebSocket extends WebSocket {
    override send(data: string): void {
      bodies.push(data);
      super.send(data);
    }
  }
  vi.stubGlobal('WebSocket', RecordedWebSocket);
}

/** Everything that IndexedDB contains, as text. */
async function contentOfBrowser(): Promise<string> {
  const done = <T>(request: IDBRequest<T>) =>
    new Promise<T>((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  let content = '';
  for (const { name = '' } of await indexedDB.databases()) {
    const db = await done(indexedDB.open(name));
    for (const store of db.objectStoreNames) {
      content += JSON.stringify(await done(db.transaction(store).objectStore(store).getAll()));
    }
    db.close();
  }
  return content;
}
