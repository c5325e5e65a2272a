import type { ChangeKind } from '../../realtime/change.js';

/** What a person does with their lists of contacts and blocks. */
export const listChangeTypes = ['CONTACT_ADDED', 'CONTACT_REMOVED', 'BLOCKED', 'UNBLOCKED'] as const;
export type ListChangeType = (typeof listChangeTypes)[number];

/**
 * Written into the log of a person whose relationships others have changed: somebody has added, removed, blocked or
 * unblocked them, or they were suspended, reinstated or deleted. It says nothing to clients.
 */
export const RELATIONSHIP_CHANGED = 'RELATIONSHIP_CHANGED';

/** After a change of these types, other people may see the person than before, and the person may see others. */
export const relationshipTypes: readonly string[] = [...listChangeTypes, RELATIONSHIP_CHANGED];

/** Its row says everything: `subjectId` is who was added, removed, blocked or unblocked. */
export const relationshipChanges: ChangeKind<true> = {
  types: relationshipTypes,
  encode: (data) => data,
  decode: () => true,
  load: async (_db, rows) => rows.map(() => true),
};
