import { defineFeature } from '../../platform/feature.js';
import { membershipEndings } from '../group/membership.endings.js';
import { viewerChangeTypes } from '../viewer-changes/viewer-changes.stream.js';
import { DRAFT_DELETED, DRAFT_SAVED, draftChanges } from './draft.events.js';
import { deleteDraftOf } from './draft.service.js';
import { draftRateSettings, draftSettings } from './draft.settings.js';

export const draftFeature = defineFeature('draft', {
  settings: [draftSettings, draftRateSettings],
  schema: () => import('./draft.schema.js'),
  changeKinds: () => [draftChanges],
  contributes: [
    viewerChangeTypes.with({
      name: DRAFT_SAVED,
      description: 'The viewer saved a draft. See `draft`.',
    }),
    viewerChangeTypes.with({
      name: DRAFT_DELETED,
      description: 'The viewer deleted a draft, or they are no longer a member of its conversation. See `draftId`.',
    }),
    membershipEndings.with(deleteDraftOf),
  ],
  // No event is recorded, because deleting the account ends all sessions.
  onAccountDeleted: async (tx, userId) => void (await tx.draft.deleteMany({ where: { userId } })),
});
