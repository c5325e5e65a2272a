import { defineFeature } from '../../platform/feature.js';
import { conversationChanges, creationChanges, joinChanges, leaveChanges } from './conversation.events.js';
import { conversationRateSettings } from './conversation.settings.js';
import { personUpdates } from './person-updates.js';

export const conversationFeature = defineFeature('conversation', {
  settings: [conversationRateSettings],
  schema: () => Promise.all([import('./conversation.schema.js'), import('./conversation-stream.schema.js')]),
  changeKinds: () => [conversationChanges, creationChanges, joinChanges, leaveChanges],
  start: (deps) => void personUpdates.of(deps),
});
