import { defineFeature } from '../../platform/feature.js';
import { SETTINGS, settingsChanges } from './viewer-changes.events.js';
import { viewerChangeTypes } from './viewer-changes.stream.js';

export const viewerChangesFeature = defineFeature('viewer-changes', {
  async schema(features) {
    const { addViewerChanges } = await import('./viewer-changes.schema.js');
    addViewerChanges(features);
  },
  changeKinds: () => [settingsChanges],
  contributes: [
    viewerChangeTypes.with({
      name: SETTINGS,
      description:
        "The viewer's profile, availability, email address, role in the service, notification settings or status settings (the audience, the reporting of views and the muted authors) changed. See `viewer`.",
    }),
  ],
});
