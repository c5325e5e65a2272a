import { defineFeature } from '../../platform/feature.js';
import { relationshipChanges } from './relationship.events.js';
import { recordAccountDeleted, trimRelationshipCopies } from './relationship.store.js';

export const relationshipFeature = defineFeature('relationship', {
  schema: () => import('./relationship.schema.js'),
  changeKinds: () => [relationshipChanges],
  // Precedes contacts and blocks in the list of features, which then delete the rows that are read here.
  onAccountDeleted: recordAccountDeleted,
  retention: [
    {
      table: 'standing_changes',
      trim: ({ database }) => trimRelationshipCopies(database.db),
    },
  ],
});
