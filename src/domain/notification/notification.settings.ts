import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { duration, flag, oneOf } from '../../infra/config/kinds.js';

export const notificationSettings = defineSettings('Notifications', {
  NOTIFICATION_LEVEL: setting(oneOf('ALL', 'MENTIONS', 'NONE'), {
    default: 'ALL',
    description:
      'The events of which users are notified by default: every message (`ALL`), mentions, replies to their messages and reactions to them (`MENTIONS`), or nothing (`NONE`). Users can choose another level.',
  }),
  NOTIFICATION_PREVIEW: setting(oneOf('FULL', 'SENDER', 'NOTHING'), {
    default: 'FULL',
    description:
      'How much push notifications show by default: the text and the sender (`FULL`), the sender and the conversation (`SENDER`), or neither (`NOTHING`). Users can choose another value.',
  }),
  NOTIFICATION_EMAIL_DIGEST: setting(flag, {
    default: 'off',
    description: 'Whether users get emails about what they have not read for a while, unless they choose otherwise.',
  }),
  NOTIFICATION_TRACE_RETENTION: setting(duration('1h'), {
    default: '7d',
    description:
      'How long the server keeps the records of why users were or were not notified of a message (`notificationTrace`). See docs/NOTIFICATIONS.md.',
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof notificationSettings> {}
}
