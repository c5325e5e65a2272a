import { definePersonRate } from '../../platform/rates.js';

export const openDirectPerPerson = definePersonRate(
  'Too many new direct conversations: begin this one later.',
  ({ rates }) => rates.openDirectPerPerson,
);
