import { defineSettings, setting } from './define-settings.js';
import { integer } from './kinds.js';

export const passwordSettings = defineSettings('Accounts and passwords', {
  BCRYPT_COST: setting(integer(4, 15), {
    default: '10',
    description: 'The cost factor of password hashes. Each step doubles the time of a sign-in.',
  }),
  PASSWORD_QUEUE_MAX: setting(integer(1, 100_000), {
    default: '200',
    description:
      'The maximum number of password hashes that wait for a worker thread of a node. Further sign-ins fail with `UNAVAILABLE`.',
  }),
});
