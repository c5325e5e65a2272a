import type { Connection } from './connection.js';
import { contextOf, once } from './context.js';
import type { Parley } from './parley.js';
import type { Readable } from './state.js';
import type { Entity } from './storage.js';

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
  /** What the user had read. */
  before: Content;
  after: Content;
}

/** What others changed in messages that the user had read, and up to when nothing is missing. */
export interface Changes extends Readable<readonly MissedChange[]> {
  /** Removes the changes of a conversation, or all of them, when the user has seen them. */
  dismiss(conversationId?: string): Promise<void>;
  /**
   * Every change of a message that the server had stored by this time is on this device, in milliseconds since 1970 on the
   * clock of this device. It is known without a connection, too; undefined before the first synchronization.
   */
  readonly completeUntil: Readable<number | undefined>;
}

/** How many changes are kept; the oldest are dropped. */
const CHANGES_MAX = 200;
/** How old the position of a CHECKPOINT can be, in milliseconds: nodes look for changes about once a second. */
const POSITION_AGE = 3_000;
const KEY = 'changes';
const COMPLETE_KEY = 'completeUntil';

/** The missed changes of a client. Call it right after `createParley`, because the tab that synchronizes finds them. */
export const changesOf: (parley: Parley) => Changes = once((parley): Changes => {
  const { store, sync } = contextOf(parley);
  const { state } = store;
  const none: readonly MissedChange[] = [];
  const list = () => state.get<readonly MissedChange[]>(KEY) ?? none;

  sync.listeners.push((name, events) => {
    if (name !== 'messages') return;
    const { type } = events.at(-1) ?? {};
    if (type === 'CAUGHT_UP' || type === 'CHECKPOINT') {
      // What was stored when the server was asked has been delivered by now: that was when the synchronization began.
      const asked = type === 'CAUGHT_UP' ? state.get<Connection>('~connection')?.since : undefined;
      const completeUntil = (asked ?? Date.now()) - POSITION_AGE;
      // After the events have been stored.
      queueMicrotask(() => void store.commit({ set: { [COMPLETE_KEY]: completeUntil } }));
    }
    const missed = events.filter(({ replayed, messageId }) => replayed && messageId);
    if (missed.length === 0) return;
    const own = (state.get<Entity>(state.get('me') ?? '')?.['user'] as { __ref?: string } | undefined)?.__ref;
    // The last event of a message has its current state.
    const latest = new Map(missed.map((event) => [event.messageId ?? '', event.message]));
    const known = [...latest.keys()].flatMap((id) => state.get<Entity>(id) ?? []);
    // Reading begins before the events are stored, and so finds what was stored before them.
    const stored = store.storage.byId([...latest.keys()]);
    void stored.then(async (entities) => {
      const old = new Map([...entities, ...known].map((entity) => [entity.id, entity]));
      const found: MissedChange[] = [];
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
        // The user's own edits and deletions, on another device, are no news.
        if (senderId === own) Object.assign(after, { text: before.text, isDeleted: before.isDeleted });
        found.push({ messageId, conversationId: read.conversationId, seq, senderId, before, after });
      }
      if (found.length > 0) await store.commit({ set: { [KEY]: merge(list(), found) } });
    });
  });

  return Object.assign(state.derive(list), {
    completeUntil: state.derive(() => state.get<number>(COMPLETE_KEY)),
    async dismiss(conversationId?: string) {
      const rest = list().filter((change) => conversationId !== undefined && change.conversationId !== conversationId);
      await store.commitValues({ [KEY]: rest.length > 0 ? rest : undefined });
    },
  });
});

/** Adds changes to those of earlier disconnections. What is as it was before is none. */
function merge(known: readonly MissedChange[], found: readonly MissedChange[]): MissedChange[] {
  const all = new Map(known.map((change) => [change.messageId, change]));
  for (const change of found) {
    const { before } = all.get(change.messageId) ?? change;
    all.delete(change.messageId);
    if (JSON.stringify(before) !== JSON.stringify(change.after)) all.set(change.messageId, { ...change, before });
  }
  return [...all.values()].slice(-CHANGES_MAX);
}

function contentOf(message: object): Content {
  const { text, deletedAt, reactions, viewerReactions } = message as {
    text: string | null;
    deletedAt: string | null;
    reactions: { emoji: string; count: number }[];
    viewerReactions: string[];
  };
  const counts = reactions
    .map(({ emoji, count }) => [emoji, count - Number(viewerReactions.includes(emoji))] as const)
    .filter(([, count]) => count > 0)
    .sort(([one], [other]) => (one < other ? -1 : 1));
  return { text, isDeleted: deletedAt != null, reactions: Object.fromEntries(counts) };
}
