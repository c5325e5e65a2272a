export const encryptionAuditActions = {
  ENCRYPTION_ENABLED: 'A member encrypted a conversation, which cannot be taken back.',
};

declare module '../audit/audit.actions.js' {
  interface AuditActions extends Record<keyof typeof encryptionAuditActions, string> {}
}
