import { defineMessagePart } from '../message/message.part.js';
import { readTextEntries, searchVectorFrom, type TextEntries } from './search.terms.js';

/** The search index of messages. */
export const searchPart = defineMessagePart('search', {
  column: {
    name: 'search',
    type: 'tsvector',
    derive: ({ slices }, text): TextEntries | Promise<TextEntries> => readTextEntries(slices, text),
    valueOf: (message, textEntries) => searchVectorFrom(message, textEntries, message.parts.attachments),
  },
});
