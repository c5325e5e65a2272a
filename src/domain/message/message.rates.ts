import { definePersonRate } from '../../platform/rates.js';

export const sendPerPerson = definePersonRate(
  'Too many messages: send this one a moment later.',
  ({ rates }) => rates.sendPerPerson,
);
