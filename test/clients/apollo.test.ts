import { readFile } from 'node:fs/promises';
import type { ApolloClient } from '@apollo/client';
import { CombinedGraphQLErrors } from '@apollo/client/errors';
import { buildSchema, isInterfaceType } from 'graphql';
import { afterEach, beforeAll, describe, expect, expectTypeOf, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { RunningNode } from '../../src/server/start.js';
import type { MessageEventType, MessagesSubscription, SummaryFieldsFragment } from '../generated/graphql.js';
import { eventually } from '../support/client.js';
import { detailModes, sharedNode } from '../support/place.js';
import { createApollo, possibleTypes } from './apollo.js';
import { withMessage } from './history.js';
import {
  EditMessage,
  History,
  Identified,
  Me,
  MessageFields,
  Messages,
  NodeById,
  OpenDirect,
  Register,
  SendMessage,
  SendTwo,
  Summarize,
} from './operations.js';
import { connectSocket, Session } from './session.js';

// Browsers and Node 22 or newer have this global.
vi.stubGlobal('WebSocket', WebSocket);

type Event = MessagesSubscription['messages'];

it('possibleTypes contains the types that implement each interface', async () => {
  const schema = buildSchema(await readFile('schema.graphql', 'utf8'));
  const interfaces = Object.values(schema.getTypeMap()).filter(isInterfaceType);
  const types = interfaces.map((type) => [type.name, schema.getPossibleTypes(type).map(({ name }) => name)]);
  expect(possibleTypes).toEqual(Object.fromEntries(types));
});

describe.each(detailModes)('Apollo Client in %s mode', (mode) => {
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
    const apollo = createApollo(session, socket);
    leaving.push(async () => {
      apollo.stop();
      await socket.dispose();
    });
    const username = `apollo_${++people}`;
    const { data } = await apollo.mutate({
      mutation: Register,
      variables: { input: { username, email: `${username}@example.com`, password: 'correct horse' } },
    });
    if (!data?.register) throw new Error('not registered');
    session.signIn(data.register.tokens);
    return { apollo, username, id: data.register.viewer.user.id };
  }

  /** Creates two users with a direct conversation. */
  async function meet() {
    const [alice, bob] = await Promise.all([join(), join()]);
    const { data } = await alice.apollo.mutate({ mutation: OpenDirect, variables: { input: { userId: bob.id } } });
    const conversationId = data?.openDirectConversation?.conversation.id;
    if (conversationId === undefined) throw new Error('no conversation');
    return { alice, bob, conversationId };
  }

  /** Subscribes, and resolves when the stream is live. */
  async function listen(apollo: ApolloClient, onEvent: (event: Event) => void = () => {}): Promise<Event[]> {
    const events: Event[] = [];
    const subscription = apollo.subscribe({ query: Messages }).subscribe(({ data }) => {
      if (!data) return;
      events.push(data.messages);
      onEvent(data.messages);
    });
    leaving.push(() => subscription.unsubscribe());
    await eventually('the stream is live', () => events.some(({ type }) => type === 'CAUGHT_UP'));
    return events;
  }

  async function send(apollo: ApolloClient, conversationId: string, text: string) {
    const { data } = await apollo.mutate({ mutation: SendMessage, variables: { input: { conversationId, text } } });
    if (!data?.sendMessage) throw new Error('not sent');
    return data.sendMessage.message;
  }

  it('queries, subscribes and sends, with typed results', async () => {
    const { alice, bob, conversationId } = await meet();

    const { data: me } = await bob.apollo.query({ query: Me });
    expect(me?.viewer?.user.username).toBe(bob.username);
    expectTypeOf(me?.viewer?.user.createdAt).toEqualTypeOf<string | undefined>();

    const events = await listen(bob.apollo);
    const sent = await send(alice.apollo, conversationId, 'Hello Bob');
    await eventually('Bob receives the message', () => events.some(({ messageId }) => messageId === sent.id));
    const event = events.find(({ messageId }) => messageId === sent.id);
    expect(event).toMatchObject({ type: 'SENT', replayed: false, message: { text: 'Hello Bob', seq: sent.seq } });
    expect(event?.message?.sender?.username).toBe(alice.username);
    expectTypeOf(event?.message?.text).toEqualTypeOf<string | null | undefined>();
    expectTypeOf<Event['type']>().toEqualTypeOf<MessageEventType>();
    const mistake = (): unknown =>
      // @ts-expect-error The id of the conversation is missing.
      alice.apollo.mutate({ mutation: SendMessage, variables: { input: { text: 'Hello' } } });
    expect(mistake).toBeTypeOf('function');
  });

  it('summarizes unread messages, with typed points that cite messages', async () => {
    const { alice, bob, conversationId } = await meet();
    for (const text of ['hi', 'we meet on Friday at ten in room 204, please bring the 40 euros', 'see you']) {
      await send(alice.apollo, conversationId, text);
    }
    const progress: number[] = [];
    const summary = await new Promise<SummaryFieldsFragment>((resolve, reject) => {
      const subscription = bob.apollo.subscribe({ query: Summarize, variables: { conversationId } }).subscribe({
        next({ data }) {
          if (!data) return;
          progress.push(data.summaryProgress.progress);
          if (data.summaryProgress.summary) resolve(data.summaryProgress.summary);
        },
        error: reject,
        complete: () => reject(new Error('it completed without a summary')),
      });
      leaving.push(() => subscription.unsubscribe());
    });
    expect(progress.at(-1)).toBe(1);
    expect(summary).toMatchObject({ fromSeq: 1, toSeq: 3, messageCount: 3, stale: false, model: 'extractive' });
    const cited = summary.highlights.find(({ text }) => text.includes('room 204'))?.messages;
    expect(cited?.map(({ seq }) => seq)).toEqual([2]);
  });

  it('shows an optimistic message before it is sent, and the message once afterwards', async () => {
    const { alice, conversationId } = await meet();
    const history = { query: History, variables: { id: conversationId } };
    const events = await listen(alice.apollo, ({ type, message }) => {
      if (type !== 'SENT' || !message) return;
      alice.apollo.cache.updateQuery(history, (known) => known && withMessage(known, message));
    });
    const shown: { text: string | null; seq: number }[][] = [];
    await alice.apollo.query(history);
    const watch = alice.apollo.watchQuery(history).subscribe(({ data, dataState }) => {
      if (dataState !== 'complete') return;
      shown.push((data.conversation?.messages?.nodes ?? []).map(({ text, seq }) => ({ text, seq })));
    });
    leaving.push(() => watch.unsubscribe());

    const clientMessageId = crypto.randomUUID();
    const { data } = await alice.apollo.mutate({
      mutation: SendMessage,
      variables: { input: { conversationId, text: 'Hello', clientMessageId } },
      optimisticResponse: {
        __typename: 'Mutation',
        sendMessage: {
          __typename: 'SendMessagePayload',
          message: {
            __typename: 'Message',
            id: clientMessageId,
            seq: Number.MAX_SAFE_INTEGER,
            kind: 'USER',
            text: 'Hello',
            createdAt: new Date().toISOString(),
            editedAt: null,
            deletedAt: null,
            clientMessageId,
            sender: { __typename: 'User', id: alice.id, username: alice.username },
          },
        },
      },
      update(cache, { data }) {
        const message = data?.sendMessage?.message;
        if (!message) return;
        cache.updateQuery(history, (known) => known && withMessage(known, message));
      },
    });
    const message = data?.sendMessage?.message;
    expect(message?.clientMessageId).toBe(clientMessageId);
    await eventually('the event of the message is delivered', () =>
      events.some(({ messageId }) => messageId === message?.id),
    );
    expect(events.filter((event) => event.message?.clientMessageId === clientMessageId)).toHaveLength(1);
    await eventually('the stored message is shown', () => shown.at(-1)?.[0]?.seq === message?.seq);
    expect(shown).toContainEqual([{ text: 'Hello', seq: Number.MAX_SAFE_INTEGER }]);
    expect(shown.filter((messages) => messages.length > 1)).toEqual([]);
  });

  it('updates the result of a query when it receives the event of an edit', async () => {
    const { alice, bob, conversationId } = await meet();
    const sent = await send(alice.apollo, conversationId, 'Helo');
    await listen(bob.apollo);
    const shown: (string | null)[] = [];
    const watch = bob.apollo
      .watchQuery({ query: History, variables: { id: conversationId } })
      .subscribe(({ data, dataState }) => {
        if (dataState === 'complete') shown.push(data.conversation?.messages?.nodes[0]?.text ?? null);
      });
    leaving.push(() => watch.unsubscribe());
    await eventually('the message is shown', () => shown.at(-1) === 'Helo');

    const requests = vi.spyOn(globalThis, 'fetch');
    await alice.apollo.mutate({
      mutation: EditMessage,
      variables: { input: { messageId: sent.id, text: 'Hello' } },
    });
    await eventually('the edit is shown', () => shown.at(-1) === 'Hello');
    expect(requests, 'only the edit itself').toHaveBeenCalledTimes(1);
    requests.mockRestore();

    const cached = bob.apollo.cache.readFragment({ fragment: MessageFields, id: `Message:${sent.id}` });
    expect(cached?.text).toBe('Hello');
  });

  it('queries any type by its id, with a fragment on Node', async () => {
    const { alice, conversationId } = await meet();
    const sent = await send(alice.apollo, conversationId, 'Hello');
    const { data } = await alice.apollo.query({ query: NodeById, variables: { id: sent.id } });
    expect(data?.node).toEqual({ __typename: 'Message', id: sent.id, text: 'Hello' });
    if (data?.node?.__typename === 'Message') expectTypeOf(data.node.text).toEqualTypeOf<string | null>();
    const cached = alice.apollo.cache.readFragment({ fragment: Identified, id: `Message:${sent.id}` });
    expect(cached?.id).toBe(sent.id);
  });

  it('returns the code of an error', async () => {
    const [alice, stranger] = await Promise.all([meet(), join()]);
    const error = await send(stranger.apollo, alice.conversationId, 'Hello?').catch((error: unknown) => error);
    if (!CombinedGraphQLErrors.is(error)) throw error;
    expect(error.errors).toMatchObject([{ extensions: { code: 'NOT_FOUND', field: 'input.conversationId' } }]);
  });

  it('returns partial results together with the errors', async () => {
    const { alice, bob, conversationId } = await meet();
    const { data, error } = await alice.apollo.mutate({
      mutation: SendTwo,
      variables: { first: { conversationId: bob.id, text: 'Nowhere' }, second: { conversationId, text: 'Here' } },
      errorPolicy: 'all',
    });
    expect(data).toMatchObject({ first: null, second: { message: { text: 'Here' } } });
    if (!CombinedGraphQLErrors.is(error)) throw new Error('no errors');
    expect(error.errors).toMatchObject([{ path: ['first'], extensions: { code: 'BAD_USER_INPUT' } }]);
  });
});
