import { changesWithoutData } from '../../realtime/personal-log.js';

/** Changes that a user makes to their contacts and blocks. */
export const listChangeTypes = ['CONTACT_ADDED', 'CONTACT_REMOVED', 'BLOCKED', 'UNBLOCKED'] as const;
export type ListChangeType = (typeof listChangeTypes)[number];

/**
 * Recorded in the log of a user whose relationships were changed by others, who added, removed, blocked or unblocked
 * them, or because they were suspended, reinstated or deleted. It is not sent to clients.
 */
export const RELATIONSHIP_CHANGED = 'RELATIONSHIP_CHANGED';

/** After changes of these types, the users who can see each other may differ. */
export const relationshipTypes: readonly string[] = [...listChangeTypes, RELATIONSHIP_CHANGED];

/** `subjectId` is the user who was added, removed, blocked or unblocked. */
export const relationshipChanges = changesWithoutData(relationshipTypes);
