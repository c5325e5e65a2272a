import { type AddressInfo, createServer } from 'node:net';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { changesOf } from '../../../packages/client/src/changes.js';
import type { ConversationHandle, Parley, ParleyOptions } from '../../../packages/client/src/index.js';
import { openStorage } from '../../../packages/client/src/storage.js';
import { trimChangeLog } from '../../../src/realtime/change-log.js';
import type { RunningNode } from '../../../src/server/start.js';
import { eventually, type Person, registerAll } from '../../support/client.js';
import { rowId } from '../../support/durable-streams.js';
import { atEnd } from '../../support/ending.js';
import { inOneMode, makePlace, modes, sharedNode } from '../../support/place.js';
import { startProxy } from '../../support/proxy.js';
import { mark } from '../../support/receipts.js';
import { type Browser, openBrowser } from '../../support/tabs.js';
import { createGroup, edit, openDirect, react, remove, send } from '../../support/talk.js';

const portOf = (node: RunningNode) => Number(new URL(node.url).port);
const texts = (handle: ConversationHandle) => handle.value.rows.map(({ text }) => text);
const isLive = (parley: Parley) => parley.connection.value.status === 'live';

describe.each(modes)('a client that recovers in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;

  beforeAll(async () => {
    node = await sharedNode(mode);
  });
  afterEach(() => vi.restoreAllMocks());

  /** Ben's client behind a proxy, in a conversation with Ana. */
  async function meet(server = node, options: Partial<ParleyOptions> = {}) {
    const [ana, ben] = await registerAll(server.url, 'ana', 'ben');
    const id = await openDirect(ana, ben);
    await send(ana, id, 'first');
    const proxy = await startProxy(portOf(server));
    const url = `http://127.0.0.1:${proxy.port}/graphql`;
    const browser = openBrowser();
    const open = () => openFor(browser, { url, ...options });
    const parley = open();
    await parley.session.useTokens({ accessToken: ben.token, refreshToken: ben.refreshToken });
    await eventually('it is live', () => isLive(parley));
    return { ana, ben, id, proxy, url, parley, open, conversation: show(parley, id) };
  }
  const openFor = (browser: Browser, options: ParleyOptions) => browser.open(options);

  function show(parley: Parley, id: string): ConversationHandle {
    const conversation = parley.conversation(id);
    conversation.subscribe(() => {});
    return conversation;
  }

  const sendAll = async (person: Person, id: string, from: number, to: number) => {
    for (let number = from; number <= to; number += 1) await send(person, id, `${number}`);
  };

  it('neither misses nor repeats a change when its connection breaks repeatedly', { timeout: 60_000 }, async () => {
    const { ana, id, proxy, parley, conversation } = await meet();
    for (let round = 0; round < 5; round += 1) {
      const sending = sendAll(ana, id, round * 6 + 1, round * 6 + 6);
      proxy.cut();
      await sending;
      await eventually('it is live again', () => isLive(parley));
    }
    const expected = ['first', ...Array.from({ length: 30 }, (_, index) => `${index + 1}`)];
    await eventually('all arrive', () => texts(conversation).length >= expected.length);
    expect(texts(conversation)).toEqual(expected);
    expect(conversation.value.hasEarlier).toBe(false);
    const { viewerMembership } = conversation.value.conversation ?? {};
    expect(viewerMembership?.unreadCount).toBe(31);
  });

  itOnce('counts the messages of others that were delivered late', { timeout: 60_000 }, async () => {
    const { ana, ben, id, proxy, parley, open, conversation } = await meet();
    const late = changesOf(parley).lateMessages;
    const known = await send(ana, id, 'in time');
    await eventually('it arrives', () => texts(conversation).includes('in time'));
    expect(late.value).toBe(0);
    proxy.pointTo(1);
    proxy.cut();
    await eventually('it is not connected', () => !isLive(parley));
    await send(ana, id, 'late');
    // A message with several changes is counted once; what was known, is deleted or is one's own does not count.
    await edit(ana, (await send(ana, id, 'lat')).id, 'later');
    await edit(ana, known.id, 'in time, edited');
    await remove(ana, (await send(ana, id, 'gone')).id);
    await send(ben, id, 'of another device');
    await send(ana, await createGroup(ana, [ben]), 'in a new group');
    proxy.pointTo(portOf(node));
    await eventually('it is live again', () => isLive(parley));
    expect(late.value).toBe(3);
    await send(ana, id, 'in time again');
    await eventually('it arrives', () => texts(conversation).includes('in time again'));
    expect(late.value).toBe(3);
    // A tab that is opened later has the number as well.
    const other = open();
    await eventually('the other tab knows it', () => changesOf(other).lateMessages.value === 3);
  });

  itOnce(
    'finds changes that events of the conversation show before the missed events',
    { timeout: 60_000 },
    async () => {
      const { ana, ben, id, proxy, url, parley: other } = await meet();
      await other.close();
      const message = await send(ana, id, 'before');
      await mark(ben, 'markRead', id, message.seq);
      const parley = openFor(openBrowser(), { url });
      await parley.session.useTokens({ accessToken: ben.token, refreshToken: ben.refreshToken });
      const changes = changesOf(parley);
      await eventually('it is live', () => isLive(parley));
      proxy.pointTo(1);
      proxy.cut();
      await eventually('it is not connected', () => !isLive(parley));
      await edit(ana, message.id, 'after');
      await react(ana, message.id, '👍');
      proxy.pointTo(portOf(node));
      await eventually('the change is found', () => changes.value.length > 0);
      const before = { text: 'before', isDeleted: false, reactions: {} };
      const after = { text: 'after', isDeleted: false, reactions: { '👍': 1 } };
      expect(changes.value).toMatchObject([{ messageId: message.id, before, after }]);
    },
  );

  itOnce('notices a connection on which nothing arrives any more', { timeout: 60_000 }, async () => {
    const { ana, id, proxy, conversation } = await meet(node, { keepAlive: 200 });
    proxy.swallow();
    await send(ana, id, 'during the silence');
    await eventually('it arrives', () => texts(conversation).includes('during the silence'));
  });

  itOnce('resumes after a page load without fetching a snapshot', async () => {
    const { ana, id, proxy, parley, open, conversation } = await meet();
    const storage = await openStorage(`parley:http://127.0.0.1:${proxy.port}/graphql`);
    const cursor = await storage.value('cursor:messages');
    const sent = await send(ana, id, 'before');
    const deleted = await send(ana, id, 'deleted later');
    await eventually('both arrive', () => texts(conversation).includes('deleted later'));
    await eventually('a newer cursor is stored', async () => (await storage.value('cursor:messages')) !== cursor);
    storage.close();
    await parley.close();
    await edit(ana, sent.id, 'edited while away');
    await remove(ana, deleted.id);
    await send(ana, id, 'sent while away');
    proxy.pointTo(1);
    const offline = open();
    const shown = show(offline, id);
    await eventually('the stored messages are shown without a server', () => texts(shown).length === 3);
    expect(texts(shown)).toEqual(['first', 'before', 'deleted later']);
    expect(offline.conversations.value.conversations).toMatchObject([{ id, lastMessage: { text: 'deleted later' } }]);
    await eventually('it waits', () => offline.connection.value.status === 'waiting');
    const fetched = vi.spyOn(globalThis, 'fetch');
    proxy.pointTo(portOf(node));
    await eventually('it is live', () => isLive(offline));
    expect(texts(shown)).toEqual(['first', 'edited while away', null, 'sent while away']);
    expect(offline.conversations.value.conversations).toMatchObject([{ lastMessage: { text: 'sent while away' } }]);
    const queries = fetched.mock.calls.map(([, init]) => String(init?.body));
    expect(queries.filter((body) => body.includes('query Snapshot') || body.includes('query Page'))).toEqual([]);
  });

  itOnce('reports no messages as missing after a catch-up if they were erased', { timeout: 60_000 }, async () => {
    const { ana, id, proxy, conversation, parley } = await meet();
    await eventually('the message is shown', () => texts(conversation).length === 1);
    const erased = await send(ana, id, 'erased before it is read');
    await eventually('it arrives', () => texts(conversation).length === 2);
    proxy.pointTo(1);
    proxy.cut();
    await send(ana, id, '3');
    const missed = await send(ana, id, 'erased before it arrives');
    await send(ana, id, '5');
    for (const each of [erased, missed]) {
      await edit(ana, each.id, 'edited');
      await node.deps.database.db.message.delete({ where: { id: rowId(each.id) } });
    }
    const { conversation: current } = await ana.ask(
      'query ($id: ID!) { conversation(id: $id) { messages { nodes { text } } } }',
      { id },
    );
    const fetched = vi.spyOn(globalThis, 'fetch');
    proxy.pointTo(portOf(node));
    await eventually('the missed messages arrive', () => texts(conversation).includes('5') && isLive(parley));
    expect(texts(conversation)).toEqual(['first', '3', '5']);
    expect(current.messages.nodes.map(({ text }: { text: string }) => text)).toEqual(['first', '3', '5']);
    expect(conversation.value).toMatchObject({ hasEarlier: false, hasLater: false });
    const queries = () => fetched.mock.calls.map(([, init]) => String(init?.body));
    // Only the conversation is fetched, because the event does not contain whether it was counted.
    await eventually('the counts are fetched', () => queries().some((body) => body.includes('query OneConversation')));
    expect(queries().filter((body) => body.includes('query Page'))).toEqual([]);
  });

  itOnce('counts what it missed, in whatever order the changes are delivered', async () => {
    const { ana, id, proxy, parley, conversation } = await meet();
    await eventually('the message is shown', () => texts(conversation).length === 1);
    proxy.pointTo(1);
    proxy.cut();
    const second = await send(ana, id, '2');
    await send(ana, id, '3');
    // The latest change of the second message is newer than the third message.
    await edit(ana, second.id, '2, edited');
    proxy.pointTo(portOf(node));
    await eventually('the missed messages arrive', () => texts(conversation).length === 3 && isLive(parley));
    const { viewerMembership } = conversation.value.conversation ?? {};
    expect(viewerMembership?.unreadCount).toBe(3);
  });

  itOnce('counts a message once that is sent while the server counts the unread messages', async () => {
    const { ana, ben, id, conversation } = await meet();
    await eventually('the message is shown', () => texts(conversation).length === 1);
    const { db } = node.deps.database;
    const read = db.$queryRaw.bind(db) as (...args: unknown[]) => Promise<unknown>;
    let sending: Promise<unknown> | undefined;
    vi.spyOn(db, '$queryRaw').mockImplementation((async (...args: unknown[]) => {
      const counts = JSON.stringify(args).includes('AS mentions');
      if (counts && !sending) {
        sending = send(ana, id, 'second');
        await sending;
      }
      return read(...args);
    }) as never);
    // The read mark is delivered with the counts.
    await mark(ben, 'markRead', id, 1);
    await eventually('the second message arrives', () => texts(conversation).length === 2);
    const { viewerMembership } = conversation.value.conversation ?? {};
    expect(viewerMembership).toMatchObject({ readSeq: 1, unreadCount: 1, unreadToSeq: 2 });
  });

  itOnce('fetches the counts again when an unread message is erased that it has never loaded', async () => {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const id = await openDirect(ana, ben);
    const first = await send(ana, id, '1');
    for (const text of ['2', '3']) await send(ana, id, text);
    const proxy = await startProxy(portOf(node));
    const parley = openBrowser().open({ url: `http://127.0.0.1:${proxy.port}/graphql` });
    await parley.session.useTokens({ accessToken: ben.token, refreshToken: ben.refreshToken });
    await eventually('it is live', () => isLive(parley));
    proxy.pointTo(1);
    proxy.cut();
    await remove(ana, first.id);
    await node.deps.database.db.message.delete({ where: { id: rowId(first.id) } });
    const fetched = vi.spyOn(globalThis, 'fetch');
    proxy.pointTo(portOf(node));
    const unread = () => parley.conversations.value.conversations[0]?.viewerMembership?.unreadCount;
    expect(unread()).toBe(3);
    await eventually('the counts are fetched again', () =>
      fetched.mock.calls.some(([, init]) => String(init?.body).includes('query OneConversation')),
    );
  });

  itOnce('is live within three seconds after a server is back', { timeout: 60_000 }, async () => {
    const { proxy, parley } = await meet();
    // The longest waits.
    vi.spyOn(Math, 'random').mockReturnValue(1);
    proxy.pointTo(1);
    proxy.cut();
    const waits = new Map<number, number>();
    await eventually('it has failed six times', () => {
      const { retryAt } = parley.connection.value;
      if (retryAt && !waits.has(retryAt)) waits.set(retryAt, retryAt - Date.now());
      return waits.size >= 6;
    });
    // The rest of the three seconds is for the connection and what was missed.
    for (const wait of waits.values()) expect(wait).toBeLessThanOrEqual(2_500);
    proxy.pointTo(portOf(node));
    await eventually('it is live', () => isLive(parley));
  });

  itOnce('connects at once when the network is back', { timeout: 60_000 }, async () => {
    const events = new EventTarget();
    vi.stubGlobal('addEventListener', events.addEventListener.bind(events));
    vi.stubGlobal('removeEventListener', events.removeEventListener.bind(events));
    const { proxy, parley } = await meet();
    vi.spyOn(Math, 'random').mockReturnValue(1);
    proxy.pointTo(1);
    proxy.cut();
    await eventually(
      'it waits for more than a second',
      () => (parley.connection.value.retryAt ?? 0) > Date.now() + 1_500,
    );
    proxy.pointTo(portOf(node));
    expect(parley.connection.value.status).toBe('waiting');
    events.dispatchEvent(new Event('online'));
    // Later than everything that does not wait for time or the network.
    await new Promise(setImmediate);
    expect(parley.connection.value.status).toBe('connecting');
    await eventually('it is live', () => isLive(parley));
  });

  itOnce(
    'tries again at once when the network is back, also if an attempt is in progress or fails',
    {
      timeout: 60_000,
    },
    async () => {
      const events = new EventTarget();
      vi.stubGlobal('addEventListener', events.addEventListener.bind(events));
      vi.stubGlobal('removeEventListener', events.removeEventListener.bind(events));
      const silent = createServer(() => {});
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
      atEnd(() => silent.close());
      const { proxy, parley } = await meet();
      proxy.pointTo((silent.address() as AddressInfo).port);
      proxy.cut();
      await eventually('an attempt gets no answer', () => proxy.connections > 0);
      proxy.pointTo(portOf(node));
      events.dispatchEvent(new Event('online'));
      const since = Date.now();
      await eventually('it is live', () => isLive(parley));
      // Otherwise the attempt ends after ten seconds.
      expect(Date.now() - since).toBeLessThan(7_000);

      vi.spyOn(Math, 'random').mockReturnValue(1);
      proxy.pointTo(1);
      proxy.cut();
      const delay = () => (parley.connection.value.retryAt ?? 0) - Date.now();
      await eventually('it waits for more than a second', () => delay() > 1_500);
      events.dispatchEvent(new Event('online'));
      await eventually('another attempt fails', () => delay() <= 500 && parley.connection.value.status === 'waiting');
      proxy.pointTo(portOf(node));
      await eventually('it is live', () => isLive(parley));
    },
  );

  itOnce('fetches everything again when its cursor has expired', { timeout: 60_000 }, async () => {
    const server = await (await makePlace(mode)).start();
    const { ana, id, proxy, parley, conversation } = await meet(server);
    await send(ana, id, 'before');
    await eventually('it arrives', () => texts(conversation).includes('before'));
    proxy.pointTo(1);
    proxy.cut();
    await send(ana, id, 'missed');
    await eventually('the log is trimmed', async () => {
      await trimChangeLog(server.deps.database.db, 0);
      return (await server.deps.database.db.change.count()) === 0;
    });
    const fetched = vi.spyOn(globalThis, 'fetch');
    proxy.pointTo(portOf(server));
    await eventually('the missed message is shown', () => texts(conversation).includes('missed'));
    expect(texts(conversation)).toEqual(['first', 'before', 'missed']);
    await eventually('it is live', () => isLive(parley));
    expect(fetched.mock.calls.some(([, init]) => String(init?.body).includes('query Snapshot'))).toBe(true);
  });
});
