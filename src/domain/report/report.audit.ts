export const reportAuditActions = {
  MESSAGE_REPORTED: 'A user reported a message to the moderators of the service.',
  REPORTS_READ: 'A moderator read reports. Each first page is recorded with its filter.',
  REPORT_RESOLVED: 'A moderator resolved a report.',
};

declare module '../audit/audit.actions.js' {
  interface AuditActions extends Record<keyof typeof reportAuditActions, string> {}
}
