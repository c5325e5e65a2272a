import { defineFeature } from '../../platform/feature.js';
import { relationshipChanges } from './relationship.events.js';
import { recordRelationshipChanges, recordRemovalFromLists, trimRelationshipCopies } from './relationship.store.js';

export const relationshipFeature = defineFeature('relationship', {
  schema: () => import('./relationship.schema.js'),
  changeKinds: () => [relationshipChanges],
  // Comes before contacts and blocks in the list of features, which then delete what is read here.
  async onAccountDeleted(tx, userId) {
    await recordRemovalFromLists(tx, userId);
    await recordRelationshipChanges(tx, [{ userId, type: null, aboutId: null }]);
  },
  retention: [
    {
      table: 'standing_changes',
      trim: ({ database }) => trimRelationshipCopies(database.db),
    },
  ],
});
