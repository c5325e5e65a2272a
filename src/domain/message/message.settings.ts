import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { integer, rate } from '../../infra/config/kinds.js';
import { RATE_PER_NODE } from '../../infra/config/rates.settings.js';

export const messageSettings = defineSettings('Messages', {
  MESSAGE_MAX_CHARS: setting(integer(1, 100_000), {
    default: '8000',
    description: 'The maximum length of a message in UTF-16 code units, after trimming.',
    clientDescription: "The maximum length of a message's text after trimming, in UTF-16 code units.",
  }),
  MENTIONS_MAX: setting(integer(0, 1_000), {
    default: '50',
    description: 'The maximum number of users whom one message can mention.',
    clientDescription: 'The maximum number of users that one message can mention.',
  }),
});

export const sendRateSettings = defineSettings('Rate limits', {
  RATE_SEND_PER_PERSON: setting(rate, {
    default: '120/1m',
    description: `Messages that one user sends. ${RATE_PER_NODE}`,
    rateLimit: true,
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof messageSettings>, SectionValues<typeof sendRateSettings> {}
}
