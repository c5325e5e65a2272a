import { badInput } from '../../core/errors.js';
import { entries, type Has, hasWhat, PART, termsOf } from './search.terms.js';

/** Longest query, in UTF-16 units. */
export const QUERY_MAX_CHARS = 500;
/** Most terms of a query: words, and pairs of characters where words are not set apart. */
export const QUERY_MAX_TERMS = 64;
/** Most filters of a query. */
const QUERY_MAX_FILTERS = 20;
/** Fewest letters of a last word that words may begin with: what begins with one letter is half of everything. */
const PREFIX_MIN_CHARS = 2;

/** Terms that must stand beside each other: a word, a quoted phrase, or a run of characters without spaces. */
export type Phrase = readonly QueryTerm[];

export interface QueryTerm {
  text: string;
  /** Words that begin with it match as well. */
  prefix: boolean;
  /** It is one character of a script without spaces: what it begins is a pair. */
  single: boolean;
}

/** What a search asks for. */
export interface SearchQuery {
  /** All of them. */
  phrases: Phrase[];
  /** None of them. */
  without: Phrase[];
  /** Any of these people, as they are named: a username without `@`, or `me`. */
  from: string[];
  notFrom: string[];
  /** In any of these conversations, as they are named. */
  in: Place[];
  notIn: Place[];
  /** All of them. */
  has: Has[];
  hasNot: Has[];
  /** Sent then or later, and earlier than that. */
  since: Date | undefined;
  until: Date | undefined;
}

/** A conversation as it is named: the direct one with a person, or groups by words of their titles. */
export type Place = { username: string } | { title: string };

const field = 'query';
const QUOTES = '"\u201c\u201d\u201e';
const TOKEN = new RegExp(
  [
    // One, before what it excludes: `--force` is an option of a program.
    '(?<not>-(?![-\\s]))?',
    '(?:',
    // Its value follows at once: `in: x` is what people write in a sentence. At the end it is still to come.
    `(?<filter>from|in|has|before|after):(?:[${QUOTES}](?<quoted>[^${QUOTES}]*)[${QUOTES}]?|(?<value>[^\\s${QUOTES}]+)|(?=\\s*$))`,
    `|[${QUOTES}](?<phrase>[^${QUOTES}]*)(?<end>[${QUOTES}]?)`,
    `|(?<word>[^\\s${QUOTES}]+)`,
    ')',
  ].join(''),
  'giuy',
);

/**
 * Reads a query: words and "quoted phrases", of which all must be there; `-` before one that must not; the filters
 * `from:`, `in:`, `has:`, `before:` and `after:`. The last word, and a phrase whose quotes are still open, may go on.
 * @throws {ChatError} BAD_USER_INPUT of `query`: too long, a filter without a usable value, or nothing to look for.
 */
export function parseQuery(text: string): SearchQuery {
  if (text.length > QUERY_MAX_CHARS) {
    throw badInput(field, `A query can have at most ${QUERY_MAX_CHARS} characters.`, 'searchQueryMaxChars');
  }
  const query: SearchQuery = {
    phrases: [],
    without: [],
    from: [],
    notFrom: [],
    in: [],
    notIn: [],
    has: [],
    hasNot: [],
    since: undefined,
    until: undefined,
  };
  let last: Phrase | undefined;
  let terms = 0;
  let filters = 0;
  for (const { groups = {} } of tokensOf(text)) {
    const not = groups['not'] !== undefined;
    const filter = groups['filter']?.toLowerCase();
    if (filter !== undefined) {
      filters += 1;
      addFilter(query, filter, (groups['quoted'] ?? groups['value'] ?? '').trim(), not);
      continue;
    }
    const phrase = phraseOf(groups['phrase'] ?? groups['word'] ?? '');
    if (phrase.length === 0) continue;
    terms += phrase.length;
    (not ? query.without : query.phrases).push(phrase);
    if (!not) last = groups['end'] ? undefined : phrase;
  }
  if (terms > QUERY_MAX_TERMS) throw badInput(field, `A query can have at most ${QUERY_MAX_TERMS} words.`);
  if (filters > QUERY_MAX_FILTERS) throw badInput(field, `A query can have at most ${QUERY_MAX_FILTERS} filters.`);
  if (query.phrases.length + query.from.length + query.has.length === 0) {
    throw badInput(field, 'A query must contain a word, `from:` or `has:`.');
  }
  const lastTerm = last?.at(-1);
  if (lastTerm && [...lastTerm.text].length >= PREFIX_MIN_CHARS) lastTerm.prefix = true;
  return query;
}

function* tokensOf(text: string): Generator<RegExpExecArray> {
  let at = 0;
  while (at < text.length) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text);
    if (token && token[0] !== '') {
      yield token;
      at = TOKEN.lastIndex;
    } else {
      at += 1;
    }
  }
}

/**
 * Terms of a query beside each other. A character of a script without spaces begins pairs; it is found by them. A word with
 * signs (`C++`) is not found by the word without them.
 */
function phraseOf(text: string): QueryTerm[] {
  const terms = termsOf(text);
  return terms
    .filter((term, index) => !(term.bare || (term.single && terms[index - 1]?.position === term.position)))
    .map((term) => ({ text: term.text, prefix: term.single === true, single: term.single === true }));
}

function addFilter(query: SearchQuery, filter: string, value: string, not: boolean): void {
  if (value === '') throw badInput(field, `The filter \`${filter}:\` requires a value.`);
  switch (filter) {
    case 'from':
      (not ? query.notFrom : query.from).push(value.replace(/^@/, '').toLowerCase());
      break;
    case 'in':
      (not ? query.notIn : query.in).push(
        value.startsWith('@') ? { username: value.slice(1).toLowerCase() } : { title: value },
      );
      break;
    case 'has': {
      const what = hasWhat.find((one) => one === value.toLowerCase().replace(/s$/, ''));
      if (!what) throw badInput(field, `The filter \`has:\` accepts only ${hasWhat.join(' and ')}.`);
      (not ? query.hasNot : query.has).push(what);
      break;
    }
    default: {
      if (not) throw badInput(field, `The filter \`${filter}:\` cannot be negated.`);
      const [begin, end] = periodOf(value) ?? [];
      if (!begin || !end) {
        throw badInput(
          field,
          `The filter \`${filter}:\` requires a day, a month, a year or a time, for example 2026-11-27, 2026-11 or 2026.`,
        );
      }
      // Of several the narrowest counts.
      if (filter === 'before') query.until = query.until && query.until < begin ? query.until : begin;
      else query.since = query.since && query.since > end ? query.since : end;
    }
  }
}

const PERIOD = /^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?$/;
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2})$/i;

/** The beginning and the end of a day, a month or a year in UTC; of an instant twice the same. */
function periodOf(value: string): [Date, Date] | undefined {
  if (INSTANT.test(value)) {
    const instant = new Date(value.toUpperCase());
    return isDay(value.slice(0, 10)) && !Number.isNaN(instant.getTime()) ? [instant, instant] : undefined;
  }
  const [, year, month, day] = PERIOD.exec(value) ?? [];
  if (year === undefined) return undefined;
  const begin = `${year}-${month ?? '01'}-${day ?? '01'}`;
  if (!isDay(begin)) return undefined;
  const [y, m, d] = begin.split('-').map(Number) as [number, number, number];
  const end = new Date(0);
  if (day !== undefined) end.setUTCFullYear(y, m - 1, d + 1);
  else if (month !== undefined) end.setUTCFullYear(y, m, 1);
  else end.setUTCFullYear(y + 1, 0, 1);
  return [new Date(`${begin}T00:00:00Z`), end];
}

/** Whether there is such a day, of years that a database can tell. */
function isDay(day: string): boolean {
  const date = new Date(`${day}T00:00:00Z`);
  return date.getTime() >= 0 && date.toISOString().startsWith(day) && date.getUTCFullYear() < 9_999;
}

/** What finds messages of one part, as PostgreSQL writes a tsquery: with PART for the part's key. */
export interface Templates {
  /** What the index decides by itself: that terms are there, not that they stand beside each other. */
  loose: string;
  /** What a message is asked then; undefined where nothing is left to ask. */
  exact: string | undefined;
}

export function templatesOf(query: SearchQuery, fromIds: readonly string[], notFromIds: readonly string[]): Templates {
  const entry = (text: string) => `'${PART}${text}'`;
  const any = (all: readonly string[]) => `(${all.join(' | ')})`;
  const isPhrase = (phrase: Phrase) => phrase.length > 1;
  const exact = [
    ...query.phrases.filter(isPhrase).map(phraseSql),
    ...query.without.filter(isPhrase).map((phrase) => `!${phraseSql(phrase)}`),
  ];
  const loose = [
    ...query.phrases.flatMap((phrase) => phrase.map((term) => phraseSql([term]))),
    ...query.has.map((what) => entry(entries.has(what))),
    ...(query.from.length > 0 ? [any(fromIds.map((id) => entry(entries.sender(id))))] : []),
    ...query.without.filter((phrase) => !isPhrase(phrase)).map((phrase) => `!${phraseSql(phrase)}`),
    ...query.hasNot.map((what) => `!${entry(entries.has(what))}`),
    ...notFromIds.map((id) => `!${entry(entries.sender(id))}`),
  ];
  return { loose: loose.join(' & '), exact: exact.length === 0 ? undefined : exact.join(' & ') };
}

/** What messages are ranked by: their words, and more where the last word is there as it stands; undefined without words. */
export function rankTemplatesOf({ phrases }: SearchQuery): readonly [loose: string, exact: string] | undefined {
  if (phrases.length === 0) return undefined;
  const exact = phrases.map((phrase) => phrase.map((term) => ({ ...term, prefix: term.single })));
  return [phrases.map(phraseSql).join(' & '), exact.map(phraseSql).join(' & ')];
}

const phraseSql = (phrase: Phrase): string =>
  `(${phrase.map(({ text, prefix }) => `'${PART}${entries.term(text)}'${prefix ? ':*' : ''}`).join(' <-> ')})`;
