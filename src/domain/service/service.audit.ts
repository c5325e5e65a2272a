export const serviceAuditActions = {
  ACCESS_TOKEN_CREATED: 'The service key created a session for a user.',
  KEY_SESSIONS_ENDED: 'When a server process started, sessions that a previous service key had created were ended.',
};

declare module '../audit/audit.actions.js' {
  interface AuditActions extends Record<keyof typeof serviceAuditActions, string> {}
}
