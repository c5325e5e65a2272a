import { definePersonRate } from '../../platform/rates.js';

export const openDirectPerPerson = definePersonRate(
  'You have started too many direct conversations. Try again later.',
  ({ rateOpenDirectPerPerson }) => rateOpenDirectPerPerson,
);
