export const identityProviderAuditActions = {
  ACCOUNT_CHANGED:
    'A new username or email address was copied from an identity provider. `fields` names the changed fields without their values.',
};

declare module '../audit/audit.actions.js' {
  interface AuditActions extends Record<keyof typeof identityProviderAuditActions, string> {}
}
