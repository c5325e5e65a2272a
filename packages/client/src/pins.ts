import { contextOf, once } from './context.js';
import { PinMessageDocument, PinnedDocument, UnpinMessageDocument } from './generated/documents.js';
import type { PinnedFieldsFragment } from './generated/types.js';
import type { Parley } from './parley.js';
import type { Readable } from './state.js';
import type { Entity } from './storage.js';
import { normalize } from './store.js';

/** A pinned message, with what a list of them shows. */
export type PinnedMessage = PinnedFieldsFragment;

/** The pinned messages of conversations. */
export interface Pins {
  /** The pinned messages of a conversation that are known, most recently pinned first. Changes keep them current. */
  of(conversationId: string): Readable<readonly PinnedMessage[]>;
  /** Loads all pinned messages of a conversation. Call it when the conversation is opened, and after a time offline. */
  load(conversationId: string): Promise<void>;
  /** Pins a message of a conversation, or unpins it. Resolves when the server has confirmed it; rejects with its error. */
  set(conversationId: string, messageId: string, isPinned?: boolean): Promise<void>;
}

/** The pinned messages of a client; calls with the same client return the same object. */
export const pinsOf: (parley: Parley) => Pins = once((parley): Pins => {
  const { store, request } = contextOf(parley);
  const { state } = store;
  const readables = new Map<string, Readable<readonly PinnedMessage[]>>();
  const keyOf = (id: string) => `~pins:${id}` as const;
  const known = (id: string) => state.get<string[]>(keyOf(id)) ?? [];

  function pinsIn(id: string): PinnedMessage[] {
    const ids = new Set([...known(id), ...store.places(id).map((place) => place.id)]);
    return [...ids]
      .filter((messageId) => state.get<Entity>(messageId)?.['pinnedAt'] != null)
      .flatMap((messageId) => store.read<PinnedMessage>(messageId) ?? [])
      .sort((one, other) => ((one.pinnedAt ?? '') < (other.pinnedAt ?? '') ? 1 : -1));
  }

  return {
    of(id) {
      let readable = readables.get(id);
      if (!readable) {
        let last: PinnedMessage[] = [];
        readable = state.derive(() => {
          const next = pinsIn(id);
          if (next.length !== last.length || next.some((each, index) => each !== last[index])) last = next;
          return last;
        });
        readables.set(id, readable);
      }
      return readable;
    },
    async load(id) {
      const { conversation } = await store.receive(request(PinnedDocument, { id }), (data) => ({
        put: normalize(data.conversation?.pinnedMessages, id),
      }));
      store.share({ [keyOf(id)]: (conversation?.pinnedMessages ?? []).map((message) => message.id) });
    },
    async set(id, messageId, isPinned = true) {
      const document = isPinned ? PinMessageDocument : (UnpinMessageDocument as unknown as typeof PinMessageDocument);
      await store.receive(request(document, { input: { messageId } }), undefined, id);
      store.share({ [keyOf(id)]: [...new Set([...known(id), messageId])] });
    },
  };
});
