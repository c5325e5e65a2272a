import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { duration, flag, integer, rate } from '../../infra/config/kinds.js';

export const sessionSettings = defineSettings('Tokens and sessions', {
  REFRESH_TOKEN_TTL: setting(duration(), {
    default: '30d',
    description: 'How long a session lasts without being refreshed.',
  }),
  REFRESH_GRACE: setting(duration(), {
    default: '30s',
    description:
      'For how long after its first use a refresh token returns the same new tokens again, provided that those have not been used. This covers responses that were lost on their way to the client.',
  }),
  SESSION_RETENTION: setting(duration(), {
    default: '30d',
    description:
      'How long ended and expired sessions are kept. It must be longer than the lifetime of any token of your identity provider.',
  }),
  SESSIONS_PER_PERSON_MAX: setting(integer(1, 10_000), {
    default: '100',
    description: 'The maximum number of sessions of one user. A further sign-in ends the least recently used session.',
    clientDescription:
      'The maximum number of sessions of one user. Signing in again ends the session that was used least recently.',
  }),
});

export const registrationSettings = defineSettings('Accounts and passwords', {
  REGISTRATION: setting(flag, {
    default: 'on',
    description:
      'Whether users can create accounts with a password. With `off`, `register` fails with `FORBIDDEN`; existing accounts can still sign in.',
  }),
});

export const sessionRateSettings = defineSettings('Rate limits', {
  RATE_SIGN_IN_PER_ADDRESS: setting(rate, {
    default: '60/10m',
    description: 'Failed sign-ins from one address, to any account.',
    rateLimit: true,
  }),
  RATE_SIGN_IN_PER_ACCOUNT: setting(rate, {
    default: '100/1h',
    description:
      'Failed sign-ins to one account from addresses where that account has not signed in before. Failed attempts of others therefore do not lock a user out at their usual address.',
    rateLimit: true,
  }),
  RATE_SIGN_IN_PER_ACCOUNT_AND_ADDRESS: setting(rate, {
    default: '10/10m',
    description: 'Failed sign-ins to one account from one address.',
    rateLimit: true,
  }),
  RATE_SESSION_PER_ACCOUNT: setting(rate, {
    default: '100/1h',
    description: 'Successful sign-ins to one account with its password.',
    rateLimit: true,
  }),
  RATE_REGISTRATION_PER_ADDRESS: setting(rate, {
    default: '30/1h',
    description: 'Registrations from one address, successful or not.',
    rateLimit: true,
  }),
  RATE_REFRESH_PER_ADDRESS: setting(rate, {
    default: '100/10m',
    description: 'Invalid refresh tokens from one address.',
    rateLimit: true,
  }),
  RATE_REFRESH_PER_SESSION: setting(rate, {
    default: '60/10m',
    description: 'Refreshes of one session.',
    rateLimit: true,
  }),
});

declare module '../../infra/config/config.js' {
  interface Config
    extends SectionValues<typeof sessionSettings>,
      SectionValues<typeof registrationSettings>,
      SectionValues<typeof sessionRateSettings> {}
}
