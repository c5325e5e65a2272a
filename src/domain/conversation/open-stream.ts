import { ChatError, notFound } from '../../core/errors.js';
import type { Deps } from '../../platform/deps.js';
import type { Connection, Viewer } from '../../platform/viewer.js';
import type { FeedEvent } from '../../realtime/audience.js';
import type { Change } from '../../realtime/change.js';
import { type ChangeStream, openChangeStream, type StreamKind } from '../../realtime/change-stream.js';
import { LiveStream } from '../../realtime/live-stream.js';
import { openFor } from '../session/session.streams.js';
import { canRead, isPublic } from './conversation.policy.js';
import { readabilityLookup } from './conversation.store.js';

/**
 * Opens a durable stream for the viewer, of one conversation or of all of theirs. It ends with the viewer's session or
 * token, when the viewer leaves the conversation, when the client disconnects, and when it does not read.
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
  // Checked after the stream has been opened: if the viewer is removed after the check, the stream receives the change.
  try {
    await checkReadable(deps, viewer, which.conversationId, 'conversationId');
    return stream;
  } catch (error) {
    stream.end();
    throw error;
  }
}

/**
 * Opens a stream of ephemeral events in one conversation or in all of the viewer's. `onChange` converts changes to
 * events and pushes them. The stream ends like a durable one.
 * @throws {ChatError} NOT_FOUND or FORBIDDEN of `conversationId`.
 */
export async function openLive<Event extends object>(
  deps: Deps,
  viewer: Viewer,
  connection: Connection,
  which: {
    conversationId: string | null;
    types: string[];
    onChange(event: FeedEvent & { change: Change }, stream: LiveStream<Event>): void;
  },
): Promise<LiveStream<Event>> {
  const field = 'conversationId';
  const { conversationId, types, onChange } = which;
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
        onChange: (event) => onChange(event, stream),
        onProgress() {},
        onRemoved: () =>
          stream.fail(new ChatError('NOT_FOUND', 'You are no longer a member of this conversation.', { field })),
        // The recipients may have changed, so the client must subscribe again.
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

/** Throws NOT_FOUND or FORBIDDEN with `field` if the viewer cannot read the conversation. */
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
