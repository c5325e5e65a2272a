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
  VISIBILITY_CHANGED: 'The `visibility` of the group changed.',
  HISTORY_VISIBILITY_CHANGED: 'The `historyVisibility` of the group changed.',
  CALL_ENDED: 'A call ended: see `call`.',
  ENCRYPTION_ENABLED: 'A member encrypted the conversation: messages are encrypted end to end from then on.',
} as const;

/** An event in a conversation, as it is stored with the system message that reports it. */
export interface SystemEvent {
  type: keyof typeof systemEventTypes;
  actorId: string;
  /** The ids of the users concerned. */
  subjectIds: string[];
  oldValue: string | null;
  newValue: string | null;
}
