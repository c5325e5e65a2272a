import type { Connection } from './connection.js';
import type { TypedDocument } from './document.js';
import { isTemporary, type ParleyError, toError } from './errors.js';
import {
  AcknowledgeDocument,
  ConversationsDocument,
  MessagesDocument,
  OneConversationDocument,
  ReceiptsDocument,
  SnapshotDocument,
  TypingDocument,
} from './generated/documents.js';
import type {
  ConversationsSubscription,
  MessageFieldsFragment,
  MessagesSubscription,
  TypingSubscription,
} from './generated/types.js';
import { pause, retryDelay } from './pause.js';
import type { Request } from './request.js';
import type { SessionManager } from './session.js';
import type { Socket } from './socket.js';
import type { State } from './state.js';
import type { Change, Entity } from './storage.js';
import { normalize, type Store } from './store.js';

/** A change of a message. */
export type MessageEvent = MessagesSubscription['messages'];
export type ConversationEvent = ConversationsSubscription['conversations'];

/** The progress of a stream in a conversation. */
export interface Seen {
  /** The last `changeSeq`. */
  change?: number | undefined;
  /** The newest message up to which the stream, or the snapshot before it, has been complete. */
  seq?: number | undefined;
  /** The newest message of a catch-up that has not ended. */
  caughtSeq?: number | undefined;
}

/** A durable stream whose events change the store. Its cursor is the value `cursor:<name>`. */
export interface Stream {
  /** The name of its field. */
  name: string;
  document: object;
  apply: (events: never[], change: Batch) => void;
  /** For streams that are not part of the snapshot: fetches the data, and the cursor from which its changes follow. */
  fetch?: () => Promise<Change>;
}

interface Arrival {
  message: MessageFieldsFragment;
  isNew: boolean;
}

interface Counts {
  readSeq: number;
  unreadCount: number;
  unreadMentionCount: number;
  unreadToSeq: number;
}

interface StreamEvent {
  type: string;
  cursor: string;
  replayed: boolean;
}

/** Until when each user is shown as typing. */
export type Typing = Record<string, number>;

/** How many missed events are applied and stored together. */
const BATCH = 200;
/** The time for which typing is shown if the clock of this device differs from that of the server. */
const TYPING_SHOWN = [1_000, 10_000] as const;

/** A change that is being collected. */
export interface Batch {
  put: Entity[];
  remove: string[];
  forget: string[];
  set: Record<string, unknown>;
  cover: NonNullable<Change['cover']>;
}

export interface SyncOptions {
  store: Store;
  socket: () => Socket;
  session: SessionManager;
  request: Request;
  pageSize: number;
  /** Called with each message of another user that arrives live. */
  onMessage: (messageId: string) => void;
}

export type Sync = ReturnType<typeof createSync>;

/** Keeps the store equal to the data of the server. Of all tabs, only the leader runs it. */
export function createSync({ store, socket, session, request, pageSize, onMessage }: SyncOptions) {
  /** Changes with each start, so that the results of an earlier run are recognized. */
  let currentRun = 0;
  const stops: (() => void)[] = [];
  const { state } = store;
  /** The names of the streams that have replayed what this device missed. */
  const caughtUp = new Set<string>();
  /** Called with the name of a stream and its events before they are applied and stored. */
  const listeners: ((name: string, events: never[]) => void)[] = [];
  let isUnacknowledged = true;
  const liveSubscriptions: [document: object, next: (data: never) => void][] = [
    [TypingDocument, ({ typing }: TypingSubscription) => receiveTyping(typing)],
  ];

  /** Fetches a snapshot if there is none, and follows its changes until `stop` is called. */
  function start(): void {
    stop();
    void begin(currentRun);
  }

  function stop(): void {
    currentRun += 1;
    caughtUp.clear();
    for (const end of stops.splice(0)) end();
  }

  /** Reports a change of the socket. */
  function socketChanged(status: 'connecting' | 'syncing' | 'waiting', retryAt?: number): void {
    if (stops.length === 0) return;
    caughtUp.clear();
    report(status, { retryAt });
  }

  /** Sets the state of the connection, in all tabs. */
  function report(status: Connection['status'], more: Partial<Connection> = {}): void {
    const old = state.get<Connection>('~connection');
    if (old?.status === status && old.retryAt === more.retryAt) return;
    const since = old?.status === status ? old.since : Date.now();
    store.share({ '~connection': { status, since, ...more } satisfies Connection });
  }

  /** Adds a stream of another entry point. */
  function add(stream: Stream): void {
    streams.push(stream);
    if (stops.length > 0) void follow(stream, currentRun);
  }

  /** Adds a subscription to the current state of something, which has no cursor. */
  function addLive(document: object, next: (data: never) => void): void {
    liveSubscriptions.push([document, next]);
    if (stops.length > 0) watch(document, next);
  }

  async function begin(run: number): Promise<void> {
    report('connecting');
    const hasData = () => state.get('cursor:messages') !== undefined && state.get('list') !== undefined;
    if (!(await fetchUntil(run, hasData, () => fetchSnapshot(run)))) return;
    isUnacknowledged = true;
    for (const [document, next] of liveSubscriptions) watch(document, next);
    for (const stream of streams) void follow(stream, run);
  }

  function watch(document: object, next: (data: never) => void): void {
    stops.push(socket().subscribe(document as TypedDocument<never, object>, {}, { next }));
  }

  /** Fetches data, and retries until it succeeds. Returns false if the data is no longer needed or cannot be fetched. */
  async function fetchUntil(run: number, hasData: () => boolean, fetch: () => Promise<void>): Promise<boolean> {
    for (let failures = 0; !hasData(); ) {
      try {
        await fetch();
      } catch (thrown) {
        const error = toError(thrown);
        if (run !== currentRun || !session.accessToken()) return false;
        if (!isTemporary(error)) {
          giveUp(error);
          return false;
        }
        const delay = Math.max(retryDelay(failures), error.retryAfter ?? 0);
        report('waiting', { retryAt: Date.now() + delay });
        failures = (await pause(delay)) ? 0 : failures + 1;
      }
      if (run !== currentRun) return false;
    }
    return true;
  }

  async function fetchSnapshot(run: number): Promise<void> {
    const { viewer } = await request(SnapshotDocument, { first: pageSize });
    if (run !== currentRun || !viewer) return;
    const { conversations, syncCursor, ...own } = viewer;
    const put = normalize([conversations, own]);
    const set: Record<string, unknown> = {
      me: viewer.id,
      list: conversations?.pageInfo,
      'cursor:snapshot': syncCursor,
    };
    for (const { name, fetch } of streams) if (!fetch) set[`cursor:${name}`] = syncCursor;
    const cover: Change['cover'] = [];
    for (const { id, latestSeq } of conversations?.nodes ?? []) {
      set[`seen:${id}`] = { seq: latestSeq } satisfies Seen;
      if (latestSeq === 0) cover.push([id, 0, 0]);
    }
    const isOther = ![undefined, viewer.id].includes(state.get('me'));
    if (isOther) {
      // Data of another user, whose session was replaced by tokens without a name.
      set['session'] = state.get('session');
    }
    await store.commit({ reset: isOther ? 'all' : 'data', put: put, set, cover });
  }

  async function follow(stream: Stream, run: number, failures = 0): Promise<void> {
    const { name, document, apply, fetch } = stream;
    const hasData = () => !fetch || state.get(`cursor:${name}`) !== undefined;
    const load = async () => {
      const since = store.now();
      const change = await fetch?.();
      if (change && run === currentRun) await store.commit(change, since);
    };
    if (!(await fetchUntil(run, hasData, load))) return;
    let failed = failures;
    let waiting: StreamEvent[] = [];
    const variables = {
      get after() {
        return state.get<string>(`cursor:${name}`);
      },
    };
    const flush = ({ type, cursor }: StreamEvent) => {
      const events = waiting;
      waiting = [];
      for (const listener of listeners) listener(name, events as never);
      const change: Batch = { put: [], remove: [], forget: [], set: {}, cover: [] };
      apply(events as never[], change);
      change.set[`cursor:${name}`] = cursor;
      const stored = store.commit(change);
      if (type === 'CAUGHT_UP') caughtUp.add(name);
      else if (type !== 'CHECKPOINT') return;
      if (name === 'messages') void stored.then(() => acknowledge(cursor));
      if (caughtUp.size === streams.length) report('live');
    };
    const retry = (error?: ParleyError) => {
      if (run === currentRun) void recover(stream, run, failed, error);
    };
    stops.push(
      socket().subscribe(document as TypedDocument<Record<string, unknown>, object>, variables, {
        next: (data) => {
          if (run !== currentRun) return;
          failed = 0;
          const event = data[name] as StreamEvent;
          waiting.push(event);
          if (!event.replayed || waiting.length >= BATCH) flush(event);
        },
        error: retry,
        complete: retry,
      }),
    );
  }

  async function recover(stream: Stream, run: number, failures: number, error: ParleyError | undefined): Promise<void> {
    caughtUp.delete(stream.name);
    if (error?.code === 'CURSOR_EXPIRED') {
      const set = Object.fromEntries(streams.map(({ name }) => [`cursor:${name}`, undefined]));
      stop();
      const next = currentRun;
      await store.commit({ set });
      if (next === currentRun) await begin(next);
      return;
    }
    if (error?.code === 'UNAUTHENTICATED') {
      const isSignedIn = await session.renew(session.accessToken()).catch(() => true);
      if (!isSignedIn || run !== currentRun) return;
      socket().reconnect();
    } else if (error && !isTemporary(error)) {
      giveUp(error);
      return;
    }
    report('syncing');
    await pause(Math.max(retryDelay(failures), error?.retryAfter ?? 0));
    if (run === currentRun) await follow(stream, run, failures + 1);
  }

  function giveUp({ code, message }: ParleyError): void {
    stop();
    report('failed', { error: { code, message } });
  }

  async function acknowledge(cursor: string): Promise<void> {
    if (!isUnacknowledged) return;
    isUnacknowledged = false;
    // The next CHECKPOINT covers this one as well.
    await request(AcknowledgeDocument, { input: { cursor } }).catch(() => {
      isUnacknowledged = true;
    });
  }

  const streams: Stream[] = [
    {
      name: 'messages',
      document: MessagesDocument,
      apply: applyMessages,
    },
    {
      name: 'conversations',
      document: ConversationsDocument,
      apply: (events, change) => {
        for (const event of events) applyConversation(event, change);
      },
    },
    {
      name: 'receipts',
      document: ReceiptsDocument,
      apply: (events, { put }) => void put.push(...normalize(events)),
    },
  ];

  function applyMessages(events: MessageEvent[], change: Batch): void {
    const { put, remove, set, cover } = change;
    const seenOf = (id: string) => {
      set[`seen:${id}`] ??= { ...state.get<Seen>(`seen:${id}`) };
      return set[`seen:${id}`] as Seen;
    };
    /** The messages of others, by their conversation and their `seq`. */
    const arrived = new Map<string, Map<number, Arrival>>();
    const outdated = new Set<string>();
    for (const { type, messageId, message, changeSeq, replayed } of events) {
      if (type === 'CAUGHT_UP') endCatchUp(set, cover);
      if (type === 'ERASED' && messageId) {
        remove.push(messageId);
        const { conversationId } = state.get<Entity>(messageId) ?? {};
        // The event does not contain the conversation of an unknown message. It may have been counted as unread.
        const counting = () => store.list('~conversations').filter((id) => membershipOf(id)?.['unreadCount']);
        for (const id of conversationId ? [conversationId] : counting()) outdated.add(id);
      }
      if (!message) continue;
      const { seq, conversation, clientMessageId } = message;
      const { id, latestSeq } = conversation;
      const seen = seenOf(id);
      if (changeSeq != null && changeSeq <= (seen.change ?? 0)) continue;
      seen.change = changeSeq ?? seen.change;
      isUnacknowledged = true;
      put.push(...normalize(message));
      if (seq === latestSeq) put.push({ id, __typename: 'Conversation', lastMessage: { __ref: message.id } });
      if (clientMessageId && state.get(`outbox:${clientMessageId}`)) set[`outbox:${clientMessageId}`] = undefined;
      // Nothing between the last message and this one is missing, because a stream is in order once it is live.
      cover.push([id, !replayed && seen.seq !== undefined ? Math.min(seen.seq + 1, seq) : seq, seq]);
      const key = replayed ? 'caughtSeq' : 'seq';
      seen[key] = Math.max(seen[key] ?? 0, seq);
      if (message.sender?.id === store.ownId() || message.kind !== 'USER') continue;
      const others = arrived.get(id) ?? new Map<number, Arrival>();
      arrived.set(id, others.set(seq, { message, isNew: type === 'SENT' && !replayed }));
    }
    for (const [id, others] of arrived) if (!count(id, others.values(), change)) outdated.add(id);
    // After this batch has been applied: it must not count as newer than the response.
    for (const id of outdated) queueMicrotask(() => void refetch(id));
  }

  /** The viewer's membership. */
  function membershipOf(conversationId: string): Entity | undefined {
    const { __ref = '' } = (state.get<Entity>(conversationId)?.['viewerMembership'] ?? {}) as { __ref?: string };
    return state.get(__ref);
  }

  /** Counts the unread messages that `unreadCount` does not contain yet. Returns false if the counts are unknown. */
  function count(conversationId: string, arrivals: Iterable<Arrival>, { put }: Batch): boolean {
    const membership = membershipOf(conversationId) as (Entity & Counts) | undefined;
    // Earlier versions did not store up to which message the counts were.
    if (membership?.unreadToSeq === undefined) return false;
    const { id, __typename, readSeq, unreadToSeq: counted } = membership;
    let { unreadCount, unreadMentionCount, unreadToSeq } = membership;
    let isKnown = true;
    for (const { message, isNew } of arrivals) {
      const { seq, deletedAt, mentions, mentionsEveryone } = message;
      if (seq <= readSeq) continue;
      if (isNew) queueMicrotask(() => onMessage(message.id));
      if (deletedAt) isKnown = false;
      else if (seq > counted) {
        unreadCount += 1;
        unreadMentionCount += Number(mentionsEveryone || mentions.some((user) => user.id === store.ownId()));
        unreadToSeq = Math.max(unreadToSeq, seq);
      }
    }
    put.push({ id, __typename, unreadCount, unreadMentionCount, unreadToSeq });
    return isKnown;
  }

  /** At the end of a catch-up, every message up to the newest one has been delivered. */
  function endCatchUp(set: Record<string, unknown>, cover: Batch['cover']): void {
    const keys = [...state.keys(), ...Object.keys(set)].filter((key) => key.startsWith('seen:'));
    for (const key of new Set(keys)) {
      const { caughtSeq, ...seen } = (set[key] ?? state.get(key) ?? {}) as Seen;
      if (caughtSeq === undefined) continue;
      if (seen.seq !== undefined) cover.push([key.slice(5), seen.seq + 1, caughtSeq]);
      set[key] = { ...seen, seq: Math.max(seen.seq ?? 0, caughtSeq) } satisfies Seen;
    }
  }

  function applyConversation(event: ConversationEvent, { put, remove, forget, set }: Batch): void {
    const { type, conversationId: id, conversation, membership, membershipId } = event;
    if (!id) return;
    if (membershipId) remove.push(membershipId);
    const known = state.get<Entity>(id)?.['viewerMembership'] as { __ref: string } | null | undefined;
    // After users have joined again, they may be able to read fewer or more messages than before.
    const isNewMember = known && conversation && conversation.viewerMembership?.id !== known.__ref;
    if (type === 'LEFT' || isNewMember) {
      forget.push(id);
      set[`seen:${id}`] = undefined;
    }
    if (type === 'LEFT') {
      remove.push(id);
      return;
    }
    // The stream of messages is more recent or will be: it keeps the counts and the last message.
    const latest = (state.get<Entity>(id)?.['latestSeq'] ?? 0) as number;
    const found = normalize([conversation, membership]).map((entity) => {
      const { unreadCount: _unread, unreadMentionCount: _mentions, unreadToSeq: _toSeq, ...settings } = entity;
      const { latestSeq = latest, lastMessage: _message, lastActivityAt: _time, ...details } = entity;
      if (!isNewMember && entity.id === known?.__ref) return settings as Entity;
      return entity.id === id && (latestSeq as number) < latest ? (details as Entity) : entity;
    });
    put.push(...found);
  }

  /** Fetches a conversation again. */
  async function refetch(id: string): Promise<void> {
    // If it fails, the next event of the conversation fetches it again.
    await store.receive(request(OneConversationDocument, { id })).catch(() => {});
  }

  function receiveTyping({ conversationId, isTyping, expiresAt, user }: TypingSubscription['typing']): void {
    const key = `~typing:${conversationId}` as const;
    const [least, most] = TYPING_SHOWN;
    const until = Date.now() + Math.min(most, Math.max(least, Date.parse(expiresAt) - Date.now()));
    const { [user.id]: _before, ...others } = state.get<Typing>(key) ?? {};
    void store.commit({
      put: normalize(user),
      set: { [key]: isTyping ? { ...others, [user.id]: until } : others },
    });
  }

  return { start, stop, socketChanged, report, add, addLive, listeners, caughtUp, refetch };
}

/** Ends typing when its time is over. Every tab does so, because the one that received the event can be closed. */
export function expireTyping(state: State): void {
  state.onChange((changed) => {
    for (const key of changed) {
      const times = key.startsWith('~typing:') ? Object.values(state.get<Typing>(key) ?? {}) : [];
      if (times.length === 0) continue;
      setTimeout(
        () => {
          const rest = Object.entries(state.get<Typing>(key) ?? {}).filter(([, until]) => until > Date.now());
          state.set(key, Object.fromEntries(rest));
        },
        Math.min(...times) - Date.now(),
      );
    }
  });
}
