import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { integer } from '../../infra/config/kinds.js';

export const reactionSettings = defineSettings('Messages', {
  REACTION_EMOJIS_MAX: setting(integer(1, 100), {
    default: '20',
    description: 'The maximum number of different emojis in the reactions to one message.',
    clientDescription: 'The maximum number of different emojis in the reactions to one message.',
  }),
  REACTIONS_PER_PERSON_MAX: setting(integer(1, 100), {
    default: '10',
    description: 'The maximum number of reactions of one user to one message.',
    clientDescription: 'The maximum number of reactions that one user can add to one message.',
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof reactionSettings> {}
}
