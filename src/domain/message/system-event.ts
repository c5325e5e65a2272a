/** The events that system messages report, with their descriptions in the schema. */
export const systemEventTypes = {
  GROUP_CREATED: 'The group was created.',
  MEMBER_JOINED: 'A user joined the group.',
  MEMBER_ADDED: 'A member added other users.',
  MEMBER_LEFT: 'A member left the group.',
  MEMBER_REMOVED: 'A member was removed by another member.',
  ROLE_CHANGED: 'The role of a member changed.',
  TITLE_CHANGED: 'The title changed.',
  DESCRIPTION_CHANGED: 'The description changed.',
  VISIBILITY_CHANGED: 'Who can find and join the group changed.',
  HISTORY_VISIBILITY_CHANGED: 'Whether new members can read earlier messages changed.',
} as const;

/** What happened in a group, as it is kept with the message that tells it. */
export interface SystemEvent {
  type: keyof typeof systemEventTypes;
  actorId: string;
  /** Whom it is about. */
  subjectIds: string[];
  oldValue: string | null;
  newValue: string | null;
}
