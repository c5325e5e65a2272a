import { defineSharedRate } from '../../platform/rates.js';
import { defineService } from '../../platform/service.js';

const signIns = 'Too many sign-in attempts with an incorrect password. Try again later.';
const refreshes = 'Too many token refreshes. Try again later.';

export const signInPerAddress = defineSharedRate(
  'sign-in-address',
  signIns,
  ({ rateSignInPerAddress }) => rateSignInPerAddress,
);
export const signInPerAccount = defineSharedRate(
  'sign-in-account',
  signIns,
  ({ rateSignInPerAccount }) => rateSignInPerAccount,
);
export const signInPerAccountAndAddress = defineSharedRate(
  'sign-in-account-address',
  signIns,
  ({ rateSignInPerAccountAndAddress }) => rateSignInPerAccountAndAddress,
);

/**
 * Sessions started with the correct password. They are counted after it was checked, so that others cannot use up the
 * limit.
 */
export const sessionPerAccount = defineSharedRate(
  'session-account',
  'Too many sign-ins to this account. Try again later.',
  ({ rateSessionPerAccount }) => rateSessionPerAccount,
);

/**
 * The addresses from which an account has signed in, where others cannot use up its attempts. They are remembered as
 * long as the session of an inactive user lasts.
 */
export const signedInAt = defineService('signed-in-at', ({ config, rateStore }) =>
  rateStore.memory('signed-in-at', config.rateSignInPerAccount && config.refreshTokenTtlMs),
);

export const registrationPerAddress = defineSharedRate(
  'registration-address',
  'Too many registrations from this IP address. Try again later.',
  ({ rateRegistrationPerAddress }) => rateRegistrationPerAddress,
);

export const refreshPerAddress = defineSharedRate(
  'refresh-address',
  refreshes,
  ({ rateRefreshPerAddress }) => rateRefreshPerAddress,
);
export const refreshPerSession = defineSharedRate(
  'refresh-session',
  refreshes,
  ({ rateRefreshPerSession }) => rateRefreshPerSession,
);
