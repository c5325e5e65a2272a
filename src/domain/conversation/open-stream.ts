import { ChatError, notFound, unauthenticated } from '../../core/errors.js';
import type { Deps } from '../../platform/deps.js';
import type { Connection, Viewer } from '../../platform/viewer.js';
import type { Moment } from '../../realtime/audience.js';
import type { Change } from '../../realtime/change.js';
import { type ChangeStream, openChangeStream, type StreamKind } from '../../realtime/change-stream.js';
import { LiveStream } from '../../realtime/live-stream.js';
import { sessionWatch } from '../session/session.authentication.js';
import { canRead, isPublic } from './conversation.policy.js';
import { readabilityLookup } from './conversation.store.js';

/**
 * A durable stream for the viewer: of one conversation or of all of theirs. It ends with the viewer's session or token,
 * when they leave the conversation, when the client goes, and when it does not read.
 * @throws {ChatError} NOT_FOUND or FORBIDDEN of `conversationId`; BAD_USER_INPUT or CURSOR_EXPIRED of `after`.
 */
export async function openStream<Event>(
  deps: Deps,
  viewer: Viewer,
  connection: Connection,
  which: { kind: StreamKind<Event>; conversationId: string | null; after: string | null | undefined },
): Promise<ChangeStream<Event>> {
  const { feed, database } = deps;
  const stream = await openFor(deps, viewer, connection, (hooks) =>
    openChangeStream<Event>({ ...hooks, ...which, feed, generation: database.generation }),
  );
  if (which.conversationId === null) return stream;
  // When it listens already: whoever is put out after this check, the stream itself hears of it.
  try {
    await checkReadable(deps, viewer, which.conversationId, 'conversationId');
    return stream;
  } catch (error) {
    stream.end();
    throw error;
  }
}

/**
 * A durable stream of the viewer's own log. It ends with the viewer's session or token, when the client goes, and when it
 * does not read.
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

/**
 * A stream of what happens just now in one conversation or in all of the viewer's: what `hear` makes of it and pushes.
 * It ends as a durable one does.
 * @throws {ChatError} NOT_FOUND or FORBIDDEN of `conversationId`.
 */
export async function openLive<Event extends object>(
  deps: Deps,
  viewer: Viewer,
  connection: Connection,
  which: {
    conversationId: string | null;
    types: string[];
    hear(moment: Moment & { change: Change }, stream: LiveStream<Event>): void;
  },
): Promise<LiveStream<Event>> {
  const field = 'conversationId';
  const { conversationId, types, hear } = which;
  return openFor(deps, viewer, connection, async (hooks) => {
    let stopListening = () => {};
    const stream = new LiveStream<Event>({
      ...hooks,
      onClose() {
        stopListening();
        hooks.onClose();
      },
    });
    try {
      stopListening = await deps.feed.listen({
        userId: viewer.userId,
        conversationId,
        types,
        onChange: (moment) => hear(moment, stream),
        onProgress() {},
        onRemoved: () =>
          stream.fail(new ChatError('NOT_FOUND', 'You are no longer a member of this conversation.', { field })),
        // Whom it is for may be others: the client subscribes again.
        onLost: () => stream.end(),
        onEnd: () => stream.end(),
      });
      if (stream.closed) stopListening();
      if (conversationId !== null) await checkReadable(deps, viewer, conversationId, field);
    } catch (error) {
      stream.end();
      throw error;
    }
    return stream;
  });
}

/** @throws {ChatError} NOT_FOUND or FORBIDDEN with `field`: not the viewer's to read. */
export async function checkReadable(
  deps: Deps,
  { userId }: Viewer,
  conversationId: string,
  field: string,
): Promise<void> {
  const found = await readabilityLookup.of(deps)({ conversationId, userId });
  if (!found || !(canRead(found.membership) || isPublic(found.conversation))) throw notFound(field, 'Conversation');
  if (!canRead(found.membership))
    throw new ChatError('FORBIDDEN', 'You are not a member of this group. Join it first.', { field });
}

/** What a stream that is being made is to call. */
export interface StreamHooks {
  userId: string;
  queueMax: number;
  onCutOff(): void;
  onClose(): void;
}

/** Makes a stream that ends with the viewer's session or token, and when the client goes. */
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
      onCutOff: () => connection.cutOff?.(),
      onClose: unwatch,
    });
  } catch (error) {
    unwatch();
    throw error;
  }
  // What happened while it was being set up; and nobody reads a stream whose client left before it began.
  if (ended) opened.fail(sessionEnded());
  const made = opened;
  if (connection.signal?.aborted) made.end();
  connection.signal?.addEventListener('abort', () => made.end(), { once: true });
  return made;
}

const sessionEnded = () => unauthenticated('The session has ended, or its token has expired.');
