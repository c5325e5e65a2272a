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

/** What others changed in messages that the user had read. */
export interface Changes extends Readable<readonly MissedChange[]> {
  /** Removes the changes of a conversation, or all of them, when the user has seen them. */
  dismiss(conversationId?: string): Promise<void>;
}

/** How many changes are kept; the oldest are dropped. */
const CHANGES_MAX = 200;
const KEY = 'changes';

/** The missed changes of a client. Call it right after `createParley`, because the tab that synchronizes finds them. */
export const changesOf: (parley: Parley) => Changes = once((parley): Changes => {
  const { store, sync } = contextOf(parley);
  const { state } = store;
  const none: readonly MissedChange[] = [];
  const list = () => state.get<readonly MissedChange[]>(KEY) ?? none;

  sync.onMissed((events) => {
    const own = (state.get<Entity>(state.get('me') ?? '')?.['user'] as { __ref?: string } | undefined)?.__ref;
    // The last event of a message has its current state.
    const latest = new Map(events.map((event) => [event.messageId ?? '', event.message]));
    const known = [...latest.keys()].flatMap((id) => state.get<Entity>(id) ?? []);
    // Reading begins before the events are stored, and so finds what was stored before them.
    const stored = store.storage.byId([...latest.keys()].filter((id) => id !== ''));
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
