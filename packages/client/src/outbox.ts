import { pauseUntilLive } from './connection.js';
import { isTemporary, type ParleyError, toError } from './errors.js';
import { SendMessageDocument } from './generated/documents.js';
import { retryDelay } from './pause.js';
import type { Request } from './request.js';
import { sealed, sealingOf } from './sealing.js';
import type { Store } from './store.js';

/** A message that the server has not confirmed yet. */
export interface OutboxEntry {
  clientMessageId: string;
  conversationId: string;
  text: string;
  replyToId: string | undefined;
  /** The status that it replies to: see `@parley/client/statuses`. */
  replyToStatusId?: string | undefined;
  /** Its attachments: the ids of uploads of `@parley/client/media`. */
  uploads?: readonly string[] | undefined;
  /**
   * The attachments on the server. A message with uploads is sent when all of them are uploaded; later messages do not
   * wait.
   */
  attachmentIds?: string[] | undefined;
  /** When it was written, on the clock of this device. */
  createdAt: string;
  /** The entries of a device are sent in the order of these numbers. */
  order: number;
  /** Why the server has rejected it, or why it could not be encrypted: the code of an `E2eeError`. It is kept until `retry` or `discard` is called. */
  error?:
    | {
        code: string;
        message: string;
        field?: string | undefined;
        limit?: string | undefined;
        reason?: string | undefined;
      }
    | undefined;
}

/** A unique id, also on pages that are not a secure context and lack `randomUUID`. */
export const newId = () => crypto.getRandomValues(new Uint32Array(4)).join('-');

export type Outbox = ReturnType<typeof createOutbox>;

/**
 * Messages on their way to the server. Each is stored before its first attempt, and sent with the same key until the
 * server has answered, so that it is stored once however often it is sent.
 */
export function createOutbox(store: Store, request: Request, loaded: () => Promise<void>) {
  const { state } = store;
  const busy = new Set<string>();
  /** Whether a message can be sent now. In encrypted conversations, nothing is sent that this device cannot encrypt. */
  const isReady = ({ conversationId, error, uploads, attachmentIds }: OutboxEntry) =>
    !error && (!uploads || attachmentIds) && (sealingOf(state) || !store.isEncrypted(conversationId));
  let stopWatching: (() => void) | undefined;
  let currentRun = 0;

  /**
   * Adds a message. Resolves when it is stored on this device.
   * @param more other values to set at the same time.
   */
  async function add(
    content: Pick<OutboxEntry, 'conversationId' | 'text' | 'replyToId' | 'replyToStatusId' | 'uploads'>,
    more?: Record<string, unknown>,
    clientMessageId = newId(),
  ): Promise<string> {
    // Only then the order of the entries is known.
    await loaded();
    const entry: OutboxEntry = {
      ...content,
      clientMessageId,
      createdAt: new Date().toISOString(),
      order: Math.max(Date.now(), ...entries().map(({ order }) => order + 1)),
    };
    await store.commit({ set: { ...more, [`outbox:${clientMessageId}`]: entry } });
    return clientMessageId;
  }

  /** Sends a rejected message again. */
  async function retry(clientMessageId: string): Promise<void> {
    const entry = state.get<OutboxEntry>(`outbox:${clientMessageId}`);
    if (entry) await save(clientMessageId, { ...entry, error: undefined });
  }

  /** Removes a message. A message that is being sent can still arrive. */
  function discard(clientMessageId: string): Promise<void> {
    return save(clientMessageId);
  }

  /** All entries, or those of a conversation, oldest first. */
  function entries(conversationId?: string): OutboxEntry[] {
    return store
      .list('~outbox')
      .flatMap((key) => state.get<OutboxEntry>(key) ?? [])
      .filter((entry) => conversationId === undefined || entry.conversationId === conversationId)
      .sort((one, other) => one.order - other.order);
  }

  /** Sends what is waiting, and what is added later, until `stop` is called. Of all tabs, only the leader does it. */
  function start(): void {
    stop();
    stopWatching = state.onChange((changed) => {
      if ([...changed].some((key) => key.startsWith('outbox:'))) sendAll();
    });
    sendAll();
  }

  function stop(): void {
    currentRun += 1;
    busy.clear();
    stopWatching?.();
  }

  function save(clientMessageId: string, entry?: OutboxEntry): Promise<void> {
    return store.commit({ set: { [`outbox:${clientMessageId}`]: entry } });
  }

  function sendAll(): void {
    for (const { conversationId } of entries().filter(isReady)) {
      if (!busy.has(conversationId)) void sendConversation(conversationId, currentRun);
    }
  }

  /** Sends the messages of a conversation one after another, so that their order is kept. */
  async function sendConversation(conversationId: string, run: number): Promise<void> {
    busy.add(conversationId);
    for (let failures = 0; run === currentRun; ) {
      const entry = entries(conversationId).find(isReady);
      if (!entry) break;
      const failure = await send(entry, run);
      if (run !== currentRun) return;
      failures = failure ? failures + 1 : 0;
      if (failure) await pauseUntilLive(state, failure.retryAfter ?? retryDelay(failures));
    }
    if (run === currentRun) busy.delete(conversationId);
  }

  /** Sends a message. Returns the error if it has to be sent again. */
  async function send(entry: OutboxEntry, run: number): Promise<ParleyError | undefined> {
    const { clientMessageId, conversationId, text, replyToId, replyToStatusId, attachmentIds } = entry;
    const key = `outbox:${clientMessageId}`;
    const share = (id?: string) =>
      store.share({ '~sending': { ...state.get<object>('~sending'), [conversationId]: id } });
    share(clientMessageId);
    try {
      const input = {
        clientMessageId,
        conversationId,
        text: text || undefined,
        replyToId,
        replyToStatusId,
        attachmentIds,
      };
      await store.receive(
        sealed(store, conversationId, request)(SendMessageDocument, { input }),
        ({ sendMessage }) => {
          const seq = sendMessage?.message.seq ?? 0;
          return { set: { [key]: undefined }, cover: [[conversationId, seq, seq]] };
        },
        conversationId,
      );
      return undefined;
    } catch (thrown) {
      const error = toError(thrown);
      if (isTemporary(error)) return error;
      const { code, message, field, limit, reason } = error;
      // It may have been discarded in the meantime.
      if (run === currentRun && state.get(key)) {
        await save(clientMessageId, { ...entry, error: { code, message, field, limit, reason } });
      }
      return undefined;
    } finally {
      if (run === currentRun) share();
    }
  }

  return { add, retry, discard, entries, start, stop };
}
