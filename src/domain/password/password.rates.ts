import { defineSharedRate } from '../../platform/rates.js';

export const passwordResetPerAddress = defineSharedRate(
  'password-reset-address',
  'Too many password reset requests from this IP address. Try again later.',
  ({ ratePasswordResetPerAddress }) => ratePasswordResetPerAddress,
);
