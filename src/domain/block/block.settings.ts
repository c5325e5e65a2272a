import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { integer } from '../../infra/config/kinds.js';

export const blockSettings = defineSettings('Contacts and blocks', {
  BLOCKS_MAX: setting(integer(1, 100_000), {
    default: '5000',
    description: 'The maximum number of users whom one user can block.',
    clientDescription: 'The maximum number of users that one user can block.',
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof blockSettings> {}
}
