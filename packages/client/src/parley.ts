import { type Connection, onLive } from './connection.js';
import { setContext } from './context.js';
import { type Conversation, type ConversationHandle, createConversation, type Message } from './conversation.js';
import type { TypedDocument } from './document.js';
import { toError } from './errors.js';
import { CreateGroupDocument, OpenDirectConversationDocument, SnapshotDocument } from './generated/documents.js';
import type { CreateGroupInput } from './generated/types.js';
import { createSend, dataOf } from './http.js';
import { createOutbox, type OutboxEntry } from './outbox.js';
import type { Request } from './request.js';
import { sealingOf } from './sealing.js';
import { createSessionManager, type Session } from './session.js';
import { createSocket, type Sink } from './socket.js';
import type { Readable } from './state.js';
import { type Change, noStorage, openStorage } from './storage.js';
import { createStore, normalize } from './store.js';
import { createSync, expireTyping, type Sync } from './sync.js';
import { createTabs, type Tabs } from './tabs.js';

/** The settings of a client. */
export interface ParleyOptions {
  /** The address of the API, such as `https://chat.example.com/graphql`. */
  url: string;
  /**
   * Where the data is kept: `persistent` (the default) in the browser's IndexedDB, shared by all tabs, or `memory`, in
   * this page only. Without IndexedDB, it is `memory`.
   */
  storage?: 'persistent' | 'memory';
  /**
   * Returns an access token of your identity provider or of your own backend, or nothing if no user is signed in. It is
   * called at the start, and when the server rejects the last token. Without it, users sign in with passwords.
   */
  getToken?: () => Promise<string | null | undefined> | string | null | undefined;
  /**
   * Whether the client keeps conversations in a store of its own, which is the default. With `false`, another cache holds
   * the data: only the session, `request`, `subscribe` and `connection` are used, and each tab has a WebSocket.
   */
  sync?: boolean;
  /** How many messages or conversations a page contains, up to the server's `limits.pageMax`. The default is 50. */
  pageSize?: number;
  /** After how many milliseconds an HTTP request without a response fails. The default is 30,000. */
  requestTimeout?: number;
  /** After how many milliseconds without a message the WebSocket is checked. The default is 10,000. */
  keepAlive?: number;
  /**
   * The hashes of documents by the names of their operations, to be sent instead of the texts. Those of the client itself
   * are the `hashes` of `@parley/client/hashes`.
   */
  persistedDocuments?: Readonly<Record<string, string>>;
}

/** The conversations of the viewer. */
export interface ConversationList {
  /** The conversations, by their latest activity, latest first. */
  conversations: readonly Conversation[];
  /** Whether there are older ones: see `loadMore`. */
  hasMore: boolean;
  /** False until the list has been fetched once. */
  isLoaded: boolean;
}

/** A client of one server. */
export interface Parley {
  /** The session of this device. */
  readonly session: Session;
  /** Whether the data is up to date. */
  readonly connection: Readable<Connection>;
  /** The list of conversations. */
  readonly conversations: Readable<ConversationList> & {
    /** Loads more conversations. */
    loadMore(): Promise<void>;
  };
  /** A conversation by its id. Calls with the same id return the same object. */
  conversation(id: string): ConversationHandle;
  /** Opens the direct conversation with a user, which is created if it does not exist. */
  openDirect(userId: string): Promise<ConversationHandle>;
  /** Creates a group. */
  createGroup(input: CreateGroupInput): Promise<ConversationHandle>;
  /** Messages that the server has not confirmed, in all conversations. */
  readonly outbox: Readable<readonly OutboxEntry[]> & {
    /** Sends a rejected message again. */
    retry(clientMessageId: string): Promise<void>;
    /** Removes a message. If it is being sent, it can still arrive. */
    discard(clientMessageId: string): Promise<void>;
  };
  /**
   * Calls the listener with each unread message of another user that arrives live, for sounds and notifications. Of
   * several tabs, only one calls its listeners.
   */
  onMessage(listener: (message: Message) => void): () => void;
  /**
   * Sends a query or a mutation of your own over HTTP, with a valid access token.
   * @throws ParleyError if the response has errors, or if there is none.
   */
  request<Data = unknown, Variables extends object = Record<string, unknown>>(
    document: string | TypedDocument<Data, Variables>,
    variables?: Variables,
  ): Promise<Data>;
  /** Subscribes to a stream of your own over the WebSocket. It is sent again after each reconnect. */
  subscribe<Data = unknown, Variables extends object = Record<string, unknown>>(
    document: string | TypedDocument<Data, Variables>,
    variables: Variables,
    sink: Sink<Data>,
  ): () => void;
  /** Closes the connection and the storage. The session is kept. */
  close(): Promise<void>;
}

/**
 * Creates a client. It continues the session that is stored on this device, shows the stored data at once, and keeps it
 * up to date from then on.
 */
export function createParley(options: ParleyOptions): Parley {
  const { url, pageSize = 50, requestTimeout = 30_000, keepAlive = 10_000, persistedDocuments } = options;
  const store = createStore();
  const { state } = store;
  const name = `parley:${url}`;
  const isPersistent = options.storage !== 'memory' && !!globalThis.indexedDB;
  const isSynchronized = options.sync !== false;
  const send = createSend(url, persistedDocuments, requestTimeout);
  const manager = createSessionManager(store, { name, send, loaded: () => loaded, getToken: options.getToken });
  const listeners = new Set<(message: Message) => void>();
  const handles = new Map<string, ConversationHandle>();
  let isClosed = false;

  const request: Parley['request'] = async (document, variables = {} as never) => {
    await loaded;
    const token = manager.accessToken();
    let result = await send(document, variables, token);
    const isRefused = result.errors?.some(({ extensions }) => extensions?.['code'] === 'UNAUTHENTICATED');
    if (isRefused && token && (await manager.renew(token))) {
      result = await send(document, variables, manager.accessToken());
    }
    return dataOf(result);
  };

  const socket = createSocket(manager, {
    url,
    hashes: persistedDocuments,
    keepAlive,
    loaded: () => loaded,
    onChange: (status, retryAt) => {
      if (isSynchronized) sync.socketChanged(status, retryAt);
      else state.set('~connection', { status: status === 'syncing' ? 'live' : status, since: Date.now(), retryAt });
    },
  });
  store.onFenced = () => tabs.stepDown();
  // A request over HTTP on a connection that was lost without notice would only fail after `requestTimeout`: the socket
  // notices it sooner. HTTP is used while there is none, because some networks let no WebSockets through.
  const sendNow: Request = async (document, variables) => {
    if (socket.isReady()) return dataOf(await socket.sendOnce(document, variables));
    let stop = () => {};
    const live = new Promise<never>((_, reject) => {
      stop = onLive(state, () => reject(toError(undefined)));
    });
    return Promise.race([live, request<never, never>(document as never, variables as never)]).finally(stop);
  };
  const outbox = createOutbox(store, sendNow, () => opened);
  const sync: Sync = createSync({
    store,
    socket: () => socket,
    session: manager,
    request: request as never,
    pageSize,
    onMessage: async (id) => {
      await sealingOf(state)?.opened(id);
      const message = store.read<Message>(id);
      if (message) for (const listener of [...listeners]) listener(message);
    },
  });

  const isShared = (key: string) => isSynchronized && /^~(connection|late|sending|typing:)/.test(key);
  const tabs: Tabs = createTabs(
    {
      name,
      lead: async () => {
        const next = await store.storage.nextEpoch();
        if (!tabs.isLeader()) return;
        store.epoch = next;
        run();
      },
      follow: () => {
        store.epoch = undefined;
        sync.stop();
        outbox.stop();
      },
      // Changes that arrive while the stored data is being read come after it.
      receive: (message) => {
        const { change, isResponse } = message as { change: Change; isResponse: boolean };
        void opened.then(() => store.apply(change, isResponse));
      },
      isWaiting: () => state.get<Connection>('~connection')?.status === 'waiting',
      greet: () => {
        for (const key of [...state.keys()]) if (isShared(key)) store.share({ [key]: state.get(key) });
      },
    },
    isPersistent,
  );

  /** Synchronizes if this tab is the leader and a user is signed in. */
  function run(): void {
    if (!tabs.isLeader() || isClosed || !isSynchronized) return;
    const isSignedIn = manager.accessToken() !== undefined;
    for (const part of [sync, outbox]) isSignedIn ? part.start() : part.stop();
    if (!isSignedIn) sync.report('off');
  }

  /** Reads the stored data. */
  async function open(): Promise<void> {
    try {
      if (isPersistent) store.storage = await openStorage(name);
      await store.load();
    } catch {
      // Some browsers have no IndexedDB in private windows.
    }
    state.set('~loaded', true);
    expireTyping(state);
  }
  const opened = open();

  async function load(): Promise<void> {
    await opened;
    store.onCommit = (change, isResponse) => tabs.send({ change, isResponse });
    await manager.start();
    if (isClosed) return;
    let signedIn = manager.accessToken() !== undefined;
    let user = state.get('me');
    state.onChange((changed) => {
      if (!['session', '~session', 'me'].some((key) => changed.has(key))) return;
      const next = [manager.accessToken() !== undefined, state.get('me')] as const;
      const isOther = user !== undefined && next[1] !== undefined && user !== next[1];
      if (signedIn !== next[0] || isOther) {
        [signedIn, user] = next;
        // The connection belongs to the previous user.
        socket.reconnect();
        run();
      }
      user = next[1] ?? user;
    });
    tabs.start();
  }
  const loaded = load();

  const conversations = state.derive<ConversationList>(() => {
    const page = state.get<{ hasNextPage: boolean }>('list');
    const known = store.list('~conversations').flatMap((id) => {
      const conversation = store.read<Conversation>(id);
      return conversation?.kind && conversation.viewerMembership ? conversation : [];
    });
    return {
      conversations: known.sort((one, other) => (one.lastActivityAt < other.lastActivityAt ? 1 : -1)),
      hasMore: page?.hasNextPage ?? false,
      isLoaded: page !== undefined,
    };
  });

  const conversation = (id: string): ConversationHandle => {
    let handle = handles.get(id);
    if (!handle) {
      handle = createConversation(id, { store, request: request as never, outbox, sync, pageSize });
      handles.set(id, handle);
    }
    return handle;
  };

  const create = async (document: object, input: object) => {
    const data = await store.receive(
      request<Record<string, { conversation: { id: string } }>>(document as never, { input }),
    );
    const [created] = Object.values(data);
    return conversation(created?.conversation.id as string);
  };

  const entries = state.derive(() => outbox.entries());
  const off: Connection = { status: 'off', since: Date.now() };
  const parley: Parley = {
    session: manager.session,
    connection: state.derive(() => state.get<Connection>('~connection') ?? off),
    conversations: Object.assign(conversations, {
      async loadMore() {
        const { endCursor } = state.get<{ endCursor: string | null }>('list') ?? {};
        await store.receive(request(SnapshotDocument, { first: pageSize, after: endCursor }), ({ viewer }) => {
          const list = viewer?.conversations;
          const put = normalize(list);
          return { put, set: { list: list?.pageInfo } };
        });
      },
    }),
    conversation,
    openDirect: (userId) => create(OpenDirectConversationDocument, { userId }),
    createGroup: (input) => create(CreateGroupDocument, input),
    outbox: Object.assign(entries, { retry: outbox.retry, discard: outbox.discard }),
    onMessage(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    request,
    subscribe: socket.subscribe,
    async close() {
      isClosed = true;
      manager.close();
      await loaded;
      tabs.close();
      sync.stop();
      outbox.stop();
      socket.close();
      state.set('~end', 1);
      const { storage } = store;
      store.storage = noStorage;
      storage.close();
    },
  };
  const { isLeader } = tabs;
  setContext(parley, { url, store, sync, session: manager, socket, outbox, isLeader, request: request as never });
  return parley;
}
