import { foldWords } from '../../core/words.js';
import type { Message } from '../../generated/prisma/client.js';

/** Characters of a word that count. */
const WORD_MAX_CHARS = 48;
/** The last position that a tsvector can tell from others: what stands behind it in a text is not found. */
const POSITION_MAX = 16_383;

/** Of scripts that are written without spaces between words. */
const unspaced =
  '[\\p{scx=Han}\\p{scx=Hira}\\p{scx=Kana}\\p{scx=Bopo}\\p{scx=Thai}\\p{scx=Laoo}\\p{scx=Khmr}\\p{scx=Mymr}]';
const RUN = /[\p{L}\p{M}\p{N}]+/gu;
const PIECE = new RegExp(`(?<unspaced>(?:${unspaced}\\p{M}*)+)|(?:(?!${unspaced}).)+`, 'gsu');
/** With what belongs to it; that of halfwidth kana is a letter to Unicode. */
const CHARACTER = /\P{M}[\p{M}\uff9e\uff9f]*|\p{M}+/gu;

/** What of a text can be found, and where it stands there. */
export interface Term {
  text: string;
  /** 1, 2, 3, …: terms that follow each other stand beside each other. */
  position: number;
  /** From where to where in the text, in UTF-16 units. */
  start: number;
  end: number;
  /** Where its first character ends, of scripts without spaces; else absent. */
  firstEnd?: number;
  /** The last character of such a run by itself, beside the pair that it is in. */
  single?: true;
}

/**
 * The terms of a text, in its order. A word is one, folded (case, accents). Where words are not set apart (Chinese,
 * Japanese, Thai, …) each pair of neighbouring characters is one, so that whatever part of a run is asked for stands
 * there as pairs beside each other; its last character is one too, so that each character begins a term.
 */
export function termsOf(text: string): Term[] {
  const terms: Term[] = [];
  let position = 0;
  for (const run of text.matchAll(RUN)) {
    for (const piece of run[0].matchAll(PIECE)) {
      const start = run.index + piece.index;
      if (piece.groups?.['unspaced'] === undefined) {
        for (const word of foldWords(piece[0])) {
          position += 1;
          terms.push({ text: cut(word), position, start, end: start + piece[0].length });
        }
        continue;
      }
      const characters = charactersOf(piece[0], start);
      for (const [index, first] of characters.entries()) {
        const second = characters[index + 1];
        if (second || characters.length === 1) position += 1;
        terms.push({
          text: cut(first.folded + (second?.folded ?? '')),
          position,
          start: first.start,
          end: second?.end ?? first.end,
          firstEnd: first.end,
          ...(!second && { single: true as const }),
        });
      }
    }
  }
  return terms;
}

function charactersOf(piece: string, from: number) {
  return [...piece.matchAll(CHARACTER)]
    .map(({ 0: character, index }) => ({
      folded: foldWords(character).join(''),
      start: from + index,
      end: from + index + character.length,
    }))
    .filter(({ folded }) => folded !== '');
}

const cut = (word: string) => (word.length <= WORD_MAX_CHARS ? word : [...word].slice(0, WORD_MAX_CHARS).join(''));

/** Messages of a conversation whose terms stand together in the index: those with the same `seq >> PART_BITS`. */
export const PART_BITS = 12;

/**
 * What the index knows a part of a conversation by, the beginning of all that it holds of it. With it a search meets
 * terms of the viewer's conversations only, however common they are elsewhere. Others may share it: who reads by it
 * compares the conversation as well.
 */
const partKey = (conversationId: string, part: number): string => `${conversationId.slice(-PART_ID_CHARS)}${part}`;
/** The last characters of a conversation's id, which are random. */
export const PART_ID_CHARS = 8;

/** What the index holds beside terms; none of these signs is in a term. */
export const entries = {
  term: (text: string) => `:${text}`,
  sender: (userId: string) => `@${userId.slice(-12)}`,
  has: (what: Has) => `#${what}`,
};

export const hasWhat = ['link', 'mention'] as const;
/** What a message can be asked to hold. */
export type Has = (typeof hasWhat)[number];

const LINK = /(?:\bhttps?:\/\/|\bwww\.)[^\s/]/iu;

type Indexed = Pick<Message, 'conversationId' | 'seq' | 'senderId' | 'mentionedIds' | 'mentionsEveryone'> & {
  text: string;
};

/** What the column `search` of a message holds, as PostgreSQL writes a tsvector. */
export function searchVectorOf(message: Indexed): string {
  const key = partKey(message.conversationId, message.seq >> PART_BITS);
  const positions = new Map<string, number[]>();
  for (const { text, position } of termsOf(message.text)) {
    if (position > POSITION_MAX) break;
    const known = positions.get(text);
    if (known) known.push(position);
    else positions.set(text, [position]);
  }
  const facts: string[] = [];
  if (message.senderId !== null) facts.push(entries.sender(message.senderId));
  if (LINK.test(message.text)) facts.push(entries.has('link'));
  if (message.mentionedIds.length > 0 || message.mentionsEveryone) facts.push(entries.has('mention'));
  return [
    ...[...positions].map(([text, at]) => `'${key}${entries.term(text)}':${at.join(',')}`),
    ...facts.map((fact) => `'${key}${fact}'`),
  ].join(' ');
}
