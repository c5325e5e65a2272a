import { definePersonRate } from '../../platform/rates.js';

/** Limits all searches of a person: for users, public conversations and messages. */
export const searchPerPerson = definePersonRate(
  'Too many searches. Try again in a moment.',
  ({ rateSearchPerPerson }) => rateSearchPerPerson,
);
