import { once } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { trimChangeLog } from '../../src/realtime/change-log.js';
import type { RunningNode } from '../../src/server/start.js';
import type { MessageFieldsFragment, MessagesSubscription, OpeningQuery } from '../generated/graphql.js';
import { ask, eventually, type Person, register, request } from '../support/client.js';
import { detailModes, makePlace, sharedNode } from '../support/place.js';
import { edit, openDirect, remove, SEND, send } from '../support/talk.js';
import { apolloAsking, createApollo } from './apollo.js';
import { type Answer, type Asking, follow } from './follow.js';
import { Messages, Opening } from './operations.js';
import { connectSocket, renewInBand, retryDelay, Session } from './session.js';
import { createUrql, urqlAsking } from './urql.js';

// Browsers and Node 22 or newer have this global.
vi.stubGlobal('WebSocket', WebSocket);

type Socket = ReturnType<typeof connectSocket>;
type Event = MessagesSubscription['messages'];

const clients: [string, (session: Session, socket: Socket) => Asking][] = [
  ['Apollo Client', (session, socket) => apolloAsking(createApollo(session, socket))],
  ['urql', (session, socket) => urqlAsking(createUrql(session, socket))],
];

const leaving: (() => unknown)[] = [];
afterEach(async () => {
  for (const leave of leaving.splice(0).reverse()) await leave();
});

/** The messages that a chat shows: the snapshot with all events applied. */
function show(person: Person, node: RunningNode, conversationId: string, create: (typeof clients)[number][1]) {
  const session = new Session(node.url);
  session.signIn({ accessToken: person.token, refreshToken: person.refreshToken });
  /** Resolves when the chat may reconnect. */
  let online = Promise.resolve();
  const socket = connectSocket(session, {
    retryWait: async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      await online;
    },
  });
  leaving.push(() => socket.dispose());
  const closed: number[] = [];
  socket.on('closed', (event) => void closed.push((event as CloseEvent).code));
  const shown = new Map<string, string | null>();
  const snapshots: OpeningQuery[] = [];
  const events: Event[] = [];
  const ends: unknown[] = [];
  const put = ({ id, text }: Pick<MessageFieldsFragment, 'id' | 'text'>) => shown.set(id, text);
  const stop = follow(create(session, socket), {
    session,
    snapshot: { query: Opening, variables: { id: conversationId } },
    stream: { query: Messages, variables: {}, event: ({ messages }) => messages },
    onSnapshot(snapshot) {
      snapshots.push(snapshot);
      shown.clear();
      for (const message of snapshot.conversation?.messages?.nodes ?? []) put(message);
    },
    onEvent(event) {
      events.push(event);
      if (event.message) put(event.message);
    },
    onEnd: (errors) => ends.push(errors),
  });
  leaving.push(stop);
  return {
    session,
    socket,
    closed,
    snapshots,
    events,
    ends,
    stop,
    /** Disconnects the chat, which reconnects when the returned function is called. */
    disconnect(): () => void {
      let reconnect = () => {};
      online = new Promise((resolve) => {
        reconnect = resolve;
      });
      socket.terminate();
      return reconnect;
    },
    texts: () => [...shown.values()],
    live: (times = 1) =>
      eventually('the stream is live', () => events.filter(({ type }) => type === 'CAUGHT_UP').length >= times),
    changes: () => events.flatMap(({ changeSeq }) => changeSeq ?? []),
  };
}

describe.each(detailModes)('a chat that uses `follow` in %s mode', (mode) => {
  const nodeWith = (env: Record<string, string> = {}) => sharedNode(mode, env);
  async function meet(node: RunningNode) {
    const [alice, bob] = await Promise.all([register(node.url, 'alice'), register(node.url, 'bob')]);
    return { node, alice, bob, conversationId: await openDirect(alice, bob) };
  }

  describe.each(clients)('with %s', (_name, create) => {
    /** A node that the test can stop and start again. */
    async function meetAlone() {
      const place = await makePlace(mode);
      return { place, ...(await meet(await place.start())) };
    }

    it('shows the state of the server across a restart, and applies each change once', async () => {
      const { place, node, alice, bob, conversationId } = await meetAlone();
      const first = await send(alice, conversationId, 'one');
      const chat = show(bob, node, conversationId, create);
      await chat.live();
      const second = await send(alice, conversationId, 'two');
      await eventually('the message is shown', () => chat.texts().includes('two'));
      await node.stop();
      const again = await place.start({ PORT: new URL(node.url).port });
      await edit(alice, first.id, 'one, edited');
      await remove(alice, second.id);
      await send(alice, conversationId, 'three');
      await chat.live(2);
      await eventually('the message is shown', () => chat.texts().includes('three'));
      expect(chat.texts()).toEqual(['one, edited', null, 'three']);
      // The first message is in the snapshot. Each later change is applied once.
      expect(chat.changes()).toEqual([...new Set(chat.changes())].sort((a, b) => a - b));
      expect(chat.snapshots).toHaveLength(1);
      expect(chat.closed[0]).toBe(1001);
      expect(chat.ends).toEqual([]);
      chat.stop();
      await eventually('the socket is closed', () => again.openSockets() === 0);
    });

    it('drops repeated events', async () => {
      const { node, alice, bob, conversationId } = await meet(await nodeWith({ SWEEP_INTERVAL: '1h' }));
      const chat = show(bob, node, conversationId, create);
      await chat.live();
      const sent = await send(alice, conversationId, 'one');
      await eventually('the message is shown', () => chat.texts().includes('one'));
      // Without a sweep, the cursor of the event does not contain the event, so that a resume repeats it.
      chat.socket.terminate();
      await chat.live(2);
      await send(alice, conversationId, 'two');
      await eventually('the next message is shown', () => chat.texts().includes('two'));
      expect(chat.events.filter(({ messageId }) => messageId === sent.id)).toHaveLength(1);
    });

    it.each([
      [
        'was trimmed from the log',
        async () => {
          const met = await meet(await nodeWith());
          const { database, feed } = met.node.deps;
          const spoil = async () => {
            // Older transactions of other tests in the same cluster may delay this.
            await eventually('the log is trimmed', async () => {
              await trimChangeLog(database.db, 0);
              return (await database.db.change.count()) === 0;
            });
            // Otherwise the cursor of the new snapshot could be from before the trimmed changes, too.
            await feed.sweep();
          };
          return { ...met, spoil };
        },
      ],
      [
        'belongs to another epoch',
        async () => {
          const { place, ...met } = await meetAlone();
          const spoil = async () => {
            await met.node.deps.database.db.$executeRaw`UPDATE epochs SET id = left(md5(id), 8)`;
            await met.node.stop();
            await place.start({ PORT: new URL(met.node.url).port });
          };
          return { ...met, spoil };
        },
      ],
    ])(
      'fetches a new snapshot when the position of its cursor %s, and continues from there',
      async (_what, prepare) => {
        const { node, alice, bob, conversationId, spoil } = await prepare();
        const chat = show(bob, node, conversationId, create);
        await chat.live();
        await send(alice, conversationId, 'one');
        await eventually('the message is shown', () => chat.texts().includes('one'));
        const reconnect = chat.disconnect();
        await send(alice, conversationId, 'two');
        await spoil();
        reconnect();
        await eventually('a new snapshot is fetched', () => chat.snapshots.length === 2);
        await chat.live(2);
        expect(chat.texts()).toEqual(['one', 'two']);
        await send(alice, conversationId, 'three');
        await eventually('the message is shown', () => chat.texts().includes('three'));
        expect(chat.texts()).toEqual(['one', 'two', 'three']);
        expect(chat.snapshots).toHaveLength(2);
        expect(chat.ends).toEqual([]);
      },
    );

    it('ends with the session, and calls onEnd', async () => {
      const { node, bob, conversationId } = await meet(await nodeWith());
      const chat = show(bob, node, conversationId, create);
      await chat.live();
      await bob.ask('mutation { logout { sessionId } }');
      await eventually('it has ended', () => chat.ends.length > 0);
      expect(chat.ends).toMatchObject([[{ extensions: { code: 'UNAUTHENTICATED' } }]]);
    });
  });

  // All clients at the same time, because the tests wait for the end of a token.
  it('can renew its token over the socket, which stays open with its streams', async () => {
    const node = await nodeWith({ ACCESS_TOKEN_TTL: '4s' });
    const withEach = clients.map(async ([, create]) => {
      const { bob, conversationId } = await meet(node);
      const chat = show(bob, node, conversationId, create);
      await chat.live();
      const first = chat.session.accessToken;
      const tryFirst = () => request(node.url, '{ viewer { id } }', {}, first);
      // Several times, until the first token has expired: no expiry closes the socket.
      await eventually('the first token is rejected', async () => {
        expect(await renewInBand(chat.session, chat.socket)).toBe(true);
        await new Promise((resolve) => setTimeout(resolve, 600));
        return (await tryFirst()).errors !== undefined;
      });
      const { errors } = await tryFirst();
      expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
      await ask(node.url, SEND, { input: { conversationId, text: 'late' } }, chat.session.accessToken);
      await eventually('the message is shown', () => chat.texts().includes('late'));
      expect(chat.closed).toEqual([]);
      expect(chat.events.filter(({ type }) => type === 'CAUGHT_UP')).toHaveLength(1);
    });
    await Promise.all(withEach);
  });

  it('reconnects with a new token after its token has expired, and misses nothing', async () => {
    const node = await nodeWith({ ACCESS_TOKEN_TTL: '4s' });
    const withEach = clients.map(async ([, create]) => {
      const { alice, bob, conversationId } = await meet(node);
      const chat = show(bob, node, conversationId, create);
      await chat.live();
      await send(alice, conversationId, 'before');
      await eventually('the socket is closed with 4403', () => chat.closed.includes(4403));
      await chat.live(2);
      expect(chat.texts()).toEqual(['before']);
      expect(chat.snapshots).toHaveLength(1);
      expect(chat.ends).toEqual([]);
    });
    await Promise.all(withEach);
  });
});

describe('follow', () => {
  afterEach(() => void vi.restoreAllMocks());

  /** Follows a server that responds to each subscription with one event and then with `answer`. */
  function followed(answer: Answer<never> | 'complete') {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const session = new Session('http://127.0.0.1:1');
    session.signIn({ accessToken: 'a', refreshToken: null });
    const asked: unknown[] = [];
    let subscriptions = 0;
    const client: Asking = {
      async query() {
        asked.push('snapshot');
        return { data: { viewer: { syncCursor: 'first' } } as never };
      },
      subscribe(_document, variables, onAnswer, onComplete) {
        asked.push((variables as { after: string }).after);
        subscriptions += 1;
        const event = { type: 'CHECKPOINT', cursor: `cursor ${subscriptions}` };
        if (subscriptions < 3) {
          queueMicrotask(() => {
            onAnswer({ data: { messages: event } as never });
            if (answer === 'complete') onComplete();
            else onAnswer(answer as never);
          });
        }
        return () => {};
      },
    };
    const ends: unknown[] = [];
    leaving.push(
      follow(client, {
        session,
        snapshot: { query: Opening, variables: { id: '' } },
        stream: { query: Messages, variables: {}, event: ({ messages }) => messages },
        onSnapshot() {},
        onEvent() {},
        onEnd: (errors) => ends.push(errors),
      }),
    );
    return { asked, ends };
  }

  const failure = (code: string) => ({ errors: [{ extensions: { code } }] });

  it.each([
    ['an end of the stream', 'complete' as const],
    ['a break', { errors: [] }],
    ['a server that is not available', failure('UNAVAILABLE')],
    ['a mistake in the server', failure('INTERNAL_SERVER_ERROR')],
    ['a code that is not known yet', failure('NEW')],
  ])('resumes from the last cursor, which can be that of a CHECKPOINT, after %s', async (_what, answer) => {
    const { asked, ends } = followed(answer);
    await eventually('it has resumed twice', () => asked.length === 4);
    expect(asked).toEqual(['snapshot', 'first', 'cursor 1', 'cursor 2']);
    expect(ends).toEqual([]);
  });

  it('fetches a new snapshot, and continues from there, when its cursor has expired', async () => {
    const { asked } = followed(failure('CURSOR_EXPIRED'));
    await eventually('it has resumed twice', () => asked.length === 6);
    expect(asked).toEqual(['snapshot', 'first', 'snapshot', 'first', 'snapshot', 'first']);
  });

  it.each(['FORBIDDEN', 'NOT_FOUND', 'BAD_USER_INPUT'])('ends after %s', async (code) => {
    const { asked, ends } = followed(failure(code));
    await eventually('it has ended', () => ends.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect([asked, ends]).toEqual([['snapshot', 'first'], [failure(code).errors]]);
  });
});

describe('the WebSocket client', () => {
  it('reconnects when the server no longer responds', async () => {
    const server = new WebSocketServer({ port: 0, handleProtocols: () => 'graphql-transport-ws' });
    leaving.push(() => {
      for (const socket of server.clients) socket.terminate();
      server.close();
    });
    let connections = 0;
    server.on('connection', (socket) => {
      connections += 1;
      socket.once('message', () => socket.send('{"type":"connection_ack"}'));
    });
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const session = new Session(`http://127.0.0.1:${port}/graphql`);
    const socket = connectSocket(session, { keepAlive: 50, retryWait: async () => {} });
    leaving.push(() => socket.dispose());
    leaving.push(
      socket.subscribe({ query: 'subscription { messages { type } }' }, { next() {}, error() {}, complete() {} }),
    );
    await eventually('it reconnects', () => connections > 1);
  });

  it('waits longer between attempts, up to half a minute', () => {
    const longest = vi.spyOn(Math, 'random').mockReturnValue(1);
    expect([0, 1, 2, 10, 1_000, 10_000].map(retryDelay)).toEqual([500, 1_000, 2_000, 30_000, 30_000, 30_000]);
    longest.mockRestore();
  });
});
