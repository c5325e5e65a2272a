import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { flag, integer } from '../../infra/config/kinds.js';

export const groupSettings = defineSettings('Groups', {
  GROUP_MAX_MEMBERS: setting(integer(2, 1_000_000), {
    default: '10000',
    description: 'The maximum number of members of a group.',
    clientDescription: 'The maximum number of members of a group.',
  }),
  GROUP_ADD_MAX: setting(integer(1, 10_000), {
    default: '100',
    description: 'The maximum number of users whom one call can add to a group.',
    clientDescription: 'The maximum number of users that one request can add to a group.',
  }),
  GROUPS_MAX: setting(integer(1, 100_000), {
    default: '1000',
    description: 'The maximum number of groups that one user has created or joined and is still a member of.',
    clientDescription: 'The maximum number of groups that one user has created or joined and is still a member of.',
  }),
  GROUPS_ADDED_MAX: setting(integer(1, 100_000), {
    default: '2000',
    description:
      'The maximum number of groups to which others have added one user. A single other user can add them to at most a tenth of this number.',
    clientDescription:
      'The maximum number of groups to which others have added one user and that the user is still a member of.',
  }),
  SYSTEM_MESSAGES: setting(flag, {
    default: 'on',
    description:
      'Whether conversations record calls and the start of encryption, and groups record joins, departures and changes, as system messages.',
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof groupSettings> {}
}
