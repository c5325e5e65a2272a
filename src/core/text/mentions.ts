import { USERNAME_MAX, USERNAME_MIN } from '../usernames.js';
import { UNSPACED } from './characters.js';

const RUN = /[A-Za-z0-9_.-]+/y;
const IGNORED = /\p{Default_Ignorable_Code_Point}/u;
/**
 * Characters of words, in scripts that separate words. Excluded are scripts without spaces, and Korean, whose particles
 * follow a name without a space: there a name can directly follow or precede other letters.
 */
const WORD_PART = new RegExp(`(?![${UNSPACED}\\p{scx=Hang}])[\\p{L}\\p{N}\\p{Mn}\\p{Mc}]`, 'u');
/** A run of characters without spaces, quotes, angle brackets, or Chinese or Japanese punctuation. */
const CHUNK = /[^\s<>"“”„«»‹›|，。！？；：、「」『』（）【】《》]+/gu;
/** A host name at the beginning of a run, with what follows it: `example.com/…`. */
const SITE = /^[\p{Ps}\p{Pi}'*_~]*(?:[\p{L}\p{N}-]+\.)+\p{L}{2,}(?::\d+)?[/?#]/u;
const WWW = /(?<![\p{L}\p{N}])www\./giu;
/** The domain of an email address, after its `@`, and the number of characters in which it is searched. */
const DOMAIN = /^(?:[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}-]*[\p{L}\p{M}\p{N}])?\.)+(?:\p{L}[\p{L}\p{M}]+|xn--[a-z0-9-]+)/iu;
const DOMAIN_MAX = 255;
const LOCAL_PART = /[\p{L}\p{M}\p{N}._%+-]/u;
const LOCAL_PART_MAX = 64;

/**
 * Finds the mentions in a text.
 * @returns for each mention the usernames that it can stand for, in lower case, the longest first: because the
 *   characters that end a sentence can also end a username, "@ana." stands for "ana." if that user exists, and for
 *   "ana" otherwise. docs/TEXT.md describes the rules.
 */
export function namesIn(text: string): string[][] {
  if (!text.includes('@')) return [];
  const names: string[][] = [];
  for (const [chunk] of withoutCode(text).matchAll(CHUNK)) {
    if (!chunk.includes('@')) continue;
    const links = linksIn(chunk);
    let next = 0;
    for (let at = chunk.indexOf('@'); at >= 0; at = chunk.indexOf('@', at + 1)) {
      while (next < links.length && (links[next]?.[1] ?? 0) <= at) next += 1;
      if (at >= (links[next]?.[0] ?? Number.POSITIVE_INFINITY)) continue;
      const found = mentionAt(chunk, at);
      if (found.length > 0) names.push(found);
    }
  }
  return names;
}

function mentionAt(text: string, at: number): string[] {
  if (isWordPart(charBefore(text, at)) || isAddress(text, at)) return [];
  RUN.lastIndex = at + 1;
  const run = RUN.exec(text)?.[0].toLowerCase();
  if (run === undefined) return [];
  const end = at + 1 + run.length;
  // The address of an account on another server: @ana@example.com.
  if (text[end] === '@' && DOMAIN.test(text.slice(end + 1, end + 1 + DOMAIN_MAX))) return [];
  return candidatesOf(run, !(isAlphanumeric(run.at(-1)) && isWordPart(charAfter(text, end))));
}

const isWordPart = (char: string | undefined) => char !== undefined && WORD_PART.test(char);
const isAlphanumeric = (char: string | undefined) => char !== undefined && /[a-z0-9]/.test(char);
const isSign = (char: string | undefined) => char === '_' || char === '.' || char === '-';

/**
 * The usernames that the start of a run can stand for: the whole run, the run without punctuation at its end, and the
 * part before several punctuation characters (`ana--thanks`).
 */
function candidatesOf(run: string, isWhole: boolean): string[] {
  let wordsEnd = run.length;
  while (isSign(run[wordsEnd - 1])) wordsEnd -= 1;
  const names: string[] = [];
  for (let length = Math.min(run.length, USERNAME_MAX); length >= USERNAME_MIN; length -= 1) {
    const [last, next] = [isSign(run[length - 1]), isSign(run[length])];
    const isAtSigns = next && (length >= wordsEnd || last || isSign(run[length + 1]));
    const mayEnd = length === run.length ? isWhole : isAtSigns || (last && isSign(run[length - 2]));
    if (mayEnd) names.push(run.slice(0, length));
  }
  return names;
}

/** Whether the `@` at this index belongs to an email address. The character directly before it is not a letter. */
function isAddress(text: string, at: number): boolean {
  if (!/[_%+-]/.test(text[at - 1] ?? '')) return false;
  let hasWord = false;
  for (let place = at - 1; place >= 0 && place >= at - LOCAL_PART_MAX; place -= 1) {
    const char = text[place] as string;
    if (!LOCAL_PART.test(char)) break;
    hasWord ||= isWordPart(char);
  }
  return hasWord && DOMAIN.test(text.slice(at + 1, at + 1 + DOMAIN_MAX));
}

/** The links in a text without spaces, as pairs of start (inclusive) and end (exclusive), in ascending order. */
function linksIn(text: string): [from: number, to: number][] {
  const links: [number, number][] = [];
  // Each delimiter is searched again only after the previous match was passed; otherwise a text with many links would
  // take quadratic time.
  let colon = text.indexOf('://');
  let www = nextWww(text, 0);
  let start = SITE.test(text) ? 0 : undefined;
  for (let from = 0; ; ) {
    if (colon >= 0 && colon < from) colon = text.indexOf('://', from);
    if (www >= 0 && www < from) www = nextWww(text, from);
    if (start === undefined && colon >= 0) {
      start = colon;
      while (start > from && /[A-Za-z0-9+.-]/.test(text[start - 1] as string)) start -= 1;
    }
    if (www >= 0 && (start === undefined || www < start)) start = www;
    if (start === undefined) return links;
    from = linkEnd(text, start);
    links.push([start, from]);
    start = undefined;
  }
}

function nextWww(text: string, from: number): number {
  WWW.lastIndex = from;
  return WWW.exec(text)?.index ?? -1;
}

/**
 * The end of a link: the end of the run, or a closing bracket whose opening bracket precedes the link, as in
 * `[title](https://example.com)`.
 */
function linkEnd(text: string, from: number): number {
  let open = 0;
  for (let place = from; place < text.length; place += 1) {
    const char = text[place];
    if (char === '(' || char === '[') open += 1;
    if (char === ')' || char === ']') open -= 1;
    if (open < 0) return place;
  }
  return text.length;
}

/** The character before this index, ignoring invisible characters. */
function charBefore(text: string, at: number): string | undefined {
  for (let place = at; place > 0; ) {
    const low = text.charCodeAt(place - 1);
    const size = low >= 0xdc00 && low <= 0xdfff && place > 1 ? 2 : 1;
    const char = text.slice(place - size, place);
    if (!IGNORED.test(char)) return char;
    place -= size;
  }
  return undefined;
}

function charAfter(text: string, at: number): string | undefined {
  for (let place = at; place < text.length; ) {
    const char = String.fromCodePoint(text.codePointAt(place) as number);
    if (!IGNORED.test(char)) return char;
    place += char.length;
  }
  return undefined;
}

const LINE = /[^\n]*\n|[^\n]+$/g;
const FENCE = /^ {0,3}(`{3,}|~{3,})([^\n]*)/;

/**
 * Replaces code by spaces. Code is defined as in CommonMark: the lines between fences, and the text between two equally
 * long runs of backticks within a paragraph. Unlike in CommonMark, runs of three or more backticks also work across
 * paragraphs, as is common in chats.
 */
function withoutCode(text: string): string {
  if (!/`|~~~/.test(text)) return text;
  const code: [from: number, to: number][] = [];
  const ticks: { from: number; to: number; paragraph: number }[] = [];
  let fence: { sign: string; from: number } | undefined;
  let paragraph = 0;
  for (const { 0: line, index } of text.matchAll(LINE)) {
    const [, sign = '', rest = ''] = FENCE.exec(line) ?? [];
    if (fence) {
      if (sign.startsWith(fence.sign) && rest.trim() === '') {
        code.push([fence.from, index + line.length]);
        fence = undefined;
      }
    } else if (sign !== '' && !(sign.startsWith('`') && rest.includes('`'))) {
      fence = { sign, from: index };
      paragraph += 1;
    } else {
      if (line.trim() === '') paragraph += 1;
      for (const { 0: run, index: at } of line.matchAll(/`+/g)) {
        ticks.push({ from: index + at, to: index + at + run.length, paragraph });
      }
    }
  }
  if (fence) code.push([fence.from, text.length]);
  const nextAlike = nextOfSameLength(ticks);
  for (let index = 0; index < ticks.length; ) {
    const [open, close] = [ticks[index] as Ticks, ticks[nextAlike[index] ?? -1]];
    const isCode = close && (close.paragraph === open.paragraph || open.to - open.from >= 3);
    if (isCode && text[open.from - 1] !== '\\') {
      code.push([open.from, close.to]);
      index = (nextAlike[index] as number) + 1;
    } else {
      index += 1;
    }
  }
  let plain = '';
  let at = 0;
  for (const [from, to] of code.sort(([one], [other]) => one - other)) {
    if (to <= at) continue;
    plain += text.slice(at, from) + ' '.repeat(to - Math.max(at, from));
    at = to;
  }
  return plain + text.slice(at);
}

interface Ticks {
  from: number;
  to: number;
  paragraph: number;
}

/** For each run of backticks, the index of the next run of the same length. */
function nextOfSameLength(ticks: readonly Ticks[]): (number | undefined)[] {
  const next = new Array<number | undefined>(ticks.length);
  const last = new Map<number, number>();
  for (let index = ticks.length - 1; index >= 0; index -= 1) {
    const { from, to } = ticks[index] as Ticks;
    next[index] = last.get(to - from);
    last.set(to - from, index);
  }
  return next;
}
