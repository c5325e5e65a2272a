import { defineFeature } from '../../platform/feature.js';
import { attachmentOwners } from '../media/media.owners.js';
import { messageParts } from '../message/message.part.js';
import { statusChanges, statusViews } from './status.events.js';
import { statusFiles } from './status.media.js';
import { statusReplyPart } from './status.part.js';
import { statusRateSettings, statusSettings } from './status.settings.js';
import { deleteAllOf, trimStatuses } from './status.store.js';
import { statusTracker } from './status.tracker.js';

export const statusFeature = defineFeature('status', {
  settings: [statusSettings, statusRateSettings],
  schema: () => import('./status.schema.js'),
  changeKinds: () => [statusChanges, statusViews],
  contributes: [attachmentOwners.with(statusFiles), messageParts.with(statusReplyPart)],
  start: (deps) => void statusTracker.of(deps),
  retention: [{ table: 'statuses', trim: ({ database }) => trimStatuses(database.db) }],
  onAccountDeleted: deleteAllOf,
});
