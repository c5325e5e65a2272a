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

/** Sessions that start with the right password: counted after it was checked, so that nobody else uses them up. */
export const sessionPerAccount = defineSharedRate(
  'session-account',
  'Too many sign-ins to this account. Try again later.',
  ({ rateSessionPerAccount }) => rateSessionPerAccount,
);

/**
 * The addresses at which an account has signed in, where nobody else can use up its attempts. They are remembered for
 * as long as somebody who does nothing stays signed in.
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
