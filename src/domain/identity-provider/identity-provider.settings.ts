import type { IdentityProvider } from '../../infra/auth/provider-tokens.js';
import { ConfigError } from '../../infra/config/config-error.js';
import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { OWN_ISSUER, SERVICE_ISSUER } from '../../infra/config/issuers.js';
import { text, url } from '../../infra/config/kinds.js';

export const identityProviderSettings = defineSettings(
  'Identity provider',
  {
    AUTH_JWKS_URL: setting(url('https', 'http'), {
      description:
        'The public keys (JWKS) of the identity provider whose access tokens sign users in. `AUTH_JWKS_URL`, `AUTH_ISSUER` and `AUTH_AUDIENCE` must be set together. See docs/USERS.md.',
      example: 'https://login.example.com/.well-known/jwks.json',
      secret: false,
    }),
    AUTH_ISSUER: setting(text, {
      description: 'The exact value of the `iss` claim in the tokens of the identity provider.',
      example: 'https://login.example.com/',
    }),
    AUTH_AUDIENCE: setting(text, {
      description: 'The value that the `aud` claim must contain: the identifier of this service at the provider.',
      example: 'https://chat.example.com',
    }),
    AUTH_USERNAME_CLAIM: setting(text, {
      default: 'preferred_username',
      description: 'The claim from which usernames are derived.',
    }),
    AUTH_NAME_CLAIM: setting(text, { default: 'name', description: 'The claim that contains the display name.' }),
    AUTH_PICTURE_CLAIM: setting(text, {
      default: 'picture',
      description: 'The claim that contains the URL of a picture.',
    }),
  },
  ({ authJwksUrl: jwksUrl, authIssuer: issuer, authAudience: audience, ...claims }) => {
    const needed = { AUTH_JWKS_URL: jwksUrl, AUTH_ISSUER: issuer, AUTH_AUDIENCE: audience };
    let identityProvider: IdentityProvider | undefined;
    if (jwksUrl !== undefined && issuer !== undefined && audience !== undefined) {
      if (issuer === OWN_ISSUER || issuer === SERVICE_ISSUER) {
        throw new ConfigError(`AUTH_ISSUER: must not be ${issuer}, which is the issuer of this server's own tokens`);
      }
      identityProvider = {
        jwksUrl,
        issuer,
        audience,
        usernameClaim: claims.authUsernameClaim,
        nameClaim: claims.authNameClaim,
        pictureClaim: claims.authPictureClaim,
      };
    } else if (Object.values(needed).some((value) => value !== undefined)) {
      const [missing] = Object.entries(needed).find(([, value]) => value === undefined) ?? [];
      throw new ConfigError(`${missing}: must be set: ${Object.keys(needed).join(', ')} are required together`);
    }
    return { identityProvider };
  },
);

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof identityProviderSettings> {}
}
