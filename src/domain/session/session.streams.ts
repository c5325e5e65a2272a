import { unauthenticated } from '../../core/errors.js';
import type { Deps } from '../../platform/deps.js';
import type { Connection, Viewer } from '../../platform/viewer.js';
import { type ChangeStream, openChangeStream, type StreamKind } from '../../realtime/change-stream.js';
import { sessionWatch } from './session.authentication.js';

/** The callbacks and limits of a new stream. */
interface StreamHooks {
  userId: string;
  /** The maximum number of events queued for a client that does not read. */
  queueMax: number;
  /** To be called when the stream ends because the client does not read. */
  onSlowConsumer(): void;
  /** To be called once when the stream has ended for any reason. */
  onClose(): void;
}

/** Creates a stream that ends with the viewer's session or token, and when the client disconnects. */
export async function openFor<Made extends { end(): void; fail(error: unknown): void }>(
  deps: Deps,
  viewer: Viewer,
  connection: Connection,
  make: (hooks: StreamHooks) => Promise<Made>,
): Promise<Made> {
  let opened: Made | undefined;
  let ended = false;
  const onSessionEnd = () => {
    ended = true;
    opened?.fail(sessionEnded());
  };
  const unwatch = connection.renew
    ? () => {}
    : sessionWatch.of(deps).watch(viewer.sessionId, viewer.expiresAt, onSessionEnd);
  try {
    opened = await make({
      userId: viewer.userId,
      queueMax: deps.config.streamQueueMax,
      onSlowConsumer: () => connection.onSlowConsumer?.(),
      onClose: unwatch,
    });
  } catch (error) {
    unwatch();
    throw error;
  }
  // The session may have ended while the stream was created, and the client may have disconnected.
  if (ended) opened.fail(sessionEnded());
  const made = opened;
  if (connection.signal?.aborted) made.end();
  connection.signal?.addEventListener('abort', () => made.end(), { once: true });
  return made;
}

const sessionEnded = () => unauthenticated('The session has ended, or its token has expired.');

/**
 * Opens a durable stream of the viewer's personal log. It ends like the streams of `openFor`, and when the client does
 * not read.
 * @throws {ChatError} BAD_USER_INPUT or CURSOR_EXPIRED of `after`.
 */
export function openPersonalStream<Event>(
  deps: Deps,
  viewer: Viewer,
  connection: Connection,
  which: { kind: StreamKind<Event>; after: string | null | undefined },
): Promise<ChangeStream<Event>> {
  const { feed, database } = deps;
  const { userId: conversationId } = viewer;
  return openFor(deps, viewer, connection, (hooks) =>
    openChangeStream<Event>({ ...hooks, ...which, conversationId, feed, generation: database.generation }),
  );
}
