import type { Deps } from '../../platform/deps.js';
import type { Connection, Viewer } from '../../platform/viewer.js';
import type { Change } from '../../realtime/change.js';
import { type ChangeStream, type Delivery, defineStreamKind, type Signal } from '../../realtime/change-stream.js';
import { openPersonalStream } from '../conversation/open-stream.js';
import { type ListChangeType, listChangeTypes } from './relationship.events.js';

/** One event of the `contacts` stream. */
export type ContactEvent = Signal | ContactChangeEvent;
type ContactChangeEvent = Delivery & { type: ListChangeType; change: Change };

const contactStream = defineStreamKind<ContactChangeEvent>({
  types: listChangeTypes,
  toEvent: (change, delivery) => ({ type: change.type as ListChangeType, ...delivery, change }),
});

/**
 * What becomes of the viewer's lists of contacts and blocks, on whichever device they change them.
 * @throws {ChatError} BAD_USER_INPUT or CURSOR_EXPIRED of `after`.
 */
export function streamContacts(
  deps: Deps,
  viewer: Viewer,
  connection: Connection,
  after: string | null | undefined,
): Promise<ChangeStream<ContactChangeEvent>> {
  return openPersonalStream(deps, viewer, connection, { kind: contactStream, after });
}
