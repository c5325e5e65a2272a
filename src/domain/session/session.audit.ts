export const sessionAuditActions = {
  ACCOUNT_CREATED:
    'An account was created by registration (which also signs in), by the first token of an identity provider, or with the service key.',
  SIGNED_IN:
    'A session was created with a password, a token of an identity provider, or the service key. It is denied if the password is wrong, or if the account is suspended or does not exist. The name that was entered is not recorded, because it could be a password.',
  SESSION_ENDED: 'A user ended one of their sessions.',
  REFRESH_TOKEN_REUSED:
    'A refresh token was used again after it had been exchanged, which ended its session: the token may have been copied.',
};

declare module '../audit/audit.actions.js' {
  interface AuditActions extends Record<keyof typeof sessionAuditActions, string> {}
}
