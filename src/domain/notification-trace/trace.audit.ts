export const traceAuditActions = {
  NOTIFICATION_TRACE_READ: 'An operator looked up with a command why a user was or was not notified of a message.',
};

declare module '../audit/audit.actions.js' {
  interface AuditActions extends Record<keyof typeof traceAuditActions, string> {}
}
