import { defineMessagePart } from '../message/message.part.js';
import { readTextEntries, searchVectorFrom } from './search.terms.js';

/** The search index of the texts of messages. */
export const searchPart = defineMessagePart('search', {
  column: {
    name: 'search',
    type: 'tsvector',
    derive: ({ slices }, text): string | Promise<string> => readTextEntries(slices, text),
    valueOf: (message, textEntries) => searchVectorFrom(message, textEntries),
  },
});
