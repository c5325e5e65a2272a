import type { Deps } from '../../platform/deps.js';
import type { Connection, Viewer } from '../../platform/viewer.js';
import {
  type ChangeEvent,
  type ChangeStream,
  defineStreamKind,
  type StreamEvent,
} from '../../realtime/change-stream.js';
import { openPersonalStream } from '../session/session.streams.js';
import { type ListChangeType, listChangeTypes } from './relationship.events.js';

/** One event of the `contacts` stream. */
export type ContactEvent = StreamEvent<ListChangeType>;

const contactStream = defineStreamKind<ListChangeType, unknown>({
  types: listChangeTypes,
  typeOf: ({ type }) => type as ListChangeType,
});

/**
 * Streams changes that the viewer makes to their contacts and blocks on any device.
 * @throws {ChatError} BAD_USER_INPUT or CURSOR_EXPIRED of `after`.
 */
export function streamContacts(
  deps: Deps,
  viewer: Viewer,
  connection: Connection,
  after: string | null | undefined,
): Promise<ChangeStream<ChangeEvent<ListChangeType>>> {
  return openPersonalStream(deps, viewer, connection, { kind: contactStream, after });
}
