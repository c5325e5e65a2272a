import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { oneOf } from '../../infra/config/kinds.js';

export const accountSettings = defineSettings('Accounts and passwords', {
  DELETED_ACCOUNT_MESSAGES: setting(oneOf('keep', 'delete'), {
    default: 'keep',
    description:
      'What happens to the messages and reactions of a deleted account: `keep` leaves them with a placeholder as their author, `delete` deletes them as if their author had done so one by one.',
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof accountSettings> {}
}
