import { onLive } from './connection.js';
import { contextOf, once } from './context.js';
import { isTemporary, toError } from './errors.js';
import { SaveDraftDocument } from './generated/documents.js';
import type { Parley } from './parley.js';
import type { Readable } from './state.js';
import type { Entity } from './storage.js';
import { followViewerChanges } from './viewer-changes.js';

/** What the viewer has begun to write in a conversation. */
export interface Draft {
  text: string;
  replyToId: string | undefined;
}

/** Drafts, which are the same on all devices of the viewer. */
export interface Drafts {
  /** The draft of a conversation; undefined if there is none. */
  of(conversationId: string): Readable<Draft | undefined>;
  /**
   * Replaces the draft of a conversation; an empty text without `replyToId` removes it. It is stored on this device at once
   * and sent after a pause of a second, also after a page reload or a time offline. Resolves when it is stored here. In
   * encrypted conversations, drafts are not sent: they remain on this device.
   */
  save(conversationId: string, text: string, replyToId?: string): Promise<void>;
}

/** The prefix of the keys of drafts that were not sent. What begins with `outbox` survives a new snapshot. */
const HERE = 'outbox-draft:';
/** After how many milliseconds without a further change a draft is sent. */
const PAUSE = 1_000;

/**
 * The drafts of a client; calls with the same client return the same object. Changes of the viewer's settings on other
 * devices are then shown as well. Call it right after `createParley` on every page of an application, because the tab
 * that synchronizes must include them.
 */
export const draftsOf: (parley: Parley) => Drafts = once((parley): Drafts => {
  const { store, request } = contextOf(parley);
  const { state } = store;
  const localKey = (id: string) => `${HERE}${id}`;
  const timers = new Map<string, ReturnType<typeof setTimeout>>();
  const readables = new Map<string, Readable<Draft | undefined>>();

  followViewerChanges(parley);

  async function send(id: string): Promise<void> {
    const draft = state.get<Draft>(localKey(id));
    if (!draft) return;
    // The server accepts no text in an encrypted conversation: there, a draft remains on this device.
    const isLocal = draft.text !== '' && store.isEncrypted(id);
    if (isLocal && !state.get(`draft:${id}`)) return;
    const input = isLocal ? { conversationId: id, text: '' } : { conversationId: id, ...draft };
    try {
      await store.receive(request(SaveDraftDocument, { input }), ({ saveDraft }, put) => {
        const old = state.get<string>(`draft:${id}`);
        // It can have been changed in the meantime.
        const set: Record<string, unknown> =
          !isLocal && state.get(localKey(id)) === draft ? { [localKey(id)]: undefined } : {};
        if (saveDraft?.draft) set[`draft:${id}`] = saveDraft.draft.id;
        else if (isLocal) set[`draft:${id}`] = undefined;
        return { set, ...(put.length === 0 && old && { remove: [old] }) };
      });
    } catch (error) {
      // It is sent again when the connection is live. A draft that the server rejects is kept on this device.
      if (toError(error).code === 'RATE_LIMITED') sendLater(id, toError(error).retryAfter);
      else if (!isTemporary(toError(error))) rejected.add(id);
    }
  }
  const rejected = new Set<string>();

  function sendLater(id: string, delay = PAUSE): void {
    clearTimeout(timers.get(id));
    timers.set(
      id,
      setTimeout(() => void send(id), delay),
    );
  }

  onLive(state, () => {
    for (const key of state.keys()) {
      const [, id] = new RegExp(`^${HERE}(.+)`).exec(key) ?? [];
      if (id && !rejected.has(id)) sendLater(id);
    }
  });

  function draftOf(id: string): Draft | undefined {
    const here = state.get<Draft>(localKey(id));
    if (here) return here.text === '' && !here.replyToId ? undefined : here;
    const draft = state.get<Entity & { text: string; replyTo?: { __ref: string } | null }>(
      state.get(`draft:${id}`) ?? '',
    );
    return draft && { text: draft.text, replyToId: draft.replyTo?.__ref };
  }

  return {
    of(id) {
      let readable = readables.get(id);
      if (!readable) {
        readable = state.derive(() => draftOf(id));
        readables.set(id, readable);
      }
      return readable;
    },
    async save(id, text, replyToId) {
      const before = draftOf(id);
      if ((before?.text ?? '') === text && before?.replyToId === replyToId) return;
      rejected.delete(id);
      sendLater(id);
      const change = { set: { [localKey(id)]: { text, replyToId } satisfies Draft } };
      // Without the epoch, which `commit` reads first: what was written then is kept even if the page is closed right
      // now.
      const written = store.storage.write(change);
      store.apply(change);
      store.onCommit(change, false);
      await written.catch(() => store.commit(change));
    },
  };
});
