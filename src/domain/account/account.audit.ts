export const accountAuditActions = {
  ACCOUNT_DELETED: 'A user deleted their account.',
};

declare module '../audit/audit.actions.js' {
  interface AuditActions extends Record<keyof typeof accountAuditActions, string> {}
}
