import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { rate } from '../../infra/config/kinds.js';
import { RATE_PER_NODE } from '../../infra/config/rates.settings.js';

export const profileRateSettings = defineSettings('Rate limits', {
  RATE_PROFILE_PER_PERSON: setting(rate, {
    default: '60/10m',
    description: `Profile changes of one user, each of which is announced in all of the user's conversations. ${RATE_PER_NODE}`,
    rateLimit: true,
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof profileRateSettings> {}
}
