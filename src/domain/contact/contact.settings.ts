import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { integer } from '../../infra/config/kinds.js';

export const contactSettings = defineSettings('Contacts and blocks', {
  CONTACTS_MAX: setting(integer(1, 100_000), {
    default: '5000',
    description: 'The maximum number of contacts of one user.',
    clientDescription: 'The maximum number of contacts of one user.',
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof contactSettings> {}
}
