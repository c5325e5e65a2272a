export const systemEventTypes = [
  'GROUP_CREATED',
  'MEMBER_JOINED',
  'MEMBER_ADDED',
  'MEMBER_LEFT',
  'MEMBER_REMOVED',
  'ROLE_CHANGED',
  'TITLE_CHANGED',
  'DESCRIPTION_CHANGED',
  'VISIBILITY_CHANGED',
  'HISTORY_VISIBILITY_CHANGED',
] as const;

/** What happened in a group, as it is kept with the message that tells it. */
export interface SystemEvent {
  type: (typeof systemEventTypes)[number];
  actorId: string;
  /** Whom it is about. */
  subjectIds: string[];
  oldValue: string | null;
  newValue: string | null;
}
