import type { Deps } from '../../platform/deps.js';
import { defineExtensionPoint } from '../../platform/feature.js';
import { defineService } from '../../platform/service.js';
import type { Connection, Viewer } from '../../platform/viewer.js';
import {
  type ChangeEvent,
  type ChangeStream,
  defineStreamKind,
  type StreamEvent,
} from '../../realtime/change-stream.js';
import { openPersonalStream } from '../session/session.streams.js';

/**
 * A type of changes of personal logs that the stream `viewerChanges` delivers. A replay delivers the latest change of
 * each `subjectId`: what must not replace each other needs different ones.
 */
export interface ViewerChangeType {
  /** Of the changes in the log, and of the enum `ViewerChangeType`. */
  name: string;
  /** Of the enum's value. */
  description: string;
}

export const viewerChangeTypes = defineExtensionPoint<ViewerChangeType>('types of viewer changes');

/** An event of the stream `viewerChanges`. `change.data` is defined by the feature that contributes the type. */
export type ViewerChangeEvent = StreamEvent;

const streamKind = defineService('viewerChanges stream kind', (deps) =>
  defineStreamKind<string, unknown>({
    types: viewerChangeTypes.of(deps).map(({ name }) => name),
    typeOf: ({ type }) => type,
  }),
);

/**
 * The viewer's own settings and drafts, whichever of their devices changes them.
 * @throws {ChatError} BAD_USER_INPUT or CURSOR_EXPIRED of `after`.
 */
export const streamViewerChanges = (
  deps: Deps,
  viewer: Viewer,
  connection: Connection,
  after: string | null | undefined,
): Promise<ChangeStream<ChangeEvent>> =>
  openPersonalStream(deps, viewer, connection, { kind: streamKind.of(deps), after });
