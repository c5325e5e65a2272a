import type { Deps } from '../../platform/deps.js';
import type { Connection, Viewer } from '../../platform/viewer.js';
import { LiveStream } from '../../realtime/live-stream.js';
import { openFor } from '../session/session.streams.js';
import { STATUS_DELETED, STATUS_VIEWED, type StatusChangeType } from './status.events.js';
import { findVisible, type Status } from './status.store.js';
import { statusTracker } from './status.tracker.js';

/** One event of the stream `statuses`. */
export interface StatusEvent {
  type: 'POSTED' | 'VIEWED' | 'DELETED' | 'CAUGHT_UP';
  statusId: string | null;
  status: Status | null;
}

/** The event of a change, which is the same object for all of its recipients. */
const events = new WeakMap<Status, StatusEvent>();

function eventOf(type: StatusChangeType, status: Status): StatusEvent {
  const known = events.get(status);
  if (known) return known;
  const event: StatusEvent =
    type === STATUS_DELETED
      ? { type: 'DELETED', statusId: status.id, status: null }
      : { type: 'POSTED', statusId: status.id, status };
  events.set(status, event);
  return event;
}

/**
 * Streams changes of the statuses that the viewer can see, after CAUGHT_UP, which is repeated when the viewer's contacts
 * or blocks have changed.
 */
export async function streamStatuses(
  deps: Deps,
  viewer: Viewer,
  connection: Connection,
): Promise<LiveStream<StatusEvent>> {
  const { userId } = viewer;
  return openFor(deps, viewer, connection, async (hooks) => {
    const stops: (() => void)[] = [];
    const stream = new LiveStream<StatusEvent>({
      ...hooks,
      onClose() {
        for (const stop of stops) stop();
        hooks.onClose();
      },
    });
    const end = () => stream.end();
    const caughtUp = () => stream.push({ type: 'CAUGHT_UP', statusId: null, status: null });
    stops.push(
      statusTracker.of(deps).listen(userId, {
        onChange: (type, status) => stream.push(eventOf(type, status)),
        onAudienceChanged: caughtUp,
        onLost: end,
      }),
    );
    try {
      const stop = await deps.feed.listen({
        userId,
        conversationId: userId,
        types: [STATUS_VIEWED],
        onChange: ({ change: { subjectId } }) => void sendViewed(deps, stream, userId, subjectId ?? ''),
        onProgress() {},
        onRemoved() {},
        onLost: end,
        onEnd: end,
      });
      stops.push(stop);
      if (stream.closed) stop();
    } catch (error) {
      end();
      throw error;
    }
    caughtUp();
    return stream;
  });
}

async function sendViewed(deps: Deps, stream: LiveStream<StatusEvent>, userId: string, id: string): Promise<void> {
  try {
    const [status] = await findVisible(deps.database.sql, userId, [id]);
    if (status && !stream.closed) stream.push({ type: 'VIEWED', statusId: id, status });
  } catch (error) {
    stream.fail(error);
  }
}
