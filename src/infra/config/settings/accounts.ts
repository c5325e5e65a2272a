import { parseUrl } from '../../../core/urls.js';
import { isUsername } from '../../../core/usernames.js';
import { ConfigError } from '../config-error.js';
import { defineSettings, setting } from '../define-settings.js';
import { OWN_ISSUER, SERVICE_ISSUER } from '../issuers.js';
import { bearerToken, duration, flag, integer, name, oneOf, parsed, text, textThat, url } from '../kinds.js';
import { parseMailbox } from '../mailbox.js';

export const accountSettings = defineSettings('Accounts and passwords', {
  REGISTRATION: setting(flag, {
    default: 'on',
    description:
      'Whether people can create accounts with a password. With `off`, `register` fails with `FORBIDDEN`; existing accounts can still sign in.',
  }),
  DELETED_ACCOUNT_MESSAGES: setting(oneOf('keep', 'delete'), {
    default: 'keep',
    description:
      'What happens to the messages and reactions of a deleted account: `keep` leaves them with a placeholder as their author, `delete` deletes them as if their author had done so one by one.',
  }),
  BCRYPT_COST: setting(integer(4, 15), {
    default: '10',
    description: 'The cost factor of password hashes. Each step doubles the time of a sign-in.',
  }),
  PASSWORD_QUEUE_MAX: setting(integer(1, 100_000), {
    default: '200',
    description:
      'The maximum number of password hashes that wait for a worker thread of a node. Further sign-ins fail with `UNAVAILABLE`.',
  }),
});

const isResetUrl = (given: string) =>
  given.includes('{token}') && /^https?:/.test(given) && parseUrl(given.replaceAll('{token}', 'token')) !== undefined;

export const passwordResetSettings = defineSettings('Accounts and passwords', {
  PASSWORD_RESET_TTL: setting(duration(), {
    default: '1h',
    description: 'How long the token in a password reset mail is valid.',
  }),
  PASSWORD_RESETS_MAX: setting(integer(1, 10), {
    default: '3',
    description:
      'The maximum number of reset mails for one account within `PASSWORD_RESET_TTL`. Further requests are ignored without an error, so that nobody learns whether an account exists.',
  }),
  PASSWORD_RESET_URL: setting(textThat('an http:// or https:// URL with {token} in it', isResetUrl), {
    description:
      'The page of your web client where people choose a new password. `{token}` is replaced. In `.env`, quote a URL that contains `#`.',
    whenUnset: 'mails that contain the token only',
    example: '"https://chat.example.com/reset#{token}"',
    secret: false,
  }),
});

export const mailSettings = defineSettings(
  'Mail',
  {
    SMTP_URL: setting(url('smtp', 'smtps'), {
      description:
        'The server that sends mails. `smtp://` uses STARTTLS where the server offers it; `smtps://` is TLS from the start.',
      whenUnset: 'mails written as files to `DATA_DIR/outbox`',
      example: 'smtp://user:password@host:587',
    }),
    MAIL_FROM: setting(parsed('an address or Name <address>', parseMailbox), {
      description: 'The sender of mails. Required with `SMTP_URL`.',
      example: 'Chat <chat@example.com>',
    }),
  },
  ({ smtpUrl, mailFrom }) => {
    if (smtpUrl !== undefined && mailFrom === undefined) {
      throw new ConfigError(
        'MAIL_FROM: must be set if SMTP_URL is set: an address that the mail server is allowed to send from',
      );
    }
    return { smtpUrl, mailFrom: mailFrom ?? { name: 'Parley', address: 'parley@localhost' } };
  },
);

/** The identity provider whose access tokens sign people in, and the claims that describe a person. */
export interface IdentityProvider {
  jwksUrl: string;
  issuer: string;
  audience: string;
  usernameClaim: string;
  nameClaim: string;
  pictureClaim: string;
}

export const identityProviderSettings = defineSettings(
  'Identity provider',
  {
    AUTH_JWKS_URL: setting(url('https', 'http'), {
      description:
        'The public keys (JWKS) of the identity provider whose access tokens sign people in. `AUTH_JWKS_URL`, `AUTH_ISSUER` and `AUTH_AUDIENCE` must be set together. See docs/USERS.md.',
      example: 'https://login.example.com/.well-known/jwks.json',
      secret: false,
    }),
    AUTH_ISSUER: setting(text, {
      description: 'The exact value of the `iss` claim in its tokens.',
      example: 'https://login.example.com/',
    }),
    AUTH_AUDIENCE: setting(text, {
      description: 'The value that the `aud` claim must contain: the name of this service at the provider.',
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

/** The key of your own backend, and the bot that it acts as. */
export interface ServiceSettings {
  key: string;
  username: string;
  name: string;
}

export const serviceSettings = defineSettings(
  'Service key',
  {
    SERVICE_KEY: setting(bearerToken, {
      description:
        'The access token with which your own backend acts as a bot and creates accounts. It must differ from `JWT_SECRET`. `openssl rand -base64 48` generates one. See docs/USERS.md#with-the-service-key.',
      whenUnset: 'no service key',
    }),
    SERVICE_USERNAME: setting(textThat('3 to 32 letters, digits or _ . - characters', isUsername), {
      default: 'service',
      description: 'The username of that bot.',
    }),
    SERVICE_NAME: setting(name(80), {
      description: 'The display name of that bot.',
      whenUnset: 'the value of `SERVICE_USERNAME`',
    }),
  },
  ({ serviceKey: key, serviceUsername: username, serviceName = username }) => {
    const service: ServiceSettings | undefined = key === undefined ? undefined : { key, username, name: serviceName };
    return { service };
  },
);

export const auditSettings = defineSettings('Audit log', {
  AUDIT_RETENTION: setting(duration('30d'), {
    default: '365d',
    description: 'How long entries of the audit log are kept. See docs/AUDIT.md.',
  }),
  AUDIT_REFUSALS_MAX: setting(integer(1, 10_000), {
    default: '10',
    description:
      'The maximum number of denied attempts that a node records one by one, per account and per address in a minute. It records the rest as one entry with their number.',
  }),
});
