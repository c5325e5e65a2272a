import { definePersonRate } from '../../platform/rates.js';

export const sendPerPerson = definePersonRate(
  'You are sending messages too quickly. Try again in a moment.',
  ({ rateSendPerPerson }) => rateSendPerPerson,
);
