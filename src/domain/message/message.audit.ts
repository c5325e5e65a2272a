export const messageAuditActions = {
  MESSAGE_DELETED: 'A user deleted a message of another member.',
};

declare module '../audit/audit.actions.js' {
  interface AuditActions extends Record<keyof typeof messageAuditActions, string> {}
}
