import { ConfigError } from './config-error.js';
import { defineSettings, setting } from './define-settings.js';
import { duration, secret } from './kinds.js';

export const tokenSettings = defineSettings(
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
  },
  (values, { production }) => {
    if (production && values.jwtSecret === undefined) {
      throw new ConfigError('JWT_SECRET: must be set when NODE_ENV is production (openssl rand -base64 48)');
    }
    return values;
  },
);
