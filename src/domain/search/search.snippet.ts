import { inOneGo, type Steps } from '../../core/slices.js';
import { withoutDirections } from '../../core/text/characters.js';
import type { Phrase, QueryTerm } from './search.query.js';
import { eachTerm, type Term } from './search.terms.js';

/** What stands around a match. */
const MARK_BEGIN = '«';
const MARK_END = '»';
/** What encloses a match until the snippet is complete: control characters, which no snippet contains. */
const BEGIN = '\u0001';
const END = '\u0002';
/** Longest snippet, in UTF-16 units, without its marks and the dots at its ends. */
export const SNIPPET_MAX_CHARS = 160;
/** How much of that stands before the first match, where the text goes on before it. */
const LEAD_CHARS = 40;
/** From its first match on, so much of the text is sure to be in the snippet. */
const REACH_CHARS = SNIPPET_MAX_CHARS - LEAD_CHARS;
/** How far a cut moves to fall between words. */
const SLACK_CHARS = 24;

interface Match {
  start: number;
  end: number;
  /** Which of the phrases. */
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

/** How many positions of a text are read in one step of work that is done in slices. */
const POSITIONS_PER_STEP = 64;

/**
 * The part of a text that contains most of the phrases, or, if nothing matches, its beginning. It is plain text, as the
 * message is: whoever shows it as HTML has to escape it.
 */
export const snippetOf = (text: string, phrases: readonly Phrase[]): Snippet => inOneGo(snippetSteps(text, phrases));

/** The same, in steps. */
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

/** Both forms of a snippet in which control characters enclose the matches. */
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

/** Without what would end the line or turn its direction, and without control characters. */
const shown = (text: string): string => withoutDirections(text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' '));

/**
 * Where phrases stand in a text, in its order; no more is read of it than a snippet needs. It takes as long for many
 * phrases as for one: of all their terms it is known at each position, by a bit for each, whether the text's last terms
 * are the phrase's up to that one (the algorithm is called Shift-And).
 */
function* matchesIn(text: string, phrases: readonly Phrase[]): Generator<undefined, Match[]> {
  const matches: Match[] = [];
  if (phrases.length === 0) return matches;
  const pattern = patternOf(phrases);
  const lastStart = new Array<number>(phrases.length).fill(Number.NEGATIVE_INFINITY);
  let missing = phrases.length;
  let stopAt = Number.POSITIVE_INFINITY;
  /** The terms at the last positions, as many as a phrase can have. */
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
      // All are here: what else the text has would be no better.
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

/** Terms of all phrases together, each a bit: as many as fit into two numbers, and as many as a query can have. */
const RECENT = 64;
type Bits = readonly [low: number, high: number];

function patternOf(phrases: readonly Phrase[]) {
  const exact = new Map<string, Bits>();
  /** By their length: of a term so many beginnings are looked up. */
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
      // What of one phrase ends must not begin another: each begins anywhere, which is what `starts` says.
      return [((low << 1) | starts[0]) & fits[0], ((high << 1) | (low >>> 31) | starts[1]) & fits[1]];
    },
    endsIn: ([low, high]: Bits): number[] =>
      ((low & lastBits[0]) | (high & lastBits[1])) === 0
        ? []
        : ends.flatMap(([own, number]) => (((low & own[0]) | (high & own[1])) === 0 ? [] : [number])),
  };
}

const or = (one: Bits | undefined, other: Bits): Bits => (one ? [one[0] | other[0], one[1] | other[1]] : other);

const matchesTerm = (term: Term, { text, prefix }: QueryTerm): boolean =>
  prefix ? term.text.startsWith(text) : term.text === text;

/** Where the part begins in which most phrases stand. */
function bestStart(matches: readonly Match[]): Match | undefined {
  let best: Match | undefined;
  let most = 0;
  // Of what is in reach, how often each phrase stands there.
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

/** Without overlaps: pairs of characters that follow each other are one. */
function merged(matches: readonly Match[]): { start: number; end: number }[] {
  const spans: { start: number; end: number }[] = [];
  for (const { start, end } of matches) {
    const last = spans.at(-1);
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else spans.push({ start, end });
  }
  return spans;
}

/** A place to begin at, not before `at` and not behind `latest`: where a word begins, else where a character does. */
function cutAfter(text: string, at: number, latest: number): number {
  const space = text.slice(at, Math.min(at + SLACK_CHARS, latest)).search(/\s/u);
  return space >= 0 ? at + space + 1 : Math.min(whole(text, at), latest);
}

/** A place to end at, not behind `at` and not before `earliest`. */
function cutBefore(text: string, at: number, earliest: number): number {
  if (at <= earliest) return Math.min(at, earliest);
  const from = Math.max(at - SLACK_CHARS, earliest);
  const space = text.slice(from, at).search(/\s\S*$/u);
  if (space >= 0) return from + space;
  let end = at;
  while (end > earliest && !isWhole(text, end)) end -= 1;
  return end;
}

function whole(text: string, at: number): number {
  let place = at;
  while (place < text.length && !isWhole(text, place)) place += 1;
  return place;
}

/** Whether a text may be cut there: not within a character, and not before what belongs to the one before. */
const isWhole = (text: string, at: number): boolean => {
  const before = text.charCodeAt(at - 1);
  if (before === 0x200d || (before >= 0xd800 && before <= 0xdbff)) return false;
  return !/^(?:\p{M}|\p{Emoji_Modifier}|\u200d)/u.test(text.slice(at, at + 2));
};
