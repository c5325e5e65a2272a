import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import {
  afterArg,
  changeOf,
  defineEventTypes,
  defineStreamEvent,
  durableStream,
} from '../../graphql/durable-stream.js';
import type { Feature } from '../../platform/deps.js';
import type { Change } from '../../realtime/change.js';
import { loadUser, Viewer } from '../user/user.schema.js';
import { SETTINGS } from './viewer-changes.events.js';
import {
  streamViewerChanges,
  type ViewerChangeEvent as ViewerChangeEventShape,
  viewerChangeTypes,
} from './viewer-changes.stream.js';

/**
 * The change of an event if it has one of these types. Features add the fields of their types to `ViewerChangeEvent`.
 */
export function dataOf<Data>(event: ViewerChangeEventShape, ...types: readonly string[]): Change<Data> | undefined {
  const change = changeOf(event);
  return change && types.includes(change.type) ? (change as Change<Data>) : undefined;
}

export const ViewerChangeEvent = defineStreamEvent<ViewerChangeEventShape>('ViewerChangeEvent', {
  description:
    "A change of the viewer's own data, which nobody else receives. Apply it as an upsert of the objects that it carries.",
  changeSeq:
    "The number of the change among all changes of the viewer's own data, which the streams `contacts`, `notifications` and `viewerChanges` share.",
});

builder.objectField(ViewerChangeEvent, 'viewer', (t) =>
  t.field({
    type: Viewer,
    description: 'The viewer as they are now, for SETTINGS. It is null for all other types.',
    resolve: (event, _args, context) => (dataOf(event, SETTINGS) ? loadUser(context, viewerOf(context).userId) : null),
  }),
);

/** Adds the stream with the types of changes that the features contribute. */
export function addViewerChanges(features: readonly Feature[]): void {
  const types = viewerChangeTypes.of({ features });
  defineEventTypes(ViewerChangeEvent, 'ViewerChangeType', {
    description: 'What changed, as a hint.',
    values: Object.fromEntries(types.map(({ name, description }) => [name, { description }])),
  });
  builder.subscriptionField('viewerChanges', (t) =>
    t.field({
      ...durableStream(
        ViewerChangeEvent,
        "Changes of the viewer's own settings, drafts and per-conversation settings, made on any of their devices.",
      ),
      args: afterArg,
      subscribe: (_root, { after }, context) => streamViewerChanges(context.deps, viewerOf(context), context, after),
    }),
  );
}
