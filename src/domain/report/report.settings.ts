import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { duration, integer, rate } from '../../infra/config/kinds.js';
import { RATE_PER_NODE } from '../../infra/config/rates.settings.js';

export const reportSettings = defineSettings('Reports', {
  REPORT_COMMENT_MAX_CHARS: setting(integer(1, 10_000), {
    default: '1000',
    description: 'The maximum length of the comment of a report in UTF-16 code units, after trimming.',
    clientDescription: 'The maximum length of the comment of a report after trimming, in UTF-16 code units.',
  }),
  REPORT_RETENTION: setting(duration('1d'), {
    default: '365d',
    description: 'How long an open report is kept, with its copy of the message. See docs/REPORTS.md.',
  }),
  REPORT_RESOLVED_RETENTION: setting(duration('1m'), {
    default: '30d',
    description: 'How long a report is kept after it was resolved, with its copy of the message.',
  }),
});

export const reportRateSettings = defineSettings('Rate limits', {
  RATE_REPORT_PER_PERSON: setting(rate, {
    default: '30/1h',
    description: `Messages that one user reports. ${RATE_PER_NODE}`,
    rateLimit: true,
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof reportSettings>, SectionValues<typeof reportRateSettings> {}
}
