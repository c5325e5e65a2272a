import { runToCompletion, type Steps } from '../../core/steps.js';
import { withoutDirections } from '../../core/text/characters.js';
import type { Phrase, QueryTerm } from './search.query.js';
import { eachTerm, type Term } from './search.terms.js';

const MARK_BEGIN = '«';
const MARK_END = '»';
/**
 * The characters that enclose a match until the snippet is complete. They are control characters, which texts in
 * snippets never contain.
 */
const BEGIN = '\u0001';
const END = '\u0002';
/** The maximum length of a snippet, in UTF-16 code units, without marks and ellipses. */
export const SNIPPET_MAX_CHARS = 160;
/** How much text is shown before the first match if the text does not start with it. */
const LEAD_CHARS = 40;
/** How much text from the first match on is always part of the snippet. */
const REACH_CHARS = SNIPPET_MAX_CHARS - LEAD_CHARS;
/** How far a cut can move to fall between words. */
const SLACK_CHARS = 24;

interface Match {
  start: number;
  end: number;
  /** The index of the phrase. */
  phrase: number;
}

/** The part of a text that a search shows. */
export interface Snippet {
  /** Each matching word is enclosed in « and »; where the text contains these characters, they become ‹ and ›. */
  marked: string;
  /** The same without marks, on one line. */
  text: string;
  /** Where the matching words are in `text`, in UTF-16 code units, the end exclusive. */
  matches: { start: number; end: number }[];
}

/** The number of positions of a text that are processed in one step of work that is done in slices. */
const POSITIONS_PER_STEP = 64;

/**
 * Creates the snippet of a text: the part that contains the most phrases, or its beginning if nothing matches. It is
 * plain text, which must be escaped before it is inserted into HTML.
 */
export const snippetOf = (text: string, phrases: readonly Phrase[]): Snippet =>
  runToCompletion(snippetSteps(text, phrases));

/** The same as `snippetOf`, in steps. */
export function* snippetSteps(text: string, phrases: readonly Phrase[]): Steps<Snippet> {
  const matches = yield* matchesIn(text, phrases);
  const first = bestStart(matches);
  let from = 0;
  let to = text.length;
  if (text.length > SNIPPET_MAX_CHARS) {
    from = Math.max(0, Math.min((first?.start ?? 0) - LEAD_CHARS, text.length - SNIPPET_MAX_CHARS));
    to = Math.min(text.length, from + SNIPPET_MAX_CHARS);
    if (from > 0) from = cutAfter(text, from, first?.start ?? from);
    if (to < text.length) to = cutBefore(text, to, Math.max(first?.end ?? 0, from + 1));
  }
  let snippet = '';
  let at = from;
  for (const { start, end } of merged(matches)) {
    if (start < from || start >= to) continue;
    const shownEnd = Math.min(end, to);
    snippet += `${shown(text.slice(at, start))}${BEGIN}${shown(text.slice(start, shownEnd))}${END}`;
    at = shownEnd;
  }
  snippet += shown(text.slice(at, to));
  return formsOf(`${from > 0 ? '…' : ''}${snippet.replace(/\s+/gu, ' ').trim()}${to < text.length ? '…' : ''}`);
}

/** Converts a snippet with control characters around its matches to both forms. */
function formsOf(enclosed: string): Snippet {
  const marked = enclosed
    .replaceAll(MARK_BEGIN, '‹')
    .replaceAll(MARK_END, '›')
    .replaceAll(BEGIN, MARK_BEGIN)
    .replaceAll(END, MARK_END);
  const matches: Snippet['matches'] = [];
  let text = '';
  for (const [index, part] of enclosed.split(BEGIN).entries()) {
    const [match = '', rest = ''] = index === 0 ? ['', part] : part.split(END);
    const start = text.length;
    text += match;
    if (match !== '') matches.push({ start, end: text.length });
    text += rest;
  }
  return { marked, text, matches };
}

/**
 * Replaces line breaks and control characters with spaces, and removes characters that change the direction of text.
 */
const shown = (text: string): string => withoutDirections(text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' '));

/**
 * Finds the phrases in a text, in the order of the text, and stops as soon as the snippet cannot change any more. It
 * uses the Shift-And algorithm: one bit for each term of each phrase, which is set if the phrase matches up to this
 * term at the current position. The time does not depend on the number of phrases.
 */
function* matchesIn(text: string, phrases: readonly Phrase[]): Generator<undefined, Match[]> {
  const matches: Match[] = [];
  if (phrases.length === 0) return matches;
  const pattern = patternOf(phrases);
  const lastStart = new Array<number>(phrases.length).fill(Number.NEGATIVE_INFINITY);
  let missing = phrases.length;
  let stopAt = Number.POSITIVE_INFINITY;
  /** The terms at the last RECENT positions: a ring buffer that covers the longest phrase. */
  const recent: Term[][] = [];
  let state = pattern.none();

  const report = (position: number) => {
    for (const number of pattern.endsIn(state)) {
      const phrase = phrases[number] as Phrase;
      const spans = phrase.map((queried, index): Match => {
        const there = recent[(position - phrase.length + 1 + index) % RECENT] as Term[];
        const { start, end, firstEnd } = there.find((term) => matchesTerm(term, queried)) as Term;
        return { start, end: queried.single ? (firstEnd ?? end) : end, phrase: number };
      });
      matches.push(...spans);
      if (lastStart[number] === Number.NEGATIVE_INFINITY) missing -= 1;
      const first = spans[0] as Match;
      lastStart[number] = first.start;
      // All phrases have been found close together: the rest of the text cannot improve the snippet.
      const from = missing === 0 ? Math.min(...lastStart) : 0;
      if (missing === 0 && (spans.at(-1) as Match).end - from <= REACH_CHARS) {
        stopAt = Math.min(stopAt, from + SNIPPET_MAX_CHARS);
      }
    }
  };

  let position = 0;
  let there: Term[] = [];
  for (const term of eachTerm(text)) {
    if (term.position !== position) {
      if (position > 0) {
        state = pattern.next(state, there);
        report(position);
        if (position % POSITIONS_PER_STEP === 0) yield;
      }
      if (term.start > stopAt) {
        there = [];
        break;
      }
      position = term.position;
      there = [];
      recent[position % RECENT] = there;
    }
    there.push(term);
  }
  if (there.length > 0) {
    state = pattern.next(state, there);
    report(position);
  }
  return matches.sort((one, other) => one.start - other.start || one.end - other.end);
}

/** The maximum number of terms of all phrases, which is that of a query: each is one bit of two 32-bit numbers. */
const RECENT = 64;
type Bits = readonly [low: number, high: number];

function patternOf(phrases: readonly Phrase[]) {
  const exact = new Map<string, Bits>();
  /** Prefixes by their length, so that only existing lengths are looked up for a term. */
  const beginnings = new Map<number, Map<string, Bits>>();
  let starts: Bits = [0, 0];
  const ends: [bit: Bits, phrase: number][] = [];
  let bit = 0;
  for (const [number, phrase] of phrases.entries()) {
    for (const [index, { text, prefix }] of phrase.entries()) {
      const own: Bits = bit < 32 ? [1 << bit, 0] : [0, 1 << (bit - 32)];
      let texts = exact;
      if (prefix) {
        texts = beginnings.get(text.length) ?? new Map<string, Bits>();
        beginnings.set(text.length, texts);
      }
      texts.set(text, or(texts.get(text), own));
      if (index === 0) starts = or(starts, own);
      if (index === phrase.length - 1) ends.push([own, number]);
      bit += 1;
    }
  }
  const lastBits = ends.reduce<Bits>((bits, [own]) => or(bits, own), [0, 0]);

  return {
    none: (): Bits => [0, 0],
    next([low, high]: Bits, there: readonly Term[]): Bits {
      let fits: Bits = [0, 0];
      for (const { text } of there) {
        fits = or(exact.get(text), fits);
        for (const [length, texts] of beginnings) {
          if (text.length >= length) fits = or(texts.get(text.slice(0, length)), fits);
        }
      }
      if ((fits[0] | fits[1]) === 0) return fits;
      // A carry from the end of one phrase to the start of the next has no effect, because every phrase can start
      // anywhere (`starts`).
      return [((low << 1) | starts[0]) & fits[0], ((high << 1) | (low >>> 31) | starts[1]) & fits[1]];
    },
    endsIn: ([low, high]: Bits): number[] =>
      ((low & lastBits[0]) | (high & lastBits[1])) === 0
        ? []
        : ends.flatMap(([own, number]) => (((low & own[0]) | (high & own[1])) === 0 ? [] : [number])),
  };
}

const or = (one: Bits | undefined, other: Bits): Bits => (one ? [one[0] | other[0], one[1] | other[1]] : other);

export const matchesTerm = (term: Term, { text, prefix }: QueryTerm): boolean =>
  prefix ? term.text.startsWith(text) : term.text === text;

/** The match at which the part of the text begins that contains the most phrases. */
function bestStart(matches: readonly Match[]): Match | undefined {
  let best: Match | undefined;
  let most = 0;
  // For the matches in reach, the number of matches of each phrase.
  const inReach = new Map<number, number>();
  let next = 0;
  for (const match of matches) {
    for (let other = matches[next]; other && other.end - match.start <= REACH_CHARS; ) {
      inReach.set(other.phrase, (inReach.get(other.phrase) ?? 0) + 1);
      next += 1;
      other = matches[next];
    }
    if (inReach.size > most) {
      most = inReach.size;
      best = match;
    }
    const left = (inReach.get(match.phrase) ?? 0) - 1;
    if (left > 0) inReach.set(match.phrase, left);
    else inReach.delete(match.phrase);
  }
  return best ?? matches[0];
}

/** Merges overlapping and adjacent matches, such as successive pairs of characters. */
function merged(matches: readonly Match[]): { start: number; end: number }[] {
  const spans: { start: number; end: number }[] = [];
  for (const { start, end } of matches) {
    const last = spans.at(-1);
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else spans.push({ start, end });
  }
  return spans;
}

/** A position to start at, from `at` to `latest`: the start of a word if possible, otherwise of a character. */
function cutAfter(text: string, at: number, latest: number): number {
  const space = text.slice(at, Math.min(at + SLACK_CHARS, latest)).search(/\s/u);
  return space >= 0 ? at + space + 1 : Math.min(characterStartFrom(text, at), latest);
}

/** A position to end at, from `earliest` to `at`. */
function cutBefore(text: string, at: number, earliest: number): number {
  if (at <= earliest) return Math.min(at, earliest);
  const from = Math.max(at - SLACK_CHARS, earliest);
  const space = text.slice(from, at).search(/\s\S*$/u);
  if (space >= 0) return from + space;
  let end = at;
  while (end > earliest && !isCharacterStart(text, end)) end -= 1;
  return end;
}

function characterStartFrom(text: string, at: number): number {
  let place = at;
  while (place < text.length && !isCharacterStart(text, place)) place += 1;
  return place;
}

/** Whether a text can be cut at a position: neither within a character nor before a combining character. */
const isCharacterStart = (text: string, at: number): boolean => {
  const before = text.charCodeAt(at - 1);
  if (before === 0x200d || (before >= 0xd800 && before <= 0xdbff)) return false;
  return !/^(?:\p{M}|\p{Emoji_Modifier}|\u200d)/u.test(text.slice(at, at + 2));
};
