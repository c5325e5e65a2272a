export const passwordAuditActions = {
  PASSWORD_CHANGED: 'A user changed their password, which ended their other sessions.',
  PASSWORD_RESET_REQUESTED:
    'An email for resetting a password was requested. It is denied if no account has the address, or after too many requests.',
  PASSWORD_RESET: 'A new password was set with a token from an email, which ended all sessions and created a new one.',
};

declare module '../audit/audit.actions.js' {
  interface AuditActions extends Record<keyof typeof passwordAuditActions, string> {}
}
