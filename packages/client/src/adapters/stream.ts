import { contextOf } from '../context.js';
import { isTemporary, ParleyError } from '../errors.js';
import type { Result } from '../http.js';
import type { Parley } from '../parley.js';
import { pause, retryDelay } from '../pause.js';
import type { Sink } from '../socket.js';

/** How the adapters use a client. */
export interface AdapterOptions {
  /**
   * Called when a stream could not resume because too much was missed (`CURSOR_EXPIRED`). The stream continues with new
   * events: fetch again what the application shows, from the server and not from a cache. Everything that was missed is
   * in these responses.
   */
  onExpired?: (() => void) | undefined;
}

/** The fields of an event that identify what it changed, as far as the document selects them. */
interface StreamEvent {
  cursor?: string;
  changeSeq?: number | null;
  conversationId?: string | null;
  conversation?: { id?: string } | null;
  membership?: { id?: string } | null;
  messageId?: string | null;
  message?: { id?: string; conversation?: { id?: string } } | null;
}

/** Streams whose changes are all numbered together. */
const personalStreams = ['contacts', 'viewerChanges'];

/** The object whose changes the `changeSeq` of an event numbers; undefined if the document does not select it. */
function numberedBy(field: string, event: StreamEvent): string | undefined {
  if (personalStreams.includes(field)) return field;
  if (field === 'receipts') return event.membership?.id;
  const { message, conversation } = event;
  return message?.conversation?.id ?? event.conversationId ?? conversation?.id ?? event.messageId ?? message?.id;
}

/**
 * Subscribes. A durable stream, which is one with the variable `$after` that selects `cursor`, resumes after every
 * failure from its last cursor, and delivers no change again (which needs `changeSeq`, and the id of the message or the
 * conversation). Only errors after which retrying cannot help are reported.
 * @returns a function that ends the subscription.
 */
export function followStream(
  parley: Parley,
  document: string,
  given: Record<string, unknown>,
  sink: Sink<Record<string, unknown>>,
  { onExpired }: AdapterOptions,
): () => void {
  const { session, socket } = contextOf(parley);
  const isDurable = /\$after\b/.test(document);
  // The socket sends the current values after each reconnect.
  const variables = { ...given };
  const last = new Map<string, number>();
  let failures = 0;
  let isExpired = false;
  let isStopped = false;
  let stop = () => {};

  /** Whether an event is not a repetition. */
  function take([field, event]: [string, StreamEvent | null]): boolean {
    if (event?.cursor) variables['after'] = event.cursor;
    const key = event?.changeSeq == null ? undefined : numberedBy(field, event);
    if (key === undefined) return true;
    const isNew = (event?.changeSeq ?? 0) > (last.get(key) ?? 0);
    if (isNew) last.set(key, event?.changeSeq ?? 0);
    return isNew;
  }

  function subscribe(): void {
    stop = parley.subscribe<Record<string, unknown>>(document, variables, {
      next(data) {
        failures = 0;
        const isNew = Object.entries(data).filter((entry) => take(entry as [string, StreamEvent])).length > 0;
        if (isNew) sink.next(data);
        // The first event of a stream without a cursor means that every later change is delivered.
        if (isExpired) onExpired?.();
        isExpired = false;
      },
      error: (error) => void recover(error),
      complete() {
        if (isDurable) void recover();
        else sink.complete?.();
      },
    });
  }

  async function recover(error?: ParleyError): Promise<void> {
    if (error?.code === 'CURSOR_EXPIRED') {
      variables['after'] = undefined;
      last.clear();
      isExpired = true;
    } else if (error?.code === 'UNAUTHENTICATED') {
      const isSignedIn = await session.renew(session.accessToken()).catch(() => true);
      if (!isSignedIn) return sink.error?.(error);
      socket.reconnect();
    } else if (error && !isTemporary(error)) {
      return sink.error?.(error);
    }
    await pause(Math.max(retryDelay(failures), error?.retryAfter ?? 0));
    failures += 1;
    if (!isStopped) subscribe();
  }

  subscribe();
  return () => {
    isStopped = true;
    stop();
  };
}

/**
 * Executes a query or a mutation. An expired token is renewed once, for all requests and tabs.
 * @returns the response, also if it has errors.
 * @throws ParleyError if there is none.
 */
export async function execute(parley: Parley, document: string, variables: Record<string, unknown>): Promise<Result> {
  try {
    return { data: await parley.request(document, variables) };
  } catch (error) {
    if (error instanceof ParleyError && error.errors.length > 0) return { data: error.data, errors: error.errors };
    throw error;
  }
}
