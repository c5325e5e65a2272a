import type { Connection } from './connection.js';
import { contextOf, once } from './context.js';
import type { Parley } from './parley.js';
import { sealingOf } from './sealing.js';
import type { Readable } from './state.js';
import type { Entity } from './storage.js';
import { emojiIn, type Opened, proofOf } from './store.js';
import type { ConversationEvent, MessageEvent, Seen } from './sync.js';

interface Content {
  text: string | null;
  isDeleted: boolean;
  /** The numbers of reactions of other users, by their emoji. */
  reactions: Readonly<Record<string, number>>;
}

/** A message that the user had read, and that others changed while this device was not connected. */
export interface MissedChange {
  messageId: string;
  conversationId: string;
  seq: number;
  /** The user who wrote it. */
  senderId: string | undefined;
  /** The content that the user had read. */
  before: Content;
  after: Content;
}

/** The changes that others made to messages that the user had read, and the time up to which nothing is missing. */
export interface Changes extends Readable<readonly MissedChange[]> {
  /** Removes the changes of a conversation, or all of them, when the user has seen them. */
  dismiss(conversationId?: string): Promise<void>;
  /**
   * Every change of a message that the server had stored by this time is on this device, in milliseconds since 1970 on
   * the clock of this device. It is available without a connection, too; undefined before the first synchronization.
   */
  readonly completeUntil: Readable<number | undefined>;
  /**
   * How many messages of other users have been delivered late because this device was not connected. The number grows while
   * the page is open: compare it with what it was when the connection was lost.
   */
  readonly lateMessages: Readable<number>;
}

/** How many changes are kept; the oldest are dropped. */
const CHANGES_MAX = 200;

/** A change as it is stored. */
interface Stored extends MissedChange {
  /** The encrypted content after the change, until it is opened. The change is not shown before. */
  sealed?: string | undefined;
}

/** How old the position of a CHECKPOINT can be, in milliseconds: nodes check for changes about once a second. */
const POSITION_AGE = 3_000;
const KEY = 'changes';
const COMPLETE_KEY = 'completeUntil';
const LATE_KEY = '~late';

/** The missed changes of a client. Call it right after `createParley`, because the tab that synchronizes finds them. */
export const changesOf: (parley: Parley) => Changes = once((parley): Changes => {
  const { store, sync, isLeader } = contextOf(parley);
  const { state } = store;
  const none: readonly Stored[] = [];
  const list = () => state.get<readonly Stored[]>(KEY) ?? none;

  /** Adds the texts of encrypted edits that were opened in the meantime. */
  function reveal(): void {
    const found = list().flatMap((change): Stored[] => {
      const entity = state.get<Entity>(change.messageId);
      if (!isSealed(change) || !entity || sealedOf(entity) !== change.sealed || !isOpened(entity)) return [];
      return [{ ...change, sealed: undefined, after: { ...change.after, text: textOf(entity) } }];
    });
    if (found.length > 0) void store.commit({ set: { [KEY]: merge(list(), found) } });
  }

  /** Whether something of a change is encrypted that this tab cannot show, for example because the page was loaded again. */
  const isUnopened = (change: Stored): boolean => {
    const message = state.get<Entity>(change.messageId);
    const emojis = Object.keys({ ...change.before.reactions, ...change.after.reactions });
    return isSealed(change) || emojis.some((emoji) => emojiIn(message, emoji) === undefined);
  };

  /** Has the messages of encrypted changes opened. */
  async function open(): Promise<void> {
    const ids = list().flatMap((change) => (isUnopened(change) ? change.messageId : []));
    if (ids.length === 0) return;
    // What cannot be fetched or opened is not shown.
    await sealingOf(state)
      ?.load(ids)
      .catch(() => {});
    reveal();
  }

  state.onChange((changed) => {
    if (!isLeader()) return;
    if (changed.has('~sealing')) void open();
    else if (list().some((change) => isSealed(change) && changed.has(change.messageId))) reveal();
  });

  /** A change with the emojis that this device has opened. */
  function opened({ sealed: _, ...change }: Stored): MissedChange {
    const message = state.get<Entity>(change.messageId);
    const shown = ({ reactions, ...content }: Content): Content => {
      const counts: Record<string, number> = {};
      for (const [given, count] of Object.entries(reactions)) {
        const emoji = emojiIn(message, given);
        // The same emoji can be encrypted and, from before, in plain text.
        if (emoji !== undefined) counts[emoji] = (counts[emoji] ?? 0) + count;
      }
      return { ...content, reactions: counts };
    };
    return { ...change, before: shown(change.before), after: shown(change.after) };
  }

  /** Counts the new messages of other users among replayed events, of which a message can have several. */
  function countLate(events: readonly MessageEvent[]): void {
    const late = new Set<string>();
    for (const { type, message } of events) {
      if (message?.kind !== 'USER' || message.deletedAt || message.sender?.id === store.ownId()) continue;
      const { seq, caughtSeq = 0 } = state.get<Seen>(`seen:${message.conversation.id}`) ?? {};
      // Of an older conversation that was never loaded, only the type shows whether the message is new.
      const isNew = seq === undefined ? type === 'SENT' : message.seq > seq;
      if (isNew && message.seq > caughtSeq) late.add(message.id);
    }
    if (late.size > 0) store.share({ [LATE_KEY]: (state.get<number>(LATE_KEY) ?? 0) + late.size });
  }

  /** Last messages that a conversation event may have replaced before their own missed events arrived. */
  const replaced = new Map<string, Entity>();

  sync.listeners.push((name, received) => {
    if (name === 'conversations' && !sync.caughtUp.has('messages')) {
      for (const { conversation } of received as ConversationEvent[]) {
        const id = conversation?.lastMessage?.id ?? '';
        const read = state.get<Entity>(id);
        if (read && !replaced.has(id)) replaced.set(id, read);
      }
    }
    if (name !== 'messages') return;
    const events: MessageEvent[] = received;
    const { type } = events.at(-1) ?? {};
    const earlier = new Map(replaced);
    if (type === 'CAUGHT_UP') replaced.clear();
    if (type === 'CAUGHT_UP' || type === 'CHECKPOINT') {
      // Everything that was stored when the synchronization began has been delivered by now.
      const asked = type === 'CAUGHT_UP' ? state.get<Connection>('~connection')?.since : undefined;
      const completeUntil = (asked ?? Date.now()) - POSITION_AGE;
      // After the events have been stored.
      queueMicrotask(() => void store.commit({ set: { [COMPLETE_KEY]: completeUntil } }));
      // Those of which this tab has become the leader meanwhile, or which could not be fetched before.
      if (type === 'CAUGHT_UP') void open();
    }
    const missed = events.filter(({ replayed, messageId }) => replayed && messageId);
    if (missed.length === 0) return;
    countLate(missed);
    const own = (state.get<Entity>(state.get('me') ?? '')?.['user'] as { __ref?: string } | undefined)?.__ref;
    // The last event of a message has its current state.
    const latest = new Map(missed.map((event) => [event.messageId ?? '', event.message]));
    const known = [...latest.keys()].flatMap((id) => earlier.get(id) ?? state.get<Entity>(id) ?? []);
    // Reading begins before the events are stored, and so finds what was stored before them.
    const stored = store.storage.byId([...latest.keys()]);
    void stored.then(async (entities) => {
      const old = new Map([...entities, ...known].map((entity) => [entity.id, entity]));
      const found: Stored[] = [];
      for (const [messageId, message] of latest) {
        const read = old.get(messageId);
        if (read?.['kind'] !== 'USER' || read.conversationId === undefined) continue;
        const { __ref = '' } = (state.get<Entity>(read.conversationId)?.['viewerMembership'] ?? {}) as {
          __ref?: string;
        };
        const seq = read['seq'] as number;
        const senderId = (read['sender'] as { __ref?: string } | null)?.__ref;
        if (senderId !== own && seq > ((state.get<Entity>(__ref)?.['readSeq'] ?? 0) as number)) continue;
        const before = contentOf(read);
        const after = message ? contentOf(message) : { ...before, text: null, isDeleted: true };
        // Previews in lists have no reactions to compare with.
        if (!read['reactions']) before.reactions = after.reactions;
        // The user's own edits and deletions, on another device, are no news.
        if (senderId === own) Object.assign(after, { text: before.text, isDeleted: before.isDeleted });
        const place = { messageId, conversationId: read.conversationId, seq, senderId };
        let sealed = message ? sealedOf(message) : undefined;
        if (after.isDeleted || senderId === own) sealed = undefined;
        // Without the text that the user has read, there is nothing to compare.
        else if (sealed !== undefined && (sealed === sealedOf(read) || !isOpened(read))) {
          after.text = before.text;
          sealed = undefined;
        }
        found.push({ ...place, before, after, ...(sealed !== undefined && { sealed }) });
      }
      if (found.length === 0) return;
      await store.commit({ set: { [KEY]: merge(list(), found) } });
      await open();
    });
  });

  const derived = state.derive(() => {
    const open = list().filter((change) => !isSealed(change));
    return open.length > 0 ? open.map(opened) : none;
  });
  return Object.assign(derived, {
    completeUntil: state.derive(() => state.get<number>(COMPLETE_KEY)),
    lateMessages: state.derive(() => state.get<number>(LATE_KEY) ?? 0),
    async dismiss(conversationId?: string) {
      const rest = list().filter((change) => conversationId !== undefined && change.conversationId !== conversationId);
      await store.commitValues({ [KEY]: rest.length > 0 ? rest : undefined });
    },
  });
});

/** Adds changes to those of earlier disconnections. A message with the same content as before has no change. */
function merge(known: readonly Stored[], found: readonly Stored[]): Stored[] {
  const all = new Map(known.map((change) => [change.messageId, change]));
  for (const change of found) {
    const { before } = all.get(change.messageId) ?? change;
    all.delete(change.messageId);
    const isSame = !isSealed(change) && JSON.stringify(before) === JSON.stringify(change.after);
    if (!isSame) all.set(change.messageId, { ...change, before });
  }
  return [...all.values()].slice(-CHANGES_MAX);
}

const isSealed = ({ sealed }: Stored): boolean => sealed !== undefined;

/** The encrypted content of a message. */
const sealedOf = (message: object) => (message as { encrypted?: { content: string } | null }).encrypted?.content;

/** What was opened of an encrypted message; undefined if its current content was not. */
function openedOf(message: object): Opened['shown'] | undefined {
  const { protection } = message as { protection?: Opened };
  const isCurrent = protection?.shown && protection.proof === proofOf(message as Entity);
  return isCurrent && 'text' in protection.shown ? protection.shown : undefined;
}

const isOpened = (message: object): boolean => openedOf(message) !== undefined;

const textOf = (message: object): string | null => {
  const { text } = (sealedOf(message) === undefined ? message : (openedOf(message) ?? {})) as { text?: string | null };
  return text ?? null;
};

function contentOf(message: object): Content {
  const {
    deletedAt,
    reactions = [],
    viewerReactions,
  } = message as {
    deletedAt: string | null;
    reactions?: { emoji: string; count: number }[];
    viewerReactions: string[];
  };
  const counts = reactions
    .map(({ emoji, count }) => [emoji, count - Number(viewerReactions.includes(emoji))] as const)
    .filter(([, count]) => count > 0)
    .sort(([one], [other]) => (one < other ? -1 : 1));
  return { text: textOf(message), isDeleted: deletedAt != null, reactions: Object.fromEntries(counts) };
}
