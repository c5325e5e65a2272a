export const groupAuditActions = {
  MEMBER_ADDED: 'A member added a user to a group. Each added user has an entry of their own.',
  MEMBER_REMOVED: 'A member removed another member from a group.',
  MEMBER_ROLE_CHANGED:
    'The role of a member of a group changed. This includes the member who becomes owner when the last owner leaves.',
  GROUP_SETTINGS_CHANGED: 'The visibility or the history visibility of a group changed.',
};

declare module '../audit/audit.actions.js' {
  interface AuditActions extends Record<keyof typeof groupAuditActions, string> {}
}
