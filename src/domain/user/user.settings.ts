import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { rate } from '../../infra/config/kinds.js';
import { RATE_PER_NODE } from '../../infra/config/rates.settings.js';

export const searchRateSettings = defineSettings('Rate limits', {
  RATE_SEARCH_PER_PERSON: setting(rate, {
    default: '120/1m',
    description: `Searches of one user, for example for messages or for users. ${RATE_PER_NODE}`,
    rateLimit: true,
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof searchRateSettings> {}
}
