import { defineSettings, setting } from '../define-settings.js';
import { duration, durationOr, flag, integer, oneOf } from '../kinds.js';

export const messageSettings = defineSettings('Messages', {
  MESSAGE_MAX_CHARS: setting(integer(1, 100_000), {
    default: '8000',
    description: 'The maximum length of a message in UTF-16 code units, after trimming.',
    clientDescription: "The maximum length of a message's text after trimming, in UTF-16 code units.",
  }),
  MENTIONS_MAX: setting(integer(0, 1_000), {
    default: '50',
    description: 'The maximum number of people whom one message can mention.',
    clientDescription: 'The maximum number of users that one message can mention.',
  }),
});

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

export const reactionSettings = defineSettings('Messages', {
  REACTION_EMOJIS_MAX: setting(integer(1, 100), {
    default: '20',
    description: 'The maximum number of different emojis in the reactions to one message.',
    clientDescription: 'The maximum number of different emojis in the reactions to one message.',
  }),
  REACTIONS_PER_PERSON_MAX: setting(integer(1, 100), {
    default: '10',
    description: 'The maximum number of reactions of one person to one message.',
    clientDescription: 'The maximum number of reactions that one user can add to one message.',
  }),
});

export const pinSettings = defineSettings('Messages', {
  PINS_MAX: setting(integer(1, 100), {
    default: '100',
    description: 'The maximum number of pinned messages in one conversation.',
    clientDescription: 'The maximum number of pinned messages in one conversation.',
  }),
});

export const groupSettings = defineSettings('Groups', {
  GROUP_MAX_MEMBERS: setting(integer(2, 1_000_000), {
    default: '10000',
    description: 'The maximum number of members of a group.',
    clientDescription: 'The maximum number of members of a group.',
  }),
  GROUP_ADD_MAX: setting(integer(1, 10_000), {
    default: '100',
    description: 'The maximum number of people whom one call can add to a group.',
    clientDescription: 'The maximum number of users that one request can add to a group.',
  }),
  GROUPS_MAX: setting(integer(1, 100_000), {
    default: '1000',
    description: 'The maximum number of groups that one person has created or joined and is a member of.',
    clientDescription: 'The maximum number of groups that one user can be in by creating or joining them.',
  }),
  GROUPS_ADDED_MAX: setting(integer(1, 100_000), {
    default: '2000',
    description:
      'The maximum number of groups to which others have added one person. The same other person can add them to a tenth of this number.',
    clientDescription: 'The maximum number of groups that one user can be in by being added by others.',
  }),
  SYSTEM_MESSAGES: setting(flag, {
    default: 'on',
    description: 'Whether groups record joins, departures and changes as system messages.',
  }),
});

export const contactSettings = defineSettings('Contacts and blocks', {
  CONTACTS_MAX: setting(integer(1, 100_000), {
    default: '5000',
    description: 'The maximum number of contacts of one person.',
    clientDescription: 'The maximum number of contacts of one user.',
  }),
});

export const blockSettings = defineSettings('Contacts and blocks', {
  BLOCKS_MAX: setting(integer(1, 100_000), {
    default: '5000',
    description: 'The maximum number of people whom one person can block.',
    clientDescription: 'The maximum number of users that one user can block.',
  }),
});

export const receiptSettings = defineSettings('Receipts, presence and typing', {
  RECEIPT_MAX_MEMBERS: setting(integer(2, 10_000), {
    default: '250',
    description:
      'The size up to which a conversation has receipts. In larger ones, nobody sees how far others have read, and messages stay `SENT`.',
    clientDescription:
      "The maximum number of members of a group with receipts. In larger groups, members cannot see each other's marks, and the status of messages stays SENT.",
  }),
});

export const presenceSettings = defineSettings('Receipts, presence and typing', {
  PRESENCE_GRACE: setting(duration(), {
    default: '10s',
    description: 'How long a person still counts as online after their last connection has closed.',
  }),
  PRESENCE_INTERVAL: setting(duration(), {
    default: '5s',
    description:
      'How often a node announces to the others that it is alive. When three announcements are missing, the people connected to it count as offline.',
  }),
  PRESENCE_MAX_WATCHED: setting(integer(1, 10_000), {
    default: '500',
    description: 'The maximum number of people whose presence one subscription can watch.',
    clientDescription: 'The maximum number of users in one subscription to `presence`.',
  }),
  PRESENCE_STREAMS_PER_PERSON_MAX: setting(integer(1, 1_000_000), {
    default: '100',
    description:
      'The maximum number of presence subscriptions of one person at one node. A further one fails with `RATE_LIMITED`.',
    rateLimit: true,
  }),
});

export const typingSettings = defineSettings('Receipts, presence and typing', {
  TYPING_TTL: setting(duration(), {
    default: '6s',
    description: 'How long a person counts as typing after the last `setTyping` call.',
    clientDescription: 'For how many milliseconds a call of `setTyping` is valid.',
  }),
  TYPING_MAX_MEMBERS: setting(integer(2, 10_000), {
    default: '250',
    description: 'The size up to which a conversation shows who is typing.',
    clientDescription: 'The maximum number of members of a conversation in which typing is shown.',
  }),
});
