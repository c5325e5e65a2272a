import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { duration, integer } from '../../infra/config/kinds.js';

export const notifierSettings = defineSettings('Notifications', {
  NOTIFICATIONS_MAX: setting(integer(10, 10_000), {
    default: '500',
    description: "The maximum number of notifications in one user's inbox. The oldest ones are removed.",
    clientDescription: "The maximum number of notifications in a user's inbox. The oldest ones are removed.",
  }),
  NOTIFICATION_RETENTION: setting(duration('1h'), {
    default: '90d',
    description: 'How long notifications stay in the inbox after their newest occurrence.',
  }),
  NOTIFICATION_EVERYONE_MAX_MEMBERS: setting(integer(0, 10_000), {
    default: '100',
    description:
      'The maximum number of members of a group in which `@everyone`, or a missed call, adds a notification to the inbox of each of them. In larger groups, `@everyone` only counts as an unread mention, and a call is only reported by a system message.',
    clientDescription:
      'The maximum number of members of a group in which `@everyone`, or a missed call, adds a notification to the inbox of each of them.',
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof notifierSettings> {}
}
