import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { duration, flag, integer } from '../../infra/config/kinds.js';

export const presenceSettings = defineSettings('Receipts, presence and typing', {
  PRESENCE_GRACE: setting(duration(), {
    default: '10s',
    description: 'How long a user still counts as online after their last connection has closed.',
  }),
  PRESENCE_INTERVAL: setting(duration(), {
    default: '5s',
    description:
      'How often a node announces to the others that it is alive. When three announcements are missing, the users connected to it count as offline.',
  }),
  PRESENCE_MAX_WATCHED: setting(integer(1, 10_000), {
    default: '500',
    description: 'The maximum number of users whose presence one subscription can watch.',
    clientDescription: 'The maximum number of users in one subscription to `presence`.',
  }),
  PRESENCE_HIDES_ADDED_MEMBERS: setting(flag, {
    default: 'off',
    description:
      'Whether the presence of a user who was added to a group by another user is hidden from its members, until the added user has written in the group or has the viewer as a contact.',
  }),
  PRESENCE_STREAMS_PER_PERSON_MAX: setting(integer(1, 1_000_000), {
    default: '100',
    description:
      'The maximum number of presence subscriptions of one user at one node. A further one fails with `RATE_LIMITED`.',
    rateLimit: true,
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof presenceSettings> {}
}
