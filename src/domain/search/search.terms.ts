import { runToCompletion, type Slices, type Steps } from '../../core/steps.js';
import { UNSPACED } from '../../core/text/characters.js';
import { foldWords } from '../../core/text/fold.js';

/** The maximum number of characters of a word that are indexed. */
const WORD_MAX_CHARS = 48;
/** The highest position that a tsvector can represent. Later terms of a text are not found. */
const POSITION_MAX = 16_383;
/** The number of terms that are processed in one step of work that is done in slices. */
const TERMS_PER_STEP = 64;

const IGNORED = '\\p{Default_Ignorable_Code_Point}';
const unspaced = `[${UNSPACED}]`;
/** Letters and digits, including ignorable characters among them, and the signs in names such as `C++` and `F#`. */
const RUN = new RegExp(
  `(?<run>[\\p{L}\\p{M}\\p{N}${IGNORED}]+)(?<signs>\\+{1,3}(?![+\\p{L}\\p{N}])|#(?![#\\p{L}\\p{N}]))?`,
  'gu',
);
const PIECE = new RegExp(`(?<unspaced>(?:${unspaced}[\\p{M}${IGNORED}]*)+)|(?:(?!${unspaced}).)+`, 'gsu');
/** A character with its combining characters. Unicode classifies the voicing marks of halfwidth kana as letters. */
const CHARACTER = new RegExp(`(?!${IGNORED})\\P{M}[\\p{M}\\uff9e\\uff9f${IGNORED}]*|[\\p{M}${IGNORED}]+`, 'gu');
/** Characters of scripts without spaces that folding does not change, which is the case for most of them. */
const FOLDED = /^[\u0e01-\u0e32\u0e34-\u0e3a\u0e40-\u0e4e\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff]+$/;

/** A searchable term of a text with its position. */
export interface Term {
  text: string;
  /** The position of the term: 1, 2, 3, …. Adjacent terms have successive positions. */
  position: number;
  /** The range in the text, in UTF-16 code units, the end exclusive. */
  start: number;
  end: number;
  /** For pairs of characters, the end of the first character. */
  firstEnd?: number;
  /** Whether this is the last character of a run without spaces, at the position of the pair that contains it. */
  single?: true;
  /** Whether this is a word without its signs (`C` of `C++`), at the position of the word with them. */
  bare?: true;
}

/**
 * The terms of a text, in the order of the text. A folded word is one term. In scripts without spaces (Chinese,
 * Japanese, Thai, …), each pair of neighbouring characters is a term, so that every part of a run is found as adjacent
 * pairs. The last character of a run is also a term, so that every character begins a term.
 */
export const termsOf = (text: string): Term[] => [...eachTerm(text)];

/** The same as `termsOf`, one at a time, so that the caller can stop early. */
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

/**
 * The number of low bits of `seq` within a part. Messages with the same `seq >> PART_BITS` form a part of a
 * conversation, whose terms are adjacent in the index.
 */
export const PART_BITS = 12;

/**
 * The key of a part of a conversation, which prefixes all its entries in the index. A search therefore only reads terms
 * of the viewer's conversations, however common they are elsewhere. Keys are not unique: a query must also compare the
 * id of the conversation.
 */
const partKey = (conversationId: string, part: number): string => `${conversationId.slice(-PART_ID_CHARS)}${part}`;
/** The number of characters of a conversation's id in the key: the last ones, which are random. */
export const PART_ID_CHARS = 8;
/** The placeholder for the key of a part in a template. It occurs in no term and has no meaning in a tsquery. */
export const PART = '~';

/** The entries of the index, without the key of the part. Their first characters never begin a term. */
export const entries = {
  term: (text: string) => `:${text}`,
  sender: (userId: string) => `@${userId.slice(-12)}`,
  has: (what: Has) => `#${what}`,
};

export const hasFilterValues = ['link', 'mention', 'attachment', 'image', 'video', 'audio', 'voice', 'file'] as const;
/** The values that the filter `has:` accepts. */
export type Has = (typeof hasFilterValues)[number];

const LINK = /(?:\bhttps?:\/\/|\bwww\.)[^\s/]/iu;

interface Indexed {
  conversationId: string;
  seq: number;
  senderId: string | null;
  mentionedIds: readonly string[];
  mentionsEveryone: boolean;
  text: string;
}

/** The properties of an attachment by which it is found. */
export interface IndexedAttachment {
  kind: 'IMAGE' | 'VIDEO' | 'AUDIO' | 'VOICE' | 'FILE';
  filename: string;
  altText: string | null;
}

/**
 * The maximum number of characters of file names and alternative texts of a message that are indexed: they are processed
 * while the conversation is locked.
 */
const ATTACHMENTS_MAX_CHARS = 2_000;

/** The names and alternative texts of attachments, by which their message is found as if its text contained them. */
export const textOfAttachments = (attachments: readonly IndexedAttachment[]): string =>
  attachments
    .flatMap(({ filename, altText }) => [filename, altText ?? ''])
    .filter((text) => text !== '')
    .join('\n')
    .slice(0, ATTACHMENTS_MAX_CHARS);

/** A voice message is a recording as well. */
const hasOfKind: Record<IndexedAttachment['kind'], readonly Has[]> = {
  IMAGE: ['image'],
  VIDEO: ['video'],
  AUDIO: ['audio'],
  VOICE: ['audio', 'voice'],
  FILE: ['file'],
};

/** What a message has, for the filter `has:`. */
export function hasOf(
  { text, hasMention }: { text: string; hasMention: boolean },
  attachments: readonly IndexedAttachment[],
): Set<Has> {
  const what = new Set<Has>(attachments.flatMap(({ kind }) => hasOfKind[kind]));
  if (attachments.length > 0) what.add('attachment');
  if (LINK.test(text)) what.add('link');
  if (hasMention) what.add('mention');
  return what;
}

/** The index entries of a text, with PART in place of the part's key. */
export interface TextEntries {
  written: string;
  /** The position of the last term. */
  end: number;
}

/** The index entries of a text, in steps. The first term has the position after `from`. */
function* textEntriesOf(text: string, from = 0): Steps<TextEntries> {
  const positions = new Map<string, number[]>();
  let count = 0;
  let end = from;
  for (const term of eachTerm(text)) {
    const position = from + term.position;
    if (position > POSITION_MAX) break;
    end = position;
    const known = positions.get(term.text);
    if (known) known.push(position);
    else positions.set(term.text, [position]);
    count += 1;
    if (count % TERMS_PER_STEP === 0) yield;
  }
  let written = LINK.test(text) ? `'${PART}${entries.has('link')}'` : '';
  for (const [term, at] of positions) {
    written += ` '${PART}${entries.term(term)}':${at.join(',')}`;
    count += 1;
    if (count % TERMS_PER_STEP === 0) yield;
  }
  return { written, end };
}

/** The value of the column `search` of a message, in PostgreSQL's tsvector format. */
export const searchVectorOf = (message: Indexed, attachments: readonly IndexedAttachment[] = []): string =>
  searchVectorFrom(message, runToCompletion(textEntriesOf(message.text)), attachments);

/** The same as `searchVectorOf`, from the result of `textEntriesOf` for its text. */
export function searchVectorFrom(
  message: Omit<Indexed, 'text'>,
  { written, end }: TextEntries,
  attachments: readonly IndexedAttachment[],
): string {
  const key = partKey(message.conversationId, message.seq >> PART_BITS);
  let vector = written.replaceAll(PART, key);
  if (attachments.length > 0) {
    const what = new Set<Has>(['attachment', ...attachments.flatMap(({ kind }) => hasOfKind[kind])]);
    for (const each of what) vector += ` '${key}${entries.has(each)}'`;
    // One position is left out, so that no phrase matches across the end of the text.
    const named = runToCompletion(textEntriesOf(textOfAttachments(attachments), end + 1));
    vector += named.written.replaceAll(PART, key);
  }
  if (message.senderId !== null) vector += ` '${key}${entries.sender(message.senderId)}'`;
  if (message.mentionedIds.length > 0 || message.mentionsEveryone) vector += ` '${key}${entries.has('mention')}'`;
  return vector;
}

/** Texts up to this length are processed synchronously, because that takes less time than the rest of a send. */
const SHORT_CHARS = 1_000;

/**
 * The index entries of a text. Those of a long text are computed in slices, so that they do not block other requests.
 */
export const readTextEntries = (slices: Slices, text: string): TextEntries | Promise<TextEntries> =>
  text.length <= SHORT_CHARS ? runToCompletion(textEntriesOf(text)) : slices(textEntriesOf(text));
