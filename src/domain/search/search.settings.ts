import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { integer } from '../../infra/config/kinds.js';

export const searchSettings = defineSettings('Search', {
  SEARCH_PHRASE_BYTES_MAX: setting(integer(65_536, 1_073_741_824), {
    default: '16777216',
    description:
      'The maximum number of bytes of index entries that one search reads to check whether the words of a phrase, or the characters of a word in a script without spaces, are adjacent. The entry of a message with 8,000 Chinese characters has about 120,000 bytes. Messages are checked from the newest one in the most recently active conversations; those beyond the limit are not found. A search takes longer with a higher value.',
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof searchSettings> {}
}
