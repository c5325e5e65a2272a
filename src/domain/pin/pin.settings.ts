import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { integer } from '../../infra/config/kinds.js';

export const pinSettings = defineSettings('Messages', {
  PINS_MAX: setting(integer(1, 100), {
    default: '100',
    description: 'The maximum number of pinned messages in one conversation.',
    clientDescription: 'The maximum number of pinned messages in one conversation.',
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof pinSettings> {}
}
