import { ConfigError } from '../config-error.js';
import { defineSettings, setting } from '../define-settings.js';
import { duration, integer, secret } from '../kinds.js';

export const sessionSettings = defineSettings(
  'Tokens and sessions',
  {
    JWT_SECRET: setting(secret, {
      description:
        'The secret that signs access tokens, the same on all nodes. Required in production. `openssl rand -base64 48` generates one.',
      whenUnset: 'a generated secret, kept in `DATA_DIR`',
    }),
    JWT_SECRET_PREVIOUS: setting(secret, {
      description:
        'A second secret whose access tokens are accepted as well. To rotate secrets without signing anybody out, set the new secret here on every node, then swap the two, and remove the old one after `ACCESS_TOKEN_TTL`.',
    }),
    ACCESS_TOKEN_TTL: setting(duration(), { default: '15m', description: 'How long an access token is valid.' }),
    REFRESH_TOKEN_TTL: setting(duration(), {
      default: '30d',
      description: 'How long a session lasts without being refreshed.',
    }),
    REFRESH_GRACE: setting(duration(), {
      default: '30s',
      description:
        'How long a refresh token that was used already returns the same new tokens once more, provided that those have not been used. It covers answers that were lost on the way.',
    }),
    SESSION_RETENTION: setting(duration(), {
      default: '30d',
      description:
        'How long ended and expired sessions are kept. It must be longer than the lifetime of any token of your identity provider.',
    }),
    SESSIONS_PER_PERSON_MAX: setting(integer(1, 10_000), {
      default: '100',
      description:
        'The maximum number of sessions of one person. A further sign-in ends the session that was not used for the longest time.',
      clientDescription:
        'The maximum number of sessions of one user. Signing in again ends the session that was used least recently.',
    }),
  },
  (values, { production }) => {
    if (production && values.jwtSecret === undefined) {
      throw new ConfigError('JWT_SECRET: must be set when NODE_ENV is production (openssl rand -base64 48)');
    }
    return values;
  },
);
