import type { Connection, Viewer } from '../../platform/viewer.js';
import { LiveStream } from '../../realtime/live-stream.js';
import { openFor } from '../conversation/open-stream.js';
import type { Deps } from '../deps.js';
import type { ListChange } from './standing.js';

/** One event of the `contacts` stream. */
export type ContactEvent = ListChange | { type: 'CAUGHT_UP'; aboutId: null };

const CAUGHT_UP: ContactEvent = { type: 'CAUGHT_UP', aboutId: null };

/**
 * What becomes of the viewer's list of contacts and of whom they have blocked, on whatever device they say it. Begins
 * with CAUGHT_UP, which comes again where it is not known what was missed: from then on nothing is missed.
 */
export function streamContacts(deps: Deps, viewer: Viewer, connection: Connection): Promise<LiveStream<ContactEvent>> {
  return openFor(deps, viewer, connection, async (hooks) => {
    const stopListening = deps.standings.listen(viewer.userId, (change) => stream.push(change ?? CAUGHT_UP));
    const stream = new LiveStream<ContactEvent>({
      ...hooks,
      onClose() {
        stopListening();
        hooks.onClose();
      },
    });
    stream.push(CAUGHT_UP);
    return stream;
  });
}
