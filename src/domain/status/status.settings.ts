import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { duration, integer, rate } from '../../infra/config/kinds.js';
import { RATE_PER_NODE } from '../../infra/config/rates.settings.js';

export const statusSettings = defineSettings('Statuses', {
  STATUS_TTL: setting(duration('1s'), {
    default: '24h',
    description: 'How long a status can be seen after it was posted.',
    clientDescription: 'How long a status can be seen after it was posted, in milliseconds.',
  }),
  STATUSES_MAX: setting(integer(1, 1_000), {
    default: '50',
    description: 'The maximum number of statuses of one user that have not expired.',
    clientDescription: 'The maximum number of statuses of one user that have not expired.',
  }),
  STATUS_MAX_CHARS: setting(integer(1, 10_000), {
    default: '700',
    description: 'The maximum length of the text of a status in UTF-16 code units, after trimming.',
    clientDescription: "The maximum length of a status's text after trimming, in UTF-16 code units.",
  }),
  STATUS_VIDEO_MAX: setting(duration('1s'), {
    default: '60s',
    description: 'The maximum length of a video in a status.',
    clientDescription: 'The maximum length of a video in a status, in milliseconds.',
  }),
  STATUS_LISTED_MAX: setting(integer(1, 100_000), {
    default: '5000',
    description: 'The maximum number of users that the audience of a status can name.',
    clientDescription: 'The maximum number of users that the audience of a status can name.',
  }),
});

export const statusRateSettings = defineSettings('Rate limits', {
  RATE_STATUS_PER_PERSON: setting(rate, {
    default: '60/10m',
    description: `Statuses that one user posts. ${RATE_PER_NODE}`,
    rateLimit: true,
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof statusSettings>, SectionValues<typeof statusRateSettings> {}
}
