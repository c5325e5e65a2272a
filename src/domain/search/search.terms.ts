import { inOneGo, type Slices, type Steps } from '../../core/slices.js';
import { UNSPACED } from '../../core/text/characters.js';
import { foldWords } from '../../core/text/fold.js';
import type { Message } from '../../generated/prisma/client.js';

/** Characters of a word that count. */
const WORD_MAX_CHARS = 48;
/** The last position that a tsvector can tell from others: what stands behind it in a text is not found. */
const POSITION_MAX = 16_383;
/** So many terms are read in one step of work that is done in slices. */
const TERMS_PER_STEP = 64;

const IGNORED = '\\p{Default_Ignorable_Code_Point}';
const unspaced = `[${UNSPACED}]`;
/** Letters and digits, with what is not seen among them, and the signs that make a name of a letter: `C++`, `F#`. */
const RUN = new RegExp(
  `(?<run>[\\p{L}\\p{M}\\p{N}${IGNORED}]+)(?<signs>\\+{1,3}(?![+\\p{L}\\p{N}])|#(?![#\\p{L}\\p{N}]))?`,
  'gu',
);
const PIECE = new RegExp(`(?<unspaced>(?:${unspaced}[\\p{M}${IGNORED}]*)+)|(?:(?!${unspaced}).)+`, 'gsu');
/** With what belongs to it; that of halfwidth kana is a letter to Unicode. */
const CHARACTER = new RegExp(`(?!${IGNORED})\\P{M}[\\p{M}\\uff9e\\uff9f${IGNORED}]*|[\\p{M}${IGNORED}]+`, 'gu');
/** Characters of scripts without spaces that are folded already, as most are. */
const FOLDED = /^[\u0e01-\u0e32\u0e34-\u0e3a\u0e40-\u0e4e\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff]+$/;

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
  /** The last character of such a run by itself, at the position of the pair that it is in. */
  single?: true;
  /** A word without the signs behind it (`C` of `C++`), at the position of the word with them. */
  bare?: true;
}

/**
 * The terms of a text, in its order. A word is one, folded. Where words are not set apart (Chinese, Japanese, Thai, …)
 * each pair of neighbouring characters is one, so that whatever part of a run is asked for stands there as pairs beside
 * each other; its last character is one too, so that each character begins a term.
 */
export const termsOf = (text: string): Term[] => [...eachTerm(text)];

/** The same one after another: who has found enough stops. */
export function* eachTerm(text: string): Generator<Term> {
  let position = 0;
  for (const { index, groups = {} } of text.matchAll(RUN)) {
    const run = groups['run'] as string;
    const signs = groups['signs'] ?? '';
    for (const { 0: piece, index: at, groups: pieces } of run.matchAll(PIECE)) {
      const start = index + at;
      if (pieces?.['unspaced'] === undefined) {
        const words = foldWords(piece);
        const end = start + piece.length;
        const isSigned = signs !== '' && at + piece.length === run.length;
        for (const [number, word] of words.entries()) {
          position += 1;
          const term = { text: cut(word), position, start, end };
          if (isSigned && number === words.length - 1) {
            yield { ...term, bare: true };
            yield { ...term, text: cut(word) + signs, end: end + signs.length };
          } else {
            yield term;
          }
        }
        continue;
      }
      let count = 0;
      let first: Character | undefined;
      for (const second of charactersOf(piece, start)) {
        if (first) {
          position += 1;
          yield pairOf(first, second, position);
        }
        first = second;
        count += 1;
      }
      if (!first) continue;
      if (count === 1) position += 1;
      yield {
        text: cut(first.folded),
        position,
        start: first.start,
        end: first.end,
        firstEnd: first.end,
        single: true,
      };
    }
  }
}

interface Character {
  folded: string;
  start: number;
  end: number;
}

function* charactersOf(piece: string, from: number): Generator<Character> {
  for (const { 0: character, index } of piece.matchAll(CHARACTER)) {
    const folded = FOLDED.test(character) ? character : foldWords(character).join('');
    if (folded !== '') yield { folded, start: from + index, end: from + index + character.length };
  }
}

const pairOf = (first: Character, second: Character, position: number): Term => ({
  text: cut(first.folded + second.folded),
  position,
  start: first.start,
  end: second.end,
  firstEnd: first.end,
});

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
/** Stands in a template for the key of a part; in no term, and nothing to PostgreSQL. */
export const PART = '~';

/** What the index holds beside terms; none of these signs begins a term. */
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

/**
 * What the index holds of a text wherever that stands, with PART for its part's key: the costly half of
 * `searchVectorOf`, in steps.
 */
function* textEntriesOf(text: string): Steps<string> {
  const positions = new Map<string, number[]>();
  let count = 0;
  for (const term of eachTerm(text)) {
    if (term.position > POSITION_MAX) break;
    const known = positions.get(term.text);
    if (known) known.push(term.position);
    else positions.set(term.text, [term.position]);
    count += 1;
    if (count % TERMS_PER_STEP === 0) yield;
  }
  let written = LINK.test(text) ? `'${PART}${entries.has('link')}'` : '';
  for (const [term, at] of positions) {
    written += ` '${PART}${entries.term(term)}':${at.join(',')}`;
    count += 1;
    if (count % TERMS_PER_STEP === 0) yield;
  }
  return written;
}

/** What the column `search` of a message holds, as PostgreSQL writes a tsvector. */
export const searchVectorOf = (message: Indexed): string =>
  searchVectorFrom(message, inOneGo(textEntriesOf(message.text)));

/** The same, with what `textEntriesOf` gave of its text. */
export function searchVectorFrom(message: Omit<Indexed, 'text'>, textEntries: string): string {
  const key = partKey(message.conversationId, message.seq >> PART_BITS);
  let vector = textEntries.replaceAll(PART, key);
  if (message.senderId !== null) vector += ` '${key}${entries.sender(message.senderId)}'`;
  if (message.mentionedIds.length > 0 || message.mentionsEveryone) vector += ` '${key}${entries.has('mention')}'`;
  return vector;
}

/** Texts up to this length are read at once: that takes less than what else is done for a message. */
const SHORT_CHARS = 1_000;

/** The entries of a text; those of a long one are made in slices, so that nobody else waits for it. */
export const readTextEntries = (slices: Slices, text: string): string | Promise<string> =>
  text.length <= SHORT_CHARS ? inOneGo(textEntriesOf(text)) : slices(textEntriesOf(text));
