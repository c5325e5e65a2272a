import { badInput } from '../../core/errors.js';
import { entries, type Has, hasFilterValues, PART, termsOf } from './search.terms.js';

/** The maximum length of a query, in UTF-16 code units. */
export const QUERY_MAX_CHARS = 500;
/** The maximum number of terms of a query: words, and pairs of characters in scripts without spaces. */
export const QUERY_MAX_TERMS = 64;
/** The maximum number of filters of a query. */
const QUERY_MAX_FILTERS = 20;
/** The minimum length of a last word that matches as a prefix: a single letter would match too many words. */
const PREFIX_MIN_CHARS = 2;

/** Terms that must be adjacent: a word, a quoted phrase, or a run of characters of a script without spaces. */
export type Phrase = readonly QueryTerm[];

export interface QueryTerm {
  text: string;
  /** Whether words that begin with the term match as well. */
  prefix: boolean;
  /** Whether the term is one character of a script without spaces, which matches the pairs that begin with it. */
  single: boolean;
}

/** A parsed search query. */
export interface SearchQuery {
  /** All of them. */
  phrases: Phrase[];
  /** None of them. */
  without: Phrase[];
  /** Usernames without `@`, or `me`. The sender must be any of them. */
  from: string[];
  notFrom: string[];
  /** The conversation must be any of these. */
  in: NamedConversation[];
  notIn: NamedConversation[];
  /** All of them. */
  has: Has[];
  hasNot: Has[];
  /** The message must have been sent at or after `since` and before `until`. */
  since: Date | undefined;
  until: Date | undefined;
}

/** A conversation as a query names it: the direct conversation with a user, or groups by words of their titles. */
export type NamedConversation = { username: string } | { title: string };

const field = 'query';
const QUOTES = '"\u201c\u201d\u201e';
const TOKEN = new RegExp(
  [
    // A single hyphen excludes what follows it; `--force` is an option of a program.
    '(?<not>-(?![-\\s]))?',
    '(?:',
    // The value follows without a space, because `in: x` can be part of a sentence. At the end of a query, it may be
    // missing because the user is still typing.
    `(?<filter>from|in|has|before|after):(?:[${QUOTES}](?<quoted>[^${QUOTES}]*)[${QUOTES}]?|(?<value>[^\\s${QUOTES}]+)|(?=\\s*$))`,
    `|[${QUOTES}](?<phrase>[^${QUOTES}]*)(?<end>[${QUOTES}]?)`,
    `|(?<word>[^\\s${QUOTES}]+)`,
    ')',
  ].join(''),
  'giuy',
);

/**
 * Parses a query: words and "quoted phrases", all of which must match; `-` before those that must not match; and the
 * filters `from:`, `in:`, `has:`, `before:` and `after:`. The last word, and an unclosed phrase, also match as
 * prefixes.
 * @throws {ChatError} BAD_USER_INPUT with the field `query` if the query is too long, if a filter has no valid value,
 *   or if there is nothing to search for.
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
 * The adjacent terms of a part of a query. A character of a script without spaces is found by the pairs that begin with
 * it. A word with signs (`C++`) is not found by the word without them.
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
      const what = hasFilterValues.find((one) => one === value.toLowerCase().replace(/s$/, ''));
      if (!what) throw badInput(field, `The filter \`has:\` accepts only ${hasFilterValues.join(', ')}.`);
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
      // If the filter is repeated, the narrowest one applies.
      if (filter === 'before') query.until = query.until && query.until < begin ? query.until : begin;
      else query.since = query.since && query.since > end ? query.since : end;
    }
  }
}

const PERIOD = /^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?$/;
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2})$/i;

/** The start and the exclusive end of a day, month or year in UTC. For a point in time, both are equal. */
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

/** Whether the day exists and is in the years 1970 to 9998, which the database can represent. */
function isDay(day: string): boolean {
  const date = new Date(`${day}T00:00:00Z`);
  return date.getTime() >= 0 && date.toISOString().startsWith(day) && date.getUTCFullYear() < 9_999;
}

/**
 * The conditions for the messages of one part of a conversation, in PostgreSQL's tsquery syntax, with PART in place of
 * the part's key.
 */
export interface Templates {
  /** The condition that the index evaluates: that all terms occur, but not that they are adjacent. */
  loose: string;
  /** The condition that is checked for each message found by the index, or undefined if there is none. */
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

/** Terms of a query whose matches are ranked: each takes some microseconds for each message. */
export const RANKED_TERMS_MAX = 16;

/**
 * The tsqueries by which messages are ranked: the words of the query with a prefix match of the last word, and with an
 * exact match, which ranks higher. It is undefined if the query has no words.
 */
export function rankTemplatesOf({ phrases }: SearchQuery): readonly [loose: string, exact: string] | undefined {
  if (phrases.length === 0 || phrases.flat().length > RANKED_TERMS_MAX) return undefined;
  const exact = phrases.map((phrase) => phrase.map((term) => ({ ...term, prefix: term.single })));
  return [phrases.map(phraseSql).join(' & '), exact.map(phraseSql).join(' & ')];
}

const phraseSql = (phrase: Phrase): string =>
  `(${phrase.map(({ text, prefix }) => `'${PART}${entries.term(text)}'${prefix ? ':*' : ''}`).join(' <-> ')})`;
