import { unauthenticated } from '../core/errors.js';
import { type ChangeStream, openChangeStream, type StreamKind } from '../realtime/change-stream.js';
import type { Connection, Deps, Viewer } from './deps.js';

/**
 * A durable stream for the viewer: of one conversation (which the caller has authorized) or of all of theirs. It ends
 * with the viewer's session or token, when they leave the conversation, when the client goes, and when it does not
 * read.
 * @throws {ChatError} BAD_USER_INPUT or CURSOR_EXPIRED of `after`.
 */
export async function openStream<Event>(
  { config, database, feed, sessionWatch }: Deps,
  viewer: Viewer,
  connection: Connection,
  stream: { kind: StreamKind<Event>; conversationId: string | null; after: string | null | undefined },
): Promise<ChangeStream<Event>> {
  let opened: ChangeStream<Event> | undefined;
  let ended = false;
  const onSessionEnd = () => {
    ended = true;
    opened?.fail(sessionEnded());
  };
  const unwatch = connection.renew ? () => {} : sessionWatch.watch(viewer.sessionId, viewer.expiresAt, onSessionEnd);
  try {
    opened = await openChangeStream<Event>({
      ...stream,
      feed,
      generation: database.generation,
      userId: viewer.userId,
      queueMax: config.streamQueueMax,
      onCutOff: () => connection.cutOff?.(),
      onClose: unwatch,
    });
  } catch (error) {
    unwatch();
    throw error;
  }
  // What happened while it was being set up; and nobody reads a stream whose client left before it began.
  if (ended) opened.fail(sessionEnded());
  if (connection.signal?.aborted) opened.end();
  connection.signal?.addEventListener('abort', () => opened.end(), { once: true });
  return opened;
}

const sessionEnded = () => unauthenticated('The session has ended, or its token is expired.');
