import { onLive } from './connection.js';
import { ParleyError, toError } from './errors.js';
import {
  AddReactionDocument,
  DeleteMessageDocument,
  EditMessageDocument,
  MarkReadDocument,
  PageDocument,
  RemoveReactionDocument,
  SetTypingDocument,
} from './generated/documents.js';
import type {
  AttachmentFieldsFragment,
  ConversationFieldsFragment,
  MessageFieldsFragment,
  UserFieldsFragment,
} from './generated/types.js';
import type { Outbox, OutboxEntry } from './outbox.js';
import { type Range, rangeAt } from './ranges.js';
import type { Request } from './request.js';
import { emojisToSend, type FileSecret, sealed } from './sealing.js';
import type { Readable } from './state.js';
import type { Entity } from './storage.js';
import { normalize, type Protection, type Reaction, type Store } from './store.js';
import type { Sync, Typing } from './sync.js';

/** A person or a bot. */
export type User = UserFieldsFragment & {
  presence?: { status: string; lastSeenAt: string | null } | null;
  viewerIsContact?: boolean;
  viewerHasBlocked?: boolean;
};
/** A file of a message. The properties of an encrypted one are those that its sender has stated. */
export type Attachment = AttachmentFieldsFragment & {
  /** With what an encrypted file is decrypted: see `@parley/client/encryption`. */
  secret?: FileSecret;
};
/** Whether a message is protected; undefined for messages that are not encrypted. */
interface Protectable {
  protection?: Protection;
}
/** A message. Texts, attachments and reactions of encrypted messages are those that this device has opened. */
export type Message = Omit<MessageFieldsFragment, 'attachments' | 'reactions' | 'replyTo'> &
  Protectable & {
    conversationId: string;
    attachments: Attachment[];
    reactions: Reaction[];
    replyTo: (NonNullable<MessageFieldsFragment['replyTo']> & Protectable) | null;
  };
/** A direct conversation or a group. */
export type Conversation = Omit<ConversationFieldsFragment, 'lastMessage'> & {
  lastMessage: (NonNullable<ConversationFieldsFragment['lastMessage']> & Protectable) | null;
};

/**
 * The delivery state of a message of the viewer:
 * - `queued`: it is stored on this device.
 * - `sending`: it is being sent.
 * - `failed`: the server has rejected it.
 * - `stored`: the server has stored it.
 * - `delivered`, `seen`: all other members have received or read it.
 */
export type MessageStatus = 'queued' | 'sending' | 'failed' | 'stored' | 'delivered' | 'seen';

/** A message as it is displayed, whether the server has confirmed it yet or not. */
export interface Row {
  /** Remains the same when the server confirms the message: use it as the key of the element. */
  key: string;
  /** The message of the server; undefined until it is confirmed. */
  message: Message | undefined;
  /** The message on its way; undefined once it is confirmed. */
  pending: OutboxEntry | undefined;
  text: string | null;
  createdAt: string;
  isOwn: boolean;
  /** Undefined for messages of others. */
  status: MessageStatus | undefined;
}

/** The state of a displayed conversation. */
export interface ConversationView {
  /** Undefined until it is known. */
  conversation: Conversation | undefined;
  /** Messages without a gap between them, oldest first, and at the end those that are on their way. */
  rows: readonly Row[];
  /** Whether there are older messages: see `loadEarlier`. */
  hasEarlier: boolean;
  /** Whether there are newer messages: see `loadLater` and `showLatest`. */
  hasLater: boolean;
  isLoading: boolean;
  /** Why the last attempt to load messages failed. */
  error: ParleyError | undefined;
  /** Other members who are typing. */
  typing: readonly User[];
}

/** A conversation that is displayed. It is loaded when it has a subscriber. */
export interface ConversationHandle extends Readable<ConversationView> {
  readonly id: string;
  /**
   * Sends a message. Resolves with its key as soon as it is stored on this device; it is sent even if the page is closed
   * and opened later, and stored once by the server however often it is sent.
   */
  send(text: string, options?: { replyToId?: string }): Promise<string>;
  /**
   * Loads older messages. From then on, until `showLatest`, no rows are removed. Otherwise the oldest ones are removed
   * when there are more than 2,000; they can be loaded again.
   */
  loadEarlier(): Promise<void>;
  /** Loads newer messages, after `showAround`. */
  loadLater(): Promise<void>;
  /** Shows the messages around a `seq`, for example that of a search result or of the first unread message. */
  showAround(seq: number): Promise<void>;
  /** Shows the newest messages, as at the beginning, when the user has gone back to the end. */
  showLatest(): void;
  /** Call this on each key press while the user writes; it is sent every three seconds at most. */
  setTyping(isTyping?: boolean): void;
  /**
   * Reports that the user has seen all messages up to `seq`. Marks only move forward; they are sent once a second at
   * most, and again if the server cannot be reached.
   */
  markRead(seq: number): void;
  /** Changes the text of a message of the viewer. That of a message with attachments can be removed with null. */
  edit(messageId: string, text: string | null): Promise<void>;
  /** Deletes a message. */
  delete(messageId: string): Promise<void>;
  /** Adds a reaction of the viewer to a message, or removes it. */
  react(messageId: string, emoji: string, isAdded?: boolean): Promise<void>;
}

const TYPING_EVERY = 3_000;
const MARK_READ_EVERY = 1_000;
/** For how long a new message may be announced before its event arrives. */
const EVENT_DELAY = 1_000;

export interface ConversationContext {
  store: Store;
  request: Request;
  outbox: Outbox;
  sync: Sync;
  pageSize: number;
}

export function createConversation(id: string, context: ConversationContext): ConversationHandle {
  const { store, request, outbox, sync, pageSize } = context;
  const { state } = store;
  const keys = { at: `~at:${id}`, loading: `~loading:${id}`, error: `~error:${id}` };
  let subscribers = 0;
  let loading: Promise<void> | undefined;
  let rows = new Map<string, () => Row>();

  const latestSeq = () => state.get<Entity>(id)?.['latestSeq'] as number | undefined;

  /** The range that is shown. */
  function shownRange(): Range | undefined {
    const at = state.get<number>(keys.at);
    const ranges = store.ranges(id);
    return at === undefined ? ranges.at(-1) : rangeAt(ranges, at);
  }

  /** Whether there is less than a page to show, although there are older messages. */
  const isShort = (range: Range | undefined) => !range || (range[0] > 1 && range[1] - range[0] + 1 < pageSize);

  function messageRow(messageId: string): Row {
    const message = store.read<Message>(messageId) as Message;
    const isOwn = message.sender != null && message.sender.id === store.ownId();
    const { seq, text, createdAt, clientMessageId } = message;
    return {
      // Only those of the viewer's own messages are unique.
      key: (isOwn && clientMessageId) || messageId,
      message,
      pending: undefined,
      text,
      createdAt,
      isOwn,
      status: isOwn ? statusOf(seq) : undefined,
    };
  }

  /** Each new message changes the conversation: of the rows, only those of the viewer depend on it. */
  function statusOf(seq: number): MessageStatus {
    const { othersReadSeq, othersDeliveredSeq } = state.get<Partial<Record<string, number | null>>>(id) ?? {};
    return seq <= (othersReadSeq ?? 0) ? 'seen' : seq <= (othersDeliveredSeq ?? 0) ? 'delivered' : 'stored';
  }

  /**
   * Computes a row when what it depends on has changed, and returns the one of before if it is equal: each new message changes
   * the conversation, on which the viewer's rows depend. The functions of rows must not be made where `view` is computed: each
   * would keep the rows of that time, and these those of earlier times.
   */
  function stable<Source>(compute: (source: Source) => Row, source: Source): () => Row {
    let row: Row | undefined;
    return state.cached(() => {
      const next = compute(source);
      if (!row || Object.entries(next).some(([name, value]) => row?.[name as keyof Row] !== value)) row = next;
      return row;
    });
  }

  function pendingRow(entry: OutboxEntry): Row {
    const pending = state.get<OutboxEntry>(`outbox:${entry.clientMessageId}`) ?? entry;
    const { clientMessageId: key, text, createdAt, error } = pending;
    const isSending = state.get<Record<string, string>>('~sending')?.[id] === key;
    const status = error ? 'failed' : isSending ? 'sending' : 'queued';
    return { key, message: undefined, pending, text, createdAt, isOwn: true, status };
  }

  const view = state.derive<ConversationView>(
    () => {
      const range = shownRange();
      const latest = latestSeq() ?? 0;
      const next = new Map<string, () => Row>();
      const places = range ? store.places(id).filter(({ seq }) => range[0] <= seq && seq <= range[1]) : [];
      for (const place of places) next.set(place.id, rows.get(place.id) ?? stable(messageRow, place.id));
      const hasLater = range !== undefined && range[1] < latest;
      const isAtEnd = state.get(keys.at) === undefined || !hasLater;
      const pending = isAtEnd ? outbox.entries(id) : [];
      for (const entry of pending) {
        const key = `outbox:${entry.clientMessageId}`;
        next.set(key, rows.get(key) ?? stable(pendingRow, entry));
      }
      rows = next;
      const typing = Object.keys(state.get<Typing>(`~typing:${id}`) ?? {});
      return {
        conversation: state.get<Entity>(id)?.['kind'] === undefined ? undefined : store.read<Conversation>(id),
        rows: [...next.values()].map((row) => row()),
        hasEarlier: range ? range[0] > 1 : latest > 0,
        hasLater,
        isLoading: state.get(keys.loading) ?? false,
        error: state.get(keys.error),
        typing: typing.flatMap((userId) => store.read<User>(userId) ?? []),
      };
    },
    () => void ensure(),
  );

  /** Loads the newest messages if they are shown and not known. */
  function ensure(): void {
    if (subscribers === 0 || loading || state.get(keys.at) !== undefined) return;
    if (state.get(keys.error) || !state.get('~loaded') || !state.get('me')) return;
    const range = shownRange();
    const latest = latestSeq();
    if (latest === undefined || isShort(range)) void loadLatest();
    else if (range && range[1] < latest) {
      setTimeout(() => {
        if ((shownRange()?.[1] ?? 0) < (latestSeq() ?? 0)) void loadLatest();
      }, EVENT_DELAY);
    }
  }

  function load(work: () => Promise<void>): Promise<void> {
    loading ??= (async () => {
      state.set(keys.loading, true);
      state.set(keys.error, undefined);
      try {
        await work();
      } catch (error) {
        state.set(keys.error, toError(error));
      } finally {
        loading = undefined;
        state.set(keys.loading, undefined);
      }
    })();
    return loading;
  }

  const loadLatest = () =>
    load(async () => {
      if (state.get<Entity>(id)?.['kind'] === undefined) await sync.refetch(id);
      const latest = latestSeq() ?? 0;
      const isStored = await store.loadRange(id, latest, latest - pageSize + 1, latest);
      if (!isStored || isShort(shownRange())) await page({ last: pageSize });
    });

  async function page(variables: { first?: number; last?: number; aroundSeq?: number }): Promise<void> {
    await store.receive(request(PageDocument, { id, ...variables }), ({ conversation }) => {
      if (!conversation?.messages) throw new ParleyError('NOT_FOUND', 'The conversation does not exist.');
      const { messages, ...newest } = conversation;
      const { nodes, pageInfo } = messages;
      const last = nodes.at(-1)?.seq ?? 0;
      const from = pageInfo.hasPreviousPage ? (nodes[0]?.seq ?? 0) : 0;
      const to = pageInfo.hasNextPage ? last : Math.max(last, newest.latestSeq);
      return { put: normalize([nodes, newest], id), cover: [[id, from, to]] };
    });
  }

  /** Loads a page on one side of what is shown. The pages overlap by a message, so that there is no gap. */
  const loadBeyond = (direction: -1 | 1) => {
    store.held.add(id);
    return load(async () => {
      const range = shownRange();
      if (!range) return;
      const edge = direction < 0 ? range[0] : range[1];
      const next = edge + direction;
      if (direction < 0 ? next < 1 : next > (latestSeq() ?? 0)) return;
      const far = edge + direction * pageSize;
      if (await store.loadRange(id, next, Math.min(next, far), Math.max(next, far))) return;
      const middle = edge + direction * (Math.floor(pageSize / 2) - 2);
      await page({ first: pageSize, aroundSeq: Math.max(1, middle) });
    });
  };

  /** From now on, only the newest messages have to be kept in memory. */
  function release(): void {
    store.held.delete(id);
    store.trim(id);
  }

  async function change(response: Promise<unknown>): Promise<void> {
    await store.receive(response, undefined, id);
  }

  let typingUntil = 0;
  let read = 0;
  let markedAt = 0;
  let isMarking = false;

  async function sendMarks(): Promise<void> {
    if (isMarking) return;
    isMarking = true;
    for (let sent = 0; sent < read; ) {
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, markedAt + MARK_READ_EVERY - Date.now())));
      markedAt = Date.now();
      const seq = read;
      try {
        await store.receive(request(MarkReadDocument, { input: { conversationId: id, seq } }));
      } catch (error) {
        // Without a connection to the server, the same mark is sent again.
        if (toError(error).code === 'NETWORK') continue;
      }
      sent = seq;
    }
    isMarking = false;
  }

  // Before the next listener, which loads only if there is no error.
  onLive(state, () => state.set(keys.error, undefined));
  state.onChange((changed) => {
    if (subscribers === 0) return;
    for (const key of [`ranges:${id}`, id, '~loaded', 'me', '~connection']) if (changed.has(key)) return ensure();
  });

  const methods: Omit<ConversationHandle, 'value'> = {
    id,
    subscribe(listener) {
      subscribers += 1;
      const stop = subscribe(listener);
      let isStopped = false;
      return () => {
        if (isStopped) return;
        isStopped = true;
        stop();
        subscribers -= 1;
        if (subscribers === 0 && state.get(keys.at) === undefined) release();
      };
    },
    send: (text, { replyToId } = {}) => {
      typingUntil = 0;
      return outbox.add({ conversationId: id, text, replyToId });
    },
    loadEarlier: () => loadBeyond(-1),
    loadLater: () => loadBeyond(1),
    async showAround(seq) {
      store.held.add(id);
      // Another load can begin as soon as one has ended.
      while (loading) await loading;
      await load(async () => {
        const half = Math.floor(pageSize / 2);
        const isKnown =
          rangeAt(store.ranges(id), seq) !== undefined || (await store.loadRange(id, seq, seq - half, seq + half));
        if (!isKnown) await page({ first: pageSize, aroundSeq: seq });
        // A message that does not exist or is hidden is in no range: show the nearest messages.
        state.set(keys.at, rangeAt(store.ranges(id), seq) ? seq : undefined);
      });
    },
    showLatest() {
      state.set(keys.at, undefined);
      release();
      ensure();
    },
    setTyping(isTyping = true) {
      if (isTyping ? Date.now() < typingUntil : typingUntil === 0) return;
      typingUntil = isTyping ? Date.now() + TYPING_EVERY : 0;
      request(SetTypingDocument, { input: { conversationId: id, isTyping } }).catch(() => {});
    },
    markRead(seq) {
      const { viewerMembership } = store.read<Conversation>(id) ?? {};
      if (seq <= Math.max(read, viewerMembership?.readSeq ?? 0)) return;
      read = seq;
      void sendMarks();
    },
    edit: (messageId, text) => change(sealed(store, id, request)(EditMessageDocument, { input: { messageId, text } })),
    delete: (messageId) => change(request(DeleteMessageDocument, { input: { messageId } })),
    async react(messageId, emoji, isAdded = true) {
      const document = (isAdded ? AddReactionDocument : RemoveReactionDocument) as typeof AddReactionDocument;
      for (const each of await emojisToSend(store, id, messageId, emoji, isAdded)) {
        await change(request(document, { input: { messageId, emoji: each } }));
      }
    },
  };
  const { subscribe } = view;
  return Object.assign(view, methods);
}
