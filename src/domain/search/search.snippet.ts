import type { Phrase, QueryTerm } from './search.query.js';
import { type Term, termsOf } from './search.terms.js';

/** What stands around a match. */
const MARK_BEGIN = '«';
const MARK_END = '»';
/** Longest snippet, in UTF-16 units, without its marks and the dots at its ends. */
export const SNIPPET_MAX_CHARS = 160;
/** How much of that stands before the first match, where the text goes on before it. */
const LEAD_CHARS = 40;
/** How far a cut moves to fall between words. */
const SLACK_CHARS = 24;

interface Match {
  start: number;
  end: number;
  /** Which of the phrases. */
  phrase: number;
}

/**
 * The part of a text in which most of the phrases stand, on one line, each word that matches between « and »; where
 * nothing matches, the text's beginning. What of the text could be taken for these marks is shown as ‹ and ›. It is
 * plain text, as the message is: whoever shows it as HTML has to escape it.
 */
export function snippetOf(text: string, phrases: readonly Phrase[]): string {
  const matches = matchesIn(text, phrases);
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
    snippet += `${shown(text.slice(at, start))}${MARK_BEGIN}${shown(text.slice(start, shownEnd))}${MARK_END}`;
    at = shownEnd;
  }
  snippet += shown(text.slice(at, to));
  return `${from > 0 ? '…' : ''}${snippet.replace(/\s+/gu, ' ').trim()}${to < text.length ? '…' : ''}`;
}

/** Without what would end the line, turn its direction, or be taken for a mark. */
const shown = (text: string): string =>
  text
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(/[\u202a-\u202e\u2066-\u2069]/gu, '')
    .replaceAll(MARK_BEGIN, '‹')
    .replaceAll(MARK_END, '›');

function matchesIn(text: string, phrases: readonly Phrase[]): Match[] {
  const terms = termsOf(text);
  const at = new Map<number, Term[]>();
  for (const term of terms) at.set(term.position, [...(at.get(term.position) ?? []), term]);
  const matches: Match[] = [];
  for (const [number, phrase] of phrases.entries()) {
    const [head, ...rest] = phrase;
    for (const term of head ? terms : []) {
      if (!matchesTerm(term, head as QueryTerm)) continue;
      const found = [term];
      for (const [index, next] of rest.entries()) {
        const follower = at.get(term.position + index + 1)?.find((one) => matchesTerm(one, next));
        if (!follower) break;
        found.push(follower);
      }
      if (found.length < phrase.length) continue;
      for (const [index, { start, end, firstEnd }] of found.entries()) {
        const single = phrase[index]?.single === true;
        matches.push({ start, end: single ? (firstEnd ?? end) : end, phrase: number });
      }
    }
  }
  return matches.sort((one, other) => one.start - other.start || one.end - other.end);
}

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
    for (let other = matches[next]; other && other.end - match.start <= SNIPPET_MAX_CHARS - LEAD_CHARS; ) {
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
