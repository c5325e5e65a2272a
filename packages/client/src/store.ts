import { cover, type Range, rangeAt } from './ranges.js';
import { createState } from './state.js';
import { type Change, type Entity, Fenced, merge, noStorage, remainsAfterReset } from './storage.js';

interface Ref {
  __ref: string;
}

/** The changes of a response in addition to the objects that it contains; `put` replaces those. */
type More<Data> = (data: Data, found: Entity[]) => Change;

/**
 * Whether the content of a message is what its sender has encrypted:
 * - `protected`: this device has opened and verified it.
 * - `opening`: it is being opened, or waits for the keys or for the connection.
 * - an `error`: the code of an `E2eeError` of `@parley/e2ee`. The content is not shown.
 */
export type Protection = 'protected' | 'opening' | { readonly error: string };

/** The reactions to a message with the same emoji. */
export interface Reaction {
  /** The replacement character `\uFFFD` if the emoji cannot be opened. */
  emoji: string;
  count: number;
  /** Of an encrypted message: whether the emoji is. One that is not comes from before the encryption, or from the server. */
  protection?: Protection | undefined;
}

/** Where a message is in its conversation. */
export interface Place {
  seq: number;
  id: string;
}

/** The prefix of the marks of encrypted conversations. What begins with `outbox` survives a new snapshot. */
const MARK = 'outbox-encrypted:';

/** What `@parley/client/encryption` stores as the `protection` of a message that it has opened. */
export interface Opened {
  /** The `proofOf` the message as it was opened. With another one, it has to be opened again. */
  proof: string;
  /** The fields that replace those of the server. */
  shown: Record<string, unknown>;
  /** The emojis of reactions by what the server has of them; `UNREADABLE` for those that cannot be opened. */
  emojis?: Readonly<Record<string, string>> | undefined;
}

/** Stands for an emoji that cannot be opened. */
export const UNREADABLE = '\uFFFD';

/** Whether the emoji of a reaction is encrypted. */
export const isSealedEmoji = (emoji: string): boolean => /^[\w-]{84}$/.test(emoji);

/** The emoji of a reaction to a message as it is shown; undefined if it has not been opened. */
export const emojiIn = (message: Entity | undefined, emoji: string): string | undefined =>
  isSealedEmoji(emoji) ? (message?.['protection'] as Opened | undefined)?.emojis?.[emoji] : emoji;

/** The reactions to an encrypted message as they are shown. The same emoji can be encrypted and, from before, in plain text. */
function shownReactions(message: Entity): object {
  const { reactions, viewerReactions } = message as Entity & { reactions?: Reaction[]; viewerReactions?: string[] };
  const groups = new Map<string, Reaction>();
  for (const { emoji: given, count } of reactions ?? []) {
    const emoji = emojiIn(message, given);
    if (!emoji) continue;
    const group = groups.get(emoji) ?? { emoji, count: 0, protection: 'protected' };
    group.count += count;
    if (emoji === given) group.protection = undefined;
    if (emoji === UNREADABLE) group.protection = { error: 'TAMPERED' };
    groups.set(emoji, group);
  }
  const own = viewerReactions?.flatMap((emoji) => emojiIn(message, emoji) ?? []);
  return { reactions: reactions && [...groups.values()], viewerReactions: own && [...new Set(own)] };
}

/** Everything of a message that is verified when it is opened. */
export const proofOf = ({ encrypted, conversationId, clientMessageId, sender, replyTo, editedAt }: Entity): string =>
  JSON.stringify([encrypted, conversationId, clientMessageId, sender, replyTo, editedAt]);

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
/** Whether all fields of a message are known. Previews and quotes lack some of them. */
const isMessage = ({ __typename, replyCount }: Entity) => __typename === 'Message' && replyCount !== undefined;

/** How many messages of a conversation are kept in memory, and how many remain when there are more. */
const KEPT_MAX = 2_000;
const KEPT_MIN = 1_000;

/**
 * Splits a response into objects with an id, in which other such objects are replaced by references. A field
 * `conversation` becomes `conversationId`, so that objects do not contain each other in cycles.
 */
export function normalize(data: unknown, conversationId?: string): Entity[] {
  const found: Entity[] = [];
  const visit = (value: unknown, context: string | undefined): unknown => {
    if (Array.isArray(value)) return value.map((item) => visit(item, context));
    if (!isObject(value)) return value;
    const { conversation } = value as { conversation?: { id?: string } | null };
    const inside = conversation?.id ?? (value['__typename'] === 'Conversation' ? (value['id'] as string) : context);
    const result: Record<string, unknown> = {};
    for (const [field, content] of Object.entries(value)) {
      // Only this device states what is protected.
      if (field === 'protection') continue;
      const visited = visit(content, inside);
      if (field !== 'conversation') result[field] = visited;
      else if (conversation?.id !== undefined) result['conversationId'] = conversation.id;
    }
    if (value['encrypted'] === null) result['protection'] = undefined;
    if (typeof value['id'] !== 'string' || typeof value['__typename'] !== 'string') return result;
    if (value['__typename'] === 'Message' && inside !== undefined) result['conversationId'] = inside;
    found.push(result as Entity);
    return { __ref: value['id'] } satisfies Ref;
  };
  visit(data, conversationId);
  return found;
}

export type Store = ReturnType<typeof createStore>;

/** The data of one user: objects of the API by their ids, and other values by key. */
export function createStore() {
  const state = createState();
  /** Conversations whose older messages are displayed: all of their messages are kept in memory. */
  const held = new Set<string>();
  const readers = new Map<string, () => unknown>();
  /** The conversations that have ever been encrypted. They are not part of the state, whose keys the server can choose. */
  const marked = new Set<string>();
  /** Whether a conversation is encrypted, or was on this device. Texts must not be sent there. */
  const isEncrypted = (conversationId: string) => marked.has(MARK + conversationId);
  /** When a stream last changed an object, or removed the messages of a conversation, on the clock of `now`. */
  const changedAt = new Map<string, number>();
  let clock = 0;
  let resetAt = 0;

  /** The current time of a logical clock: see `commit`. */
  function now(): number {
    return clock;
  }

  /** Loads what is stored. */
  async function load(): Promise<void> {
    const { values, entities } = await store.storage.load();
    const set: Record<string, unknown> = {};
    for (const [key, value] of values) if (!key.startsWith('ranges:')) set[key] = value;
    // The stored presence is out of date.
    const put = entities.map(({ presence: _, ...entity }) => entity as Entity);
    apply({ put, set }, true);
    const last = put.flatMap(({ lastMessage }) => (lastMessage ? [(lastMessage as Ref).__ref] : []));
    await loadMessages(last);
  }

  /**
   * Applies a change to the memory of this and all other tabs at once. Resolves when it is stored, or when it is clear
   * that it cannot be stored.
   * @param since what `now` returned before the request whose response this is. Fields of objects that a stream has
   *   changed since then are kept, because the response may be older.
   */
  function commit(change: Change, since?: number): Promise<void> {
    const set = { ...change.set };
    let checked: Change = { ...change, set };
    if (since !== undefined) {
      const isOlderThan = (key: string) => (changedAt.get(key) ?? 0) > since;
      const isDropped = (conversationId: string | undefined) =>
        since < resetAt || isOlderThan(`ranges:${conversationId}`);
      checked = {
        ...checked,
        put: change.put
          ?.filter(({ conversationId }) => !isDropped(conversationId))
          .map((entity) => (isOlderThan(entity.id) ? { ...entity, ...state.get<Entity>(entity.id) } : entity)),
        cover: change.cover?.filter(([id]) => !isDropped(id)),
      };
    }
    // That a conversation is encrypted remains known whatever the server states later.
    for (const { id, conversationId = id, encryption, encrypted } of checked.put ?? []) {
      if ((encrypted || encryption === 'END_TO_END') && !isEncrypted(conversationId)) set[MARK + conversationId] = true;
    }
    // The transaction begins before other tabs receive the change: a tab that loads the data misses neither.
    const written = write(checked, store.epoch);
    publish(checked, since !== undefined);
    return written;
  }

  /**
   * Commits the response of a request.
   * @param conversationId the conversation to which messages in the response belong that do not name it.
   */
  async function receive<Data>(response: Promise<Data>, more?: More<Data>, conversationId?: string): Promise<Data> {
    const since = clock;
    const data = await response;
    const put = normalize(data, conversationId);
    await commit({ put, ...more?.(data, put) }, since);
    return data;
  }

  /** Stores values before they become visible, so that what is displayed survives a page reload. Any tab may do so. */
  async function commitValues(set: Record<string, unknown>, put?: Entity[]): Promise<void> {
    await write({ set, put });
    publish({ set, put }, true);
  }

  /** Applies a change to the memory of all tabs. */
  function publish(change: Change, isResponse: boolean): void {
    apply(change, isResponse);
    store.onCommit(change, isResponse);
  }

  async function write(change: Change, epoch?: number): Promise<void> {
    const { storage } = store;
    try {
      await storage.write(change, epoch);
    } catch (error) {
      if (error instanceof Fenced) return store.onFenced();
      if (storage === noStorage) return;
      // For example because the disk is full. Later changes without this one would leave a gap, so the client continues
      // without the storage, and the stored data is removed.
      store.storage = noStorage;
      storage.write({ reset: 'data' }).catch(() => {});
    }
  }

  /** Applies a change to the memory of this tab. */
  function apply(
    { reset, remove = [], forget = [], put = [], set = {}, cover: covered = [] }: Change,
    isResponse = false,
  ): void {
    clock += 1;
    if (reset) {
      resetAt = clock;
      readers.clear();
      for (const key of [...state.keys()]) {
        if (!remainsAfterReset(key, reset)) state.set(key, undefined);
      }
      state.set('~conversations', undefined);
      if (reset === 'all') state.set('~outbox', undefined);
    }
    for (const id of remove) removeEntity(id);
    for (const id of forget) {
      for (const place of places(id)) forgetEntity(place.id);
      state.set(`places:${id}`, undefined);
      state.set(`ranges:${id}`, undefined);
      changedAt.set(`ranges:${id}`, clock);
    }
    for (const entity of put) {
      if (!isResponse) changedAt.set(entity.id, clock);
      putEntity(entity);
    }
    for (const [key, value] of Object.entries(set)) {
      state.set(key, value);
      if (key.startsWith(MARK)) marked.add(key);
      if (key.startsWith('outbox:')) setInList('~outbox', key, value !== undefined);
    }
    for (const [id, from, to] of covered) {
      state.set(`ranges:${id}`, cover(ranges(id), from, to));
    }
    for (const id of new Set(put.map(({ conversationId = '' }) => conversationId))) trim(id);
  }

  /** Removes the oldest messages of a conversation from memory if there are many and nobody displays them. */
  function trim(conversationId: string): void {
    const known = places(conversationId);
    if (known.length <= KEPT_MAX || held.has(conversationId)) return;
    const kept = known.slice(-KEPT_MIN);
    const from = kept[0]?.seq ?? 0;
    const quoted = new Set(kept.map(({ id }) => (state.get<Entity>(id)?.['replyTo'] as Ref | null)?.__ref));
    for (const { id } of known.slice(0, -KEPT_MIN)) if (!quoted.has(id)) forgetEntity(id);
    state.set(`places:${conversationId}`, kept);
    const covered = ranges(conversationId).filter(([, to]) => to >= from);
    state.set(
      `ranges:${conversationId}`,
      covered.map(([start, to]) => [Math.max(start, from), to] as const),
    );
  }

  /** Sets values that are not stored, in this tab and in all others. */
  function share(set: Record<`~${string}`, unknown>): void {
    publish({ set }, true);
  }

  /** The ranges of a conversation of which all messages are in memory. */
  function ranges(conversationId: string): readonly Range[] {
    return state.get(`ranges:${conversationId}`) ?? [];
  }

  /** The messages of a conversation that are in memory, by `seq`. */
  function places(conversationId: string): readonly Place[] {
    return state.get(`places:${conversationId}`) ?? [];
  }

  /** The keys or ids of a list: `~outbox` or `~conversations`. */
  function list(name: '~outbox' | '~conversations'): readonly string[] {
    return state.get(name) ?? [];
  }

  /**
   * Loads stored messages from `from` to `to` into memory, as far as all messages around `seq` are stored. Returns false
   * if that message is not stored.
   */
  async function loadRange(conversationId: string, seq: number, from: number, to: number): Promise<boolean> {
    const before = clock;
    const { found, ranges: stored } = await store.storage.messages(conversationId, from, to);
    const range = rangeAt(stored, seq);
    if (!range) return false;
    await loadMessages(found.flatMap(({ replyTo }) => (replyTo ? [(replyTo as Ref).__ref] : [])));
    // The messages have been removed in the meantime.
    if (before < Math.max(resetAt, changedAt.get(`ranges:${conversationId}`) ?? 0)) return false;
    const [start, end] = [Math.max(range[0], from), Math.min(range[1], to)];
    // What is in memory is newer than what is being stored.
    const put = found.map((entity) => {
      const known = state.get<Entity>(entity.id);
      return known && isMessage(known) ? known : entity;
    });
    apply({ put, cover: [[conversationId, start, end]] }, true);
    return true;
  }

  /**
   * An object with the objects that it refers to. It remains the same as long as none of them changes. A message that
   * another one replies to comes without the message to which it replies itself.
   */
  function read<T>(id: string | null | undefined): T | undefined {
    if (!id) return undefined;
    let reader = readers.get(id);
    if (!reader) {
      reader = state.cached(() => resolve(state.get<Entity>(id)));
      readers.set(id, reader);
    }
    return reader() as T | undefined;
  }

  async function loadMessages(ids: readonly string[]): Promise<void> {
    const missing = ids.filter((id) => state.get(id) === undefined);
    if (missing.length === 0) return;
    const put = await store.storage.byId(missing);
    apply({ put: put.filter(({ id }) => state.get(id) === undefined) }, true);
  }

  function resolve(value: unknown, isQuoted = false): unknown {
    if (Array.isArray(value)) return value.map((item) => resolve(item));
    if (!isObject(value)) return value;
    if (typeof value['__ref'] === 'string') {
      return isQuoted ? resolve(state.get(value['__ref']), true) : read(value['__ref']);
    }
    const result: Record<string, unknown> = {};
    for (const [field, content] of Object.entries(value)) {
      if (field !== 'replyTo') result[field] = resolve(content);
      else if (!isQuoted) result[field] = resolve(content, true) ?? null;
    }
    const { encrypted, protection } = value as unknown as Entity & { protection?: Opened };
    if (!encrypted) return result;
    const shown = protection?.proof === proofOf(value as Entity) && protection.shown;
    // A text that the server sends with encrypted content is not that of the sender.
    const reactions = shownReactions(value as Entity);
    return { ...result, ...reactions, text: null, attachments: [], protection: 'opening', ...shown };
  }

  function putEntity(entity: Entity): void {
    const { id } = entity;
    const old = state.get<Entity>(id);
    const merged = merge(old, entity);
    // An equal object is not replaced, so that nothing is displayed again.
    if (!old || JSON.stringify(old) !== JSON.stringify(merged)) state.set(id, merged);
    const { conversationId } = merged;
    if (merged.__typename === 'Conversation' && !old) setInList('~conversations', id, true);
    if (!isMessage(merged) || conversationId === undefined) return;
    const place = { seq: merged['seq'] as number, id };
    // A server could otherwise show a message in several places.
    if (old && (old.conversationId !== conversationId || old['seq'] !== place.seq)) removePlace(old);
    const known = places(conversationId);
    const index = known.findLastIndex((each) => each.seq < place.seq || each.id === id);
    if (known[index]?.id !== id) state.set(`places:${conversationId}`, known.toSpliced(index + 1, 0, place));
  }

  function forgetEntity(id: string): void {
    readers.delete(id);
    state.set(id, undefined);
  }

  function removeEntity(id: string): void {
    const entity = state.get<Entity>(id);
    forgetEntity(id);
    if (!entity) return;
    if (entity.__typename === 'Conversation') setInList('~conversations', id, false);
    if (entity.__typename === 'Message') removePlace(entity);
  }

  function removePlace({ id, conversationId = '' }: Entity): void {
    const known = places(conversationId);
    const others = known.filter((place) => place.id !== id);
    if (others.length < known.length) state.set(`places:${conversationId}`, others);
  }

  function setInList(name: '~outbox' | '~conversations', key: string, isIn: boolean): void {
    const others = list(name).filter((each) => each !== key);
    state.set(name, isIn ? [...others, key] : others);
  }

  /** The id of the user who is signed in. */
  function ownId(): string | undefined {
    return state.get<{ user?: Ref }>(state.get('me') ?? '')?.user?.__ref;
  }

  const store = {
    state,
    held,
    storage: noStorage,
    /** While this tab is the leader, its epoch: writes fail if another tab has begun a later one. */
    epoch: undefined as number | undefined,
    /** Called when a write has failed because another tab has become the leader. */
    onFenced() {},
    /** Called with each change that is committed here, to send it to the other tabs. */
    onCommit(_change: Change, _isResponse: boolean) {},
    ...{
      now,
      load,
      commit,
      receive,
      commitValues,
      apply,
      trim,
      share,
      ranges,
      places,
      list,
      loadRange,
      read,
      ownId,
      isEncrypted,
    },
  };
  return store;
}
