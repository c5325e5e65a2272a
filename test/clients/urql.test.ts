import type { Client } from '@urql/core';
import { afterEach, beforeAll, describe, expect, expectTypeOf, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { RunningNode } from '../../src/server/start.js';
import type { MessagesSubscription } from '../generated/graphql.js';
import { eventually } from '../support/client.js';
import { footings, makePlace } from '../support/place.js';
import {
  EditMessage,
  History,
  Me,
  Messages,
  NodeById,
  OpenDirect,
  Register,
  Search,
  SendMessage,
  SendTwo,
} from './operations.js';
import { connectSocket, Session } from './session.js';
import { createUrql } from './urql.js';

// Browsers have it, and Node from 22 on.
vi.stubGlobal('WebSocket', WebSocket);

type Event = MessagesSubscription['messages'];

describe.each(footings)('urql on the %s footing', (footing) => {
  let node: RunningNode;
  let people = 0;
  const leaving: (() => void | Promise<void>)[] = [];

  beforeAll(async () => {
    const place = await makePlace(footing);
    node = await place.start();
  });

  afterEach(async () => {
    for (const leave of leaving.splice(0)) await leave();
    await eventually('all sockets are closed', () => node.openSockets() === 0);
  });

  /** Registers somebody who has a client of their own. */
  async function join() {
    const session = new Session(node.url);
    const socket = connectSocket(session);
    const urql = createUrql(session, socket);
    leaving.push(() => socket.dispose());
    const username = `urql_${++people}`;
    const input = { username, email: `${username}@example.com`, password: 'correct horse' };
    const { data } = await urql.mutation(Register, { input }).toPromise();
    if (!data?.register) throw new Error('not registered');
    session.signIn(data.register.tokens);
    return { urql, username, id: data.register.viewer.user.id };
  }

  /** Two people with a conversation between them. */
  async function meet() {
    const [alice, bob] = await Promise.all([join(), join()]);
    const { data } = await alice.urql.mutation(OpenDirect, { input: { userId: bob.id } }).toPromise();
    const conversationId = data?.openDirectConversation?.conversation.id;
    if (conversationId === undefined) throw new Error('no conversation');
    return { alice, bob, conversationId };
  }

  /** Listens, and resolves once that is live. */
  async function listen(urql: Client, onEvent: (event: Event) => void = () => {}): Promise<Event[]> {
    const events: Event[] = [];
    const { unsubscribe } = urql.subscription(Messages, {}).subscribe(({ data }) => {
      if (!data) return;
      events.push(data.messages);
      onEvent(data.messages);
    });
    leaving.push(unsubscribe);
    await eventually('it is live', () => events.some(({ type }) => type === 'CAUGHT_UP'));
    return events;
  }

  async function send(urql: Client, conversationId: string, text: string) {
    const { data, error } = await urql.mutation(SendMessage, { input: { conversationId, text } }).toPromise();
    if (!data?.sendMessage) throw error;
    return data.sendMessage.message;
  }

  /** What a view of the history shows, one after the other. */
  function show(urql: Client, conversationId: string): (string | null | undefined)[] {
    const shown: (string | null | undefined)[] = [];
    const { unsubscribe } = urql.query(History, { id: conversationId }).subscribe(({ data, stale }) => {
      if (!stale) shown.push(data?.conversation?.messages?.nodes.at(-1)?.text);
    });
    leaving.push(unsubscribe);
    return shown;
  }

  it('asks, listens and sends, with typed results', async () => {
    const { alice, bob, conversationId } = await meet();

    const { data: me } = await bob.urql.query(Me, {}).toPromise();
    expect(me?.viewer?.user.username).toBe(bob.username);
    expectTypeOf(me?.viewer?.user.createdAt).toEqualTypeOf<string | undefined>();

    const events = await listen(bob.urql);
    const sent = await send(alice.urql, conversationId, 'Hello Bob');
    await eventually('Bob hears of it', () => events.some(({ messageId }) => messageId === sent.id));
    const event = events.find(({ messageId }) => messageId === sent.id);
    expect(event).toMatchObject({ type: 'SENT', replayed: false, message: { text: 'Hello Bob', seq: sent.seq } });
    expectTypeOf(event?.message?.text).toEqualTypeOf<string | null | undefined>();
    const mistake = (): unknown =>
      // @ts-expect-error A message goes into a conversation.
      alice.urql.mutation(SendMessage, { input: { text: 'Hello' } });
    expect(mistake).toBeTypeOf('function');
  });

  it('gives the answer and the event the key by which an optimistic copy is known', async () => {
    const { alice, conversationId } = await meet();
    const pending = new Set<string>();
    const confirmed: string[] = [];
    const confirm = (key: string | null | undefined) => {
      if (key != null && pending.delete(key)) confirmed.push(key);
    };
    const events = await listen(alice.urql, ({ message }) => confirm(message?.clientMessageId));
    const clientMessageId = crypto.randomUUID();
    pending.add(clientMessageId);
    const input = { conversationId, text: 'Hello', clientMessageId };
    const { data } = await alice.urql.mutation(SendMessage, { input }).toPromise();
    const message = data?.sendMessage?.message;
    expect(message?.clientMessageId).toBe(clientMessageId);
    await eventually('her own event comes', () => events.some(({ messageId }) => messageId === message?.id));
    expect(events.find(({ messageId }) => messageId === message?.id)?.message).toMatchObject({ clientMessageId });
    confirm(message?.clientMessageId);
    expect(confirmed).toEqual([clientMessageId]);
  });

  it("asks again for what a query shows after the viewer's own edit", async () => {
    const { alice, conversationId } = await meet();
    const sent = await send(alice.urql, conversationId, 'Helo');
    const shown = show(alice.urql, conversationId);
    await eventually('it is shown', () => shown.at(-1) === 'Helo');
    await alice.urql.mutation(EditMessage, { input: { messageId: sent.id, text: 'Hello' } }).toPromise();
    await eventually('the edit is shown', () => shown.at(-1) === 'Hello');
  });

  it('changes what a query shows when it is asked again at an event', async () => {
    const { alice, bob, conversationId } = await meet();
    const sent = await send(alice.urql, conversationId, 'Helo');
    const shown = show(bob.urql, conversationId);
    await eventually('it is shown', () => shown.at(-1) === 'Helo');
    await listen(bob.urql, ({ message }) => {
      if (!message) return;
      // The document cache knows no objects: an event changes nothing in it.
      void bob.urql.query(History, { id: message.conversation.id }, { requestPolicy: 'network-only' }).toPromise();
    });
    await alice.urql.mutation(EditMessage, { input: { messageId: sent.id, text: 'Hello' } }).toPromise();
    await eventually('the edit is shown', () => shown.at(-1) === 'Hello');
  });

  it('reads any type by its id', async () => {
    const { alice, conversationId } = await meet();
    const sent = await send(alice.urql, conversationId, 'Hello');
    const { data } = await alice.urql.query(NodeById, { id: sent.id }).toPromise();
    expect(data?.node).toEqual({ __typename: 'Message', id: sent.id, text: 'Hello' });
    if (data?.node?.__typename === 'Message') expectTypeOf(data.node.text).toEqualTypeOf<string | null>();
  });

  it('finds what was said, and where it stands', async () => {
    const { alice, bob, conversationId } = await meet();
    await alice.urql.mutation(SendMessage, { input: { conversationId, text: 'To Zürich <b>today' } }).toPromise();
    const { data } = await bob.urql.query(Search, { query: 'zur from:me' }).toPromise();
    expect(data?.searchMessages?.edges).toEqual([]);
    const found = await bob.urql.query(Search, { query: `zur from:${alice.username}`, conversationId }).toPromise();
    expect(found.data?.searchMessages?.edges).toMatchObject([
      { snippet: 'To «Zürich» <b>today', node: { seq: 1, conversation: { id: conversationId } } },
    ]);
    const { error } = await bob.urql.query(Search, { query: 'in:zur' }).toPromise();
    expect(error?.graphQLErrors[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'query' });
  });

  it('sees the code of an error', async () => {
    const [{ conversationId }, stranger] = await Promise.all([meet(), join()]);
    const input = { conversationId, text: 'Hello?' };
    const { data, error } = await stranger.urql.mutation(SendMessage, { input }).toPromise();
    expect(data?.sendMessage).toBeNull();
    expect(error?.graphQLErrors).toMatchObject([{ extensions: { code: 'NOT_FOUND', field: 'input.conversationId' } }]);
  });

  it('gets what succeeded beside what failed', async () => {
    const { alice, bob, conversationId } = await meet();
    const { data, error } = await alice.urql
      .mutation(SendTwo, {
        first: { conversationId: bob.id, text: 'Nowhere' },
        second: { conversationId, text: 'Here' },
      })
      .toPromise();
    expect(data).toMatchObject({ first: null, second: { message: { text: 'Here' } } });
    expect(error?.graphQLErrors).toMatchObject([{ path: ['first'], extensions: { code: 'BAD_USER_INPUT' } }]);
  });
});
