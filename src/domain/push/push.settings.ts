import { parseUrl } from '../../core/urls.js';
import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { duration, flag, integer, list, textThat, url } from '../../infra/config/kinds.js';
import { readDestination } from '../../infra/outgoing/destinations.js';

const isContact = (given: string) =>
  /^(?:mailto:[^@\s]+@[^@\s]+|https:\/\/\S+)$/.test(given) && parseUrl(given) !== undefined;

export const pushSettings = defineSettings('Notifications', {
  WEB_PUSH: setting(flag, {
    default: 'on',
    description:
      'Whether browsers and UnifiedPush apps can register for pushes. Texts are encrypted for the device; the push service of its browser learns when which device receives one. See docs/NOTIFICATIONS.md.',
  }),
  PUSH_CONTACT: setting(textThat('a `mailto:` or `https:` URL', isContact), {
    description: 'How the operators of push services can contact you. Safari requires it.',
    whenUnset: 'the address of `MAIL_FROM`, if that is set',
    example: 'mailto:admin@example.com',
  }),
  PUSH_HOSTS: setting(list('hosts, *.domains or origins, separated by commas', readDestination), {
    default: 'fcm.googleapis.com,*.push.services.mozilla.com,*.push.apple.com,*.notify.windows.com',
    description:
      'The push services whose endpoints clients can register: the names of hosts, `*.` and a domain for all hosts below it, or `*` for all hosts. They are reached with https and at public addresses only. An origin such as `http://10.0.0.5:8080` is trusted instead: it can use http and a private address.',
  }),
  PUSH_GATEWAY_URL: setting(url('https', 'http'), {
    description:
      "A push gateway for apps on Android and iOS that supports Matrix's Push Gateway API, such as Sygnal. It receives only ids and the number of unread messages.",
    whenUnset: 'no gateway',
    example: 'http://sygnal:5000',
  }),
  PUSH_SUBSCRIPTIONS_MAX: setting(integer(1, 1_000), {
    default: '30',
    description: 'The maximum number of devices of one user that receive pushes. A further one replaces the oldest.',
    clientDescription:
      'The maximum number of devices of one user that receive pushes. A further one replaces the oldest.',
  }),
  PUSH_ATTENTION_DELAY: setting(duration(), {
    default: '20s',
    description:
      'How long a push waits while the user is looking at one of their devices, so that they can read the message there first.',
  }),
  PUSH_ATTENTION_TTL: setting(duration(), {
    default: '90s',
    description: 'How long a user counts as looking at a device after the last `setAttention` of that device.',
    clientDescription:
      'How long the viewer counts as looking at a device after the last `setAttention` of that device, in milliseconds. Repeat the call within this time.',
  }),
  PUSH_BADGE_DELAY: setting(duration(), {
    default: '5s',
    description:
      'The delay after which a gateway receives a new number of unread messages, for the icon of the app: after the user has read messages, or has muted or left a conversation, or after unread messages were deleted. Changes within the delay are combined.',
  }),
  PUSH_TTL: setting(duration('1s'), {
    default: '1d',
    description:
      'How long push services keep a push for a device that is offline, and for how long a push that they do not accept is retried.',
  }),
  PUSH_ATTEMPTS_MAX: setting(integer(1, 100), {
    default: '10',
    description: 'The maximum number of attempts to send a push. The pause doubles after each attempt.',
  }),
  PUSH_AT_ONCE: setting(integer(1, 10_000), {
    default: '60',
    description: 'The maximum number of pushes that a node sends at the same time.',
  }),
  PUSH_AT_ONCE_PER_SERVICE: setting(integer(1, 10_000), {
    default: '20',
    description: 'The maximum number of pushes that a node sends at the same time to one push service.',
  }),
  PUSH_TIMEOUT: setting(duration(), {
    default: '10s',
    description: 'How long a push service or a gateway may take to respond.',
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof pushSettings> {}
}
