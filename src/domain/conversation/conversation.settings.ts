import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { rate } from '../../infra/config/kinds.js';
import { RATE_PER_NODE } from '../../infra/config/rates.settings.js';

export const conversationRateSettings = defineSettings('Rate limits', {
  RATE_OPEN_DIRECT_PER_PERSON: setting(rate, {
    default: '120/1h',
    description: `Direct conversations that one user creates; opening an existing one is not counted. ${RATE_PER_NODE}`,
    rateLimit: true,
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof conversationRateSettings> {}
}
