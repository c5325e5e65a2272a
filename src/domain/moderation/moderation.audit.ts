export const moderationAuditActions = {
  SERVICE_ROLE_CHANGED: 'The role of a user in the service changed.',
  USER_SUSPENDED: 'A user was suspended, which ended their sessions.',
  USER_UNSUSPENDED: 'The suspension of a user ended.',
};

declare module '../audit/audit.actions.js' {
  interface AuditActions extends Record<keyof typeof moderationAuditActions, string> {}
}
