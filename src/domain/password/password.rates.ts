import { defineSharedRate } from '../../platform/rates.js';

export const passwordResetPerAddress = defineSharedRate(
  'password-reset-address',
  'Too many requests for new passwords from this address: try again later.',
  ({ rates }) => rates.passwordResetPerAddress,
);
