import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { durationOr, integer, oneOf } from '../../infra/config/kinds.js';

export const editSettings = defineSettings('Messages', {
  MESSAGE_EDIT_WINDOW: setting(durationOr('forever', null), {
    default: '1d',
    description: 'How long after it was sent a message can be edited.',
    clientDescription:
      'For how many seconds after `createdAt` a message can be edited. It is null if there is no time limit.',
    clientUnit: 'seconds',
  }),
  MESSAGE_VERSIONS_MAX: setting(integer(0, 1_000), {
    default: '50',
    description:
      'The maximum number of earlier versions that are kept of an edited message: the first and the newest ones. 0 keeps none.',
  }),
  MESSAGE_VERSIONS_FOR: setting(oneOf('members', 'moderators'), {
    default: 'members',
    description:
      'Who can read the earlier versions: `members` is everybody who can read the message, `moderators` is its sender and the owners and admins of the group.',
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof editSettings> {}
}
