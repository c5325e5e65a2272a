import { definePersonRate } from '../../platform/rates.js';

/** Searches of any kind: for people, for public conversations and in messages. */
export const searchPerPerson = definePersonRate(
  'Too many searches. Try again in a moment.',
  ({ rateSearchPerPerson }) => rateSearchPerPerson,
);
