import type { Client } from '@urql/core';
import { afterEach, beforeAll, describe, expect, expectTypeOf, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { RunningNode } from '../../src/server/start.js';
import type { MessagesSubscription } from '../generated/graphql.js';
import { eventually } from '../support/client.js';
import { detailModes, sharedNode } from '../support/place.js';
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

// Browsers and Node 22 or newer have this global.
vi.stubGlobal('WebSocket', WebSocket);

type Event = MessagesSubscription['messages'];

describe.each(detailModes)('urql in %s mode', (mode) => {
  let node: RunningNode;
  let people = 0;
  const leaving: (() => void | Promise<void>)[] = [];

  beforeAll(async () => {
    node = await sharedNode(mode);
  });

  afterEach(async () => {
    for (const leave of leaving.splice(0)) await leave();
    await eventually('all sockets are closed', () => node.openSockets() === 0);
  });

  /** Registers a user with a separate client. */
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

  /** Creates two users with a direct conversation. */
  async function meet() {
    const [alice, bob] = await Promise.all([join(), join()]);
    const { data } = await alice.urql.mutation(OpenDirect, { input: { userId: bob.id } }).toPromise();
    const conversationId = data?.openDirectConversation?.conversation.id;
    if (conversationId === undefined) throw new Error('no conversation');
    return { alice, bob, conversationId };
  }

  /** Subscribes, and resolves when the stream is live. */
  async function listen(urql: Client, onEvent: (event: Event) => void = () => {}): Promise<Event[]> {
    const events: Event[] = [];
    const { unsubscribe } = urql.subscription(Messages, {}).subscribe(({ data }) => {
      if (!data) return;
      events.push(data.messages);
      onEvent(data.messages);
    });
    leaving.push(unsubscribe);
    await eventually('the stream is live', () => events.some(({ type }) => type === 'CAUGHT_UP'));
    return events;
  }

  async function send(urql: Client, conversationId: string, text: string) {
    const { data, error } = await urql.mutation(SendMessage, { input: { conversationId, text } }).toPromise();
    if (!data?.sendMessage) throw error;
    return data.sendMessage.message;
  }

  /** The successive results of a query of the history. */
  function show(urql: Client, conversationId: string): (string | null | undefined)[] {
    const shown: (string | null | undefined)[] = [];
    const { unsubscribe } = urql.query(History, { id: conversationId }).subscribe(({ data, stale }) => {
      if (!stale) shown.push(data?.conversation?.messages?.nodes.at(-1)?.text);
    });
    leaving.push(unsubscribe);
    return shown;
  }

  it('queries, subscribes and sends, with typed results', async () => {
    const { alice, bob, conversationId } = await meet();

    const { data: me } = await bob.urql.query(Me, {}).toPromise();
    expect(me?.viewer?.user.username).toBe(bob.username);
    expectTypeOf(me?.viewer?.user.createdAt).toEqualTypeOf<string | undefined>();

    const events = await listen(bob.urql);
    const sent = await send(alice.urql, conversationId, 'Hello Bob');
    await eventually('Bob receives the message', () => events.some(({ messageId }) => messageId === sent.id));
    const event = events.find(({ messageId }) => messageId === sent.id);
    expect(event).toMatchObject({ type: 'SENT', replayed: false, message: { text: 'Hello Bob', seq: sent.seq } });
    expectTypeOf(event?.message?.text).toEqualTypeOf<string | null | undefined>();
    const mistake = (): unknown =>
      // @ts-expect-error The id of the conversation is missing.
      alice.urql.mutation(SendMessage, { input: { text: 'Hello' } });
    expect(mistake).toBeTypeOf('function');
  });

  it('returns clientMessageId in the response and the event, which identifies an optimistic message', async () => {
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
    await eventually('the event of the message is delivered', () =>
      events.some(({ messageId }) => messageId === message?.id),
    );
    expect(events.find(({ messageId }) => messageId === message?.id)?.message).toMatchObject({ clientMessageId });
    confirm(message?.clientMessageId);
    expect(confirmed).toEqual([clientMessageId]);
  });

  it("refetches queries after the viewer's own edit", async () => {
    const { alice, conversationId } = await meet();
    const sent = await send(alice.urql, conversationId, 'Helo');
    const shown = show(alice.urql, conversationId);
    await eventually('the message is shown', () => shown.at(-1) === 'Helo');
    await alice.urql.mutation(EditMessage, { input: { messageId: sent.id, text: 'Hello' } }).toPromise();
    await eventually('the edit is shown', () => shown.at(-1) === 'Hello');
  });

  it('updates the result of a query that is refetched after an event', async () => {
    const { alice, bob, conversationId } = await meet();
    const sent = await send(alice.urql, conversationId, 'Helo');
    const shown = show(bob.urql, conversationId);
    await eventually('the message is shown', () => shown.at(-1) === 'Helo');
    await listen(bob.urql, ({ message }) => {
      if (!message) return;
      // The document cache is not normalized, so that events do not update it.
      void bob.urql.query(History, { id: message.conversation.id }, { requestPolicy: 'network-only' }).toPromise();
    });
    await alice.urql.mutation(EditMessage, { input: { messageId: sent.id, text: 'Hello' } }).toPromise();
    await eventually('the edit is shown', () => shown.at(-1) === 'Hello');
  });

  it('queries any type by its id', async () => {
    const { alice, conversationId } = await meet();
    const sent = await send(alice.urql, conversationId, 'Hello');
    const { data } = await alice.urql.query(NodeById, { id: sent.id }).toPromise();
    expect(data?.node).toEqual({ __typename: 'Message', id: sent.id, text: 'Hello' });
    if (data?.node?.__typename === 'Message') expectTypeOf(data.node.text).toEqualTypeOf<string | null>();
  });

  it('searches messages, and queries the history around a match', async () => {
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

  it('returns the code of an error', async () => {
    const [{ conversationId }, stranger] = await Promise.all([meet(), join()]);
    const input = { conversationId, text: 'Hello?' };
    const { data, error } = await stranger.urql.mutation(SendMessage, { input }).toPromise();
    expect(data?.sendMessage).toBeNull();
    expect(error?.graphQLErrors).toMatchObject([{ extensions: { code: 'NOT_FOUND', field: 'input.conversationId' } }]);
  });

  it('returns partial results together with the errors', async () => {
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
