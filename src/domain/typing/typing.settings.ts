import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { duration, integer } from '../../infra/config/kinds.js';

export const typingSettings = defineSettings('Receipts, presence and typing', {
  TYPING_TTL: setting(duration(), {
    default: '6s',
    description: 'How long a user counts as typing after the last `setTyping` call.',
    clientDescription: 'For how many milliseconds a call of `setTyping` is valid.',
  }),
  TYPING_MAX_MEMBERS: setting(integer(2, 10_000), {
    default: '250',
    description: 'The size up to which a conversation shows who is typing.',
    clientDescription: 'The maximum number of members of a conversation in which typing is shown.',
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof typingSettings> {}
}
