/** The issuers of this server's own tokens, and of the identities that a backend creates. */
export const OWN_ISSUER = 'parley';
export const SERVICE_ISSUER = 'service';
