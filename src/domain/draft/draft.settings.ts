import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { integer, rate } from '../../infra/config/kinds.js';
import { RATE_PER_NODE } from '../../infra/config/rates.settings.js';

export const draftSettings = defineSettings('Messages', {
  DRAFTS_MAX: setting(integer(1, 1_000), {
    default: '200',
    description: 'The maximum number of drafts of one user; there is at most one in each conversation.',
    clientDescription: 'The maximum number of drafts of one user, who can have at most one in each conversation.',
  }),
  DRAFT_MAX_CHARS: setting(integer(1, 100_000), {
    default: '8000',
    defaultFrom: 'MESSAGE_MAX_CHARS',
    description: 'The maximum length of a draft in UTF-16 code units.',
    clientDescription: "The maximum length of a draft's text, in UTF-16 code units.",
  }),
});

export const draftRateSettings = defineSettings('Rate limits', {
  RATE_DRAFT_PER_PERSON: setting(rate, {
    default: '300/1m',
    description: `Drafts that one user saves or deletes. ${RATE_PER_NODE}`,
    rateLimit: true,
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof draftSettings>, SectionValues<typeof draftRateSettings> {}
}
