import { definePersonRate } from '../../platform/rates.js';

/** Searches of any kind: for people, for public conversations and in messages. */
export const searchPerPerson = definePersonRate(
  'Too many searches: try again a moment later.',
  ({ rates }) => rates.searchPerPerson,
);
