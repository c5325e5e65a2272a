import { defineFeature } from '../../platform/feature.js';
import { viewerChangeTypes } from '../viewer-changes/viewer-changes.stream.js';
import { conversationChanges, creationChanges, joinChanges, leaveChanges } from './conversation.events.js';
import { conversationRateSettings } from './conversation.settings.js';
import { MEMBERSHIP_SETTINGS, membershipSettingsChanges } from './membership-settings.js';
import { personUpdates } from './person-updates.js';

export const conversationFeature = defineFeature('conversation', {
  settings: [conversationRateSettings],
  schema: () => Promise.all([import('./conversation.schema.js'), import('./conversation-stream.schema.js')]),
  changeKinds: () => [conversationChanges, creationChanges, joinChanges, leaveChanges, membershipSettingsChanges],
  contributes: [
    viewerChangeTypes.with({
      name: MEMBERSHIP_SETTINGS,
      description:
        "A setting of the viewer's own membership changed that other members do not see, such as `notificationLevel`. See `membership`.",
    }),
  ],
  start: (deps) => void personUpdates.of(deps),
});
