import jwt from 'jsonwebtoken';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { RunningNode } from '../../src/server/start.js';
import type { MessagesSubscription } from '../generated/graphql.js';
import { eventually, register, request } from '../support/client.js';
import { detailModes, makePlace } from '../support/place.js';
import { openDirect } from '../support/talk.js';
import { createApollo } from './apollo.js';
import { History, Me, Messages, NodeById, SendMessage } from './operations.js';
import { connectSocket, Session } from './session.js';
import { createUrql } from './urql.js';

// Browsers and Node 22 or newer have this global.
vi.stubGlobal('WebSocket', WebSocket);

type Event = MessagesSubscription['messages'];
type Socket = ReturnType<typeof connectSocket>;

/** The operations that the tests use, for both clients. */
interface Asking {
  me(): Promise<string | undefined>;
  history(id: string): Promise<(string | null)[] | undefined>;
  node(id: string): Promise<string | undefined>;
  send(conversationId: string, text: string): Promise<unknown>;
  listen(onEvent: (event: Event) => void, onError: (error: unknown) => void): () => void;
}

type Create = (session: Session, socket: Socket) => Asking;

const clients: Record<string, Create> = {
  'Apollo Client'(session, socket) {
    const apollo = createApollo(session, socket);
    return {
      me: async () => (await apollo.query({ query: Me })).data?.viewer?.user.id,
      history: async (id) =>
        (await apollo.query({ query: History, variables: { id } })).data?.conversation?.messages?.nodes.map(
          ({ text }) => text,
        ),
      node: async (id) => (await apollo.query({ query: NodeById, variables: { id } })).data?.node?.id,
      send: (conversationId, text) =>
        apollo.mutate({ mutation: SendMessage, variables: { input: { conversationId, text } } }),
      listen(onEvent, onError) {
        const subscription = apollo.subscribe({ query: Messages }).subscribe({
          next({ data, error }) {
            if (error) onError(error);
            else if (data) onEvent(data.messages);
          },
          error: onError,
        });
        return () => subscription.unsubscribe();
      },
    };
  },
  urql(session, socket) {
    const urql = createUrql(session, socket);
    return {
      me: async () => (await urql.query(Me, {}).toPromise()).data?.viewer?.user.id,
      history: async (id) =>
        (await urql.query(History, { id }).toPromise()).data?.conversation?.messages?.nodes.map(({ text }) => text),
      node: async (id) => (await urql.query(NodeById, { id }).toPromise()).data?.node?.id,
      send: (conversationId, text) => urql.mutation(SendMessage, { input: { conversationId, text } }).toPromise(),
      listen: (onEvent, onError) =>
        urql.subscription(Messages, {}).subscribe(({ data, error }) => {
          if (error) onError(error);
          else if (data) onEvent(data.messages);
        }).unsubscribe,
    };
  },
};

describe.each(detailModes)('expiring tokens in %s mode', (mode) => {
  let node: RunningNode;
  const leaving: (() => void | Promise<void>)[] = [];

  beforeAll(async () => {
    const place = await makePlace(mode);
    node = await place.start({ ACCESS_TOKEN_TTL: '4s' });
  });

  afterEach(async () => {
    for (const leave of leaving.splice(0)) await leave();
    await eventually('all sockets are closed', () => node.openSockets() === 0);
  });

  const isRefused = async (token: string | undefined) => {
    const { errors } = await request(node.url, '{ viewer { id } }', {}, token);
    return errors?.[0]?.extensions.code === 'UNAUTHENTICATED';
  };

  /** A token of the same session that has expired. */
  function expired(token = ''): string {
    const { sub, sid } = jwt.decode(token) as { sub: string; sid: string };
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 60_000 });
    try {
      return node.deps.tokens.signAccess(sub, sid).token;
    } finally {
      vi.useRealTimers();
    }
  }

  /** Creates two users of this client with a direct conversation. The client reconnects after `retryWait`. */
  async function meet(create: Create, retryWait: () => Promise<void> = async () => {}) {
    const [alice, bob] = await Promise.all([register(node.url, 'alice'), register(node.url, 'bob')]);
    const conversationId = await openDirect(alice, bob);
    const [forAlice, forBob] = [alice, bob].map(({ id, token, refreshToken }) => {
      const session = new Session(node.url);
      session.signIn({ accessToken: token, refreshToken });
      const socket = connectSocket(session, { retryWait });
      leaving.push(() => socket.dispose());
      return { id, refreshToken, session, socket, client: create(session, socket) };
    });
    if (!forAlice || !forBob) throw new Error('two people make two clients');
    return { alice: forAlice, bob: forBob, conversationId };
  }

  describe.each(Object.entries(clients))('%s', (_name, create) => {
    it('renews a rejected token once for all waiting requests, and retries them', async () => {
      const { alice, conversationId } = await meet(create);
      const first = expired(alice.session.accessToken);
      expect(await isRefused(first)).toBe(true);
      alice.session.signIn({ accessToken: first, refreshToken: alice.refreshToken });
      const requests = vi.spyOn(globalThis, 'fetch');
      const answers = await Promise.all([
        alice.client.me(),
        alice.client.history(conversationId),
        alice.client.node(conversationId),
      ]);
      const bodies = requests.mock.calls.map(([, init]) => String(init?.body));
      requests.mockRestore();
      expect(answers).toEqual([alice.id, [], conversationId]);
      expect(bodies.filter((body) => body.includes('refreshSession'))).toHaveLength(1);
      expect(alice.session.accessToken).not.toBe(first);
    });

    it('receives an error when the session has ended, and does not reconnect', async () => {
      const { bob } = await meet(create);
      const events: Event[] = [];
      const errors: unknown[] = [];
      leaving.push(
        bob.client.listen(
          (event) => void events.push(event),
          (error) => void errors.push(error),
        ),
      );
      await eventually('the stream is live', () => events.length > 0);
      await request(node.url, 'mutation { logout { sessionId } }', {}, bob.session.accessToken);
      await eventually('the error is received', () => errors.length > 0);
      expect(String(errors[0])).toMatch(/Sign in first/);
      expect(bob.session.accessToken).toBeUndefined();
      await eventually('the socket is closed', () => node.openSockets() === 0);
    });
  });

  // All clients at the same time, because the test waits for the end of a token.
  it('reconnects with a new token and misses nothing', async () => {
    const withEach = Object.values(clients).map(async (create) => {
      let comeBack = () => {};
      const returning = new Promise<void>((resolve) => {
        comeBack = resolve;
      });
      const { alice, bob, conversationId } = await meet(create, () => returning);
      const events: Event[] = [];
      const errors: unknown[] = [];
      const closed: number[] = [];
      let connections = 0;
      bob.socket.on('connected', () => void connections++);
      bob.socket.on('closed', (event) => void closed.push((event as CloseEvent).code));
      leaving.push(
        bob.client.listen(
          (event) => void events.push(event),
          (error) => void errors.push(error),
        ),
      );
      const isReceived = (text: string) => events.some(({ message }) => message?.text === text);

      await eventually('the stream is live', () => events.some(({ type }) => type === 'CAUGHT_UP'));
      await alice.client.send(conversationId, 'before');
      await eventually('the first message is received', () => isReceived('before'));
      await eventually('the token expires', () => closed.length > 0);
      await alice.client.send(conversationId, 'meanwhile');
      expect(connections).toBe(1);
      comeBack();
      await eventually('the missed message is received', () => isReceived('meanwhile'));
      await alice.client.send(conversationId, 'after');
      await eventually('the last message is received', () => isReceived('after'));

      expect(closed[0]).toBe(4403);
      expect(errors).toEqual([]);
      const changes = events.flatMap(({ message, changeSeq, replayed }) =>
        message ? [{ changeSeq, text: message.text, replayed }] : [],
      );
      // An event may be repeated, as replayed and with the same changeSeq.
      const news = changes.filter((change, index) =>
        changes.slice(0, index).every(({ changeSeq }) => changeSeq !== change.changeSeq),
      );
      expect(news.map(({ text, replayed }) => [text, replayed])).toEqual([
        ['before', false],
        ['meanwhile', true],
        ['after', false],
      ]);
    });
    await Promise.all(withEach);
  });
});

describe.each(detailModes)('a server that is unavailable for a while in %s mode', (mode) => {
  it('is reconnected to by the WebSocket client, which misses nothing', async () => {
    const place = await makePlace(mode);
    const before = await place.start();
    const { port } = new URL(before.url);
    const [alice, bob] = await Promise.all([register(before.url, 'alice'), register(before.url, 'bob')]);
    const conversationId = await openDirect(alice, bob);
    const session = new Session(before.url);
    session.signIn({ accessToken: bob.token, refreshToken: bob.refreshToken });
    const socket = connectSocket(session, { retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)) });
    const events: Event[] = [];
    let failures = 0;
    socket.on('error', () => void failures++);
    const urql = createUrql(session, socket);
    const { unsubscribe } = urql
      .subscription(Messages, {})
      .subscribe(({ data }) => void (data && events.push(data.messages)));
    await eventually('the stream is live', () => events.length === 1);

    await before.stop();
    await eventually('an attempt fails', () => failures > 0);
    const after = await place.start({ PORT: port });
    await alice.ask('mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } } }', {
      input: { conversationId, text: 'back again' },
    });
    await eventually('the missed message is received', () =>
      events.some(({ message }) => message?.text === 'back again'),
    );
    unsubscribe();
    await socket.dispose();
    await eventually('all sockets are closed', () => after.openSockets() === 0);
  });
});
