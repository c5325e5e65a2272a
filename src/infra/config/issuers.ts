/** Issuers of this server's own tokens: of its access tokens and bot, and of the identities that a backend creates. */
export const OWN_ISSUER = 'parley';
export const SERVICE_ISSUER = 'service';
