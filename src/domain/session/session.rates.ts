import { defineSharedRate } from '../../platform/rates.js';
import { defineService } from '../../platform/service.js';

const signIns = 'Too many sign-in attempts with an incorrect password. Try again later.';
const refreshes = 'Too many token refreshes. Try again later.';

export const signInPerAddress = defineSharedRate('sign-in-address', signIns, ({ rates }) => rates.signInPerAddress);
export const signInPerAccount = defineSharedRate('sign-in-account', signIns, ({ rates }) => rates.signInPerAccount);
export const signInPerAccountAndAddress = defineSharedRate(
  'sign-in-account-address',
  signIns,
  ({ rates }) => rates.signInPerAccountAndAddress,
);

/** Sessions that start with the right password: counted after it was checked, so that nobody else uses them up. */
export const sessionPerAccount = defineSharedRate(
  'session-account',
  'Too many sign-ins to this account. Try again later.',
  ({ rates }) => rates.sessionPerAccount,
);

/**
 * The addresses at which an account has signed in, where nobody else can use up its attempts. They are remembered for
 * as long as somebody who does nothing stays signed in.
 */
export const signedInAt = defineService('signed-in-at', ({ config, rateStore }) =>
  rateStore.memory('signed-in-at', config.rates.signInPerAccount && config.refreshTokenTtlMs),
);

export const registrationPerAddress = defineSharedRate(
  'registration-address',
  'Too many registrations from this IP address. Try again later.',
  ({ rates }) => rates.registrationPerAddress,
);
export const refreshPerAddress = defineSharedRate('refresh-address', refreshes, ({ rates }) => rates.refreshPerAddress);
export const refreshPerSession = defineSharedRate('refresh-session', refreshes, ({ rates }) => rates.refreshPerSession);
