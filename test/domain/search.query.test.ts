import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { ChatError } from '../../src/core/errors.js';
import { newId } from '../../src/core/ids.js';
import { isVisible } from '../../src/core/text/characters.js';
import { namesIn } from '../../src/core/text/mentions.js';
import { openDirectConversation } from '../../src/domain/conversation/conversation.service.js';
import { sendMessage } from '../../src/domain/message/message.service.js';
import { type Phrase, parseQuery } from '../../src/domain/search/search.query.js';
import { searchMessages } from '../../src/domain/search/search.service.js';
import { SNIPPET_MAX_CHARS, snippetOf } from '../../src/domain/search/search.snippet.js';
import { searchVectorOf, type Term, termsOf } from '../../src/domain/search/search.terms.js';
import type { Deps } from '../../src/platform/deps.js';
import type { Viewer } from '../../src/platform/viewer.js';
import { inOneMode, modes, sharedNode } from '../support/place.js';

const spelled = (phrases: readonly Phrase[]) =>
  phrases.map((phrase) => phrase.map(({ text, prefix }) => `${text}${prefix ? '*' : ''}`).join('+'));

describe('the query parser', () => {
  it.each([
    ['one two', ['one', 'two*']],
    ['one "two three"', ['one', 'two+three']],
    ['one “two three”', ['one', 'two+three']],
    ['"one two', ['one+two*']],
    ['one-two', ['one+two*']],
    ["don't", ['don+t']],
    ['x', ['x']],
    ['ÉCOLE!!', ['ecole*']],
    ['ab from:me', ['ab*']],
    ['北京', ['北京*']],
    ['北京大', ['北京+京大*']],
    ['京', ['京*']],
    ['京 x', ['京*', 'x']],
    ['https://example.com/Path', ['https+example+com+path*']],
    ['begin:ning', ['begin+ning*']],
    ['ab -cd -"ef gh"', ['ab*']],
    ['--force', ['force*']],
    ['git push --force', ['git', 'push', 'force*']],
    ['log in: failed', ['log', 'in', 'failed*']],
    ['note: from: has: x', ['note', 'from', 'has', 'x']],
    ['C++', ['c++*']],
    ['C++ or C#', ['c++', 'or', 'c#*']],
    ['a+b 2+2', ['a+b', '2+2']],
    ['love ❤️', ['love*']],
    ['step 1️⃣', ['step', '1']],
    ['Straße', ['strasse*']],
    ['می\u200cخواهم', ['ميخواهم*']],
    ['wo\u200brd', ['word*']],
  ])('%s searches for %j', (text, expected) => {
    expect(spelled(parseQuery(text).phrases)).toEqual(expected);
  });

  it('parses all filters', () => {
    const query = parseQuery(
      'x From:@Ana -from:me in:"Big Team" -in:@Ben HAS:link -has:mentions after:2026-02 before:2028 before:2027-01-02T03:04Z -y',
    );
    expect(query).toMatchObject({
      from: ['ana'],
      notFrom: ['me'],
      in: [{ title: 'Big Team' }],
      notIn: [{ username: 'ben' }],
      has: ['link'],
      hasNot: ['mention'],
      since: new Date('2026-03-01T00:00:00Z'),
      until: new Date('2027-01-02T03:04:00Z'),
    });
    expect(spelled(query.without)).toEqual(['y']);
  });
});

it.each(['❤️', '👍🏽 🇩🇪', '-- -', 'from:', 'x in:', '-ab'])(
  'the query parser rejects %s, which contains nothing to search for',
  (text) => {
    expect(() => parseQuery(text)).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT', field: 'query' }));
  },
);

describe('the terms of a text', () => {
  it('include the signs of names such as C++, and no others', () => {
    expect(termsOf('C++ is not C, a+b ❤️ 1️⃣').map(({ text, position }) => [text, position])).toEqual([
      ['c', 1],
      ['c++', 1],
      ['is', 2],
      ['not', 3],
      ['c', 4],
      ['a', 5],
      ['b', 6],
      ['1', 7],
    ]);
  });

  it('have the positions and ranges of the text', () => {
    const text = 'Ｗow, Ünïcode 京都は é!';
    expect(termsOf(text).map((term) => [term.text, term.position, text.slice(term.start, term.end)])).toEqual([
      ['wow', 1, 'Ｗow'],
      ['unicode', 2, 'Ünïcode'],
      ['京都', 3, '京都'],
      ['都は', 4, '都は'],
      ['は', 4, 'は'],
      ['e', 5, 'é'],
    ]);
  });
});

/** Arbitrary text, often with characters that have a meaning in queries. */
const typed = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '"',
        '“',
        '-',
        ' ',
        'from:',
        'in:',
        'has:',
        'before:',
        'after:',
        'in:@',
        'from:me',
        'has:link',
        '2026-11-27',
      ),
      fc.constantFrom(
        'word',
        'wor',
        'Straße',
        '北京大学',
        'ข้าว',
        "'",
        '\\',
        ':*',
        '&',
        '|',
        '!',
        '<->',
        '~',
        '«',
        '»',
        '\0',
        '\ud800',
        '\u202e',
        '\u2067',
      ),
      fc.string({ unit: 'binary', maxLength: 6 }),
      fc.string({ unit: 'grapheme', maxLength: 6 }),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));

describe('a snippet', () => {
  it('is a short part of its text on one line, with paired marks', () => {
    fc.assert(
      fc.property(fc.array(typed, { maxLength: 30 }), typed, (texts, words) => {
        const text = texts.join(' ');
        const phrases = (() => {
          try {
            return parseQuery(words).phrases;
          } catch {
            return [];
          }
        })();
        const { marked: snippet, ...plain } = snippetOf(text, phrases);
        const marks = [...snippet.matchAll(/[«»]/g)].map(([mark]) => mark).join('');
        expect(marks).toMatch(/^(«»)*$/);
        expect(snippet).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
        // They would change the direction of the text after the snippet.
        expect(snippet).not.toMatch(/[\u202a-\u202e\u2066-\u2069]/);
        expect(snippet.replace(/[«»]/g, '').length).toBeLessThanOrEqual(SNIPPET_MAX_CHARS + 50);
        const same = (one: string) => one.replace(/[«‹»›…]|[\s\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, '');
        expect(same(text)).toContain(same(snippet));
        if (text.isWellFormed()) expect(snippet.isWellFormed()).toBe(true);
        // Inserting the marks into the plain form gives the marked form.
        let at = 0;
        let again = '';
        const spelt = (one: string) => one.replaceAll('«', '‹').replaceAll('»', '›');
        for (const { start, end } of plain.matches) {
          expect(start).toBeGreaterThanOrEqual(at);
          expect(end).toBeGreaterThan(start);
          again += `${spelt(plain.text.slice(at, start))}«${spelt(plain.text.slice(start, end))}»`;
          at = end;
        }
        expect(again + spelt(plain.text.slice(at))).toBe(snippet);
      }),
      { numRuns: 500 },
    );
  });
});

/** The ranges of a phrase in a text, found by a simple search: the snippet must mark the same. */
function spansOf(text: string, phrase: Phrase): [number, number][] {
  const at = new Map<number, Term[]>();
  for (const term of termsOf(text)) at.set(term.position, [...(at.get(term.position) ?? []), term]);
  const fits = (term: Term, { text, prefix }: Phrase[number]) =>
    prefix ? term.text.startsWith(text) : term.text === text;
  return [...at.keys()].flatMap((position) => {
    const found = phrase.map((one, index) => at.get(position + index)?.find((term) => fits(term, one)));
    return found.every((term) => term !== undefined)
      ? found.map((term, index): [number, number] => [
          term.start,
          phrase[index]?.single ? (term.firstEnd ?? term.end) : term.end,
        ])
      : [];
  });
}

describe('the marks of a snippet', () => {
  it('are the matches that each phrase has on its own', () => {
    const word = fc.constantFrom('a', 'ab', 'abc', 'b', '北', '京', '北京', '京大', 'C++', 'C', ' ', ' ', ' ', '"');
    const words = (maxLength: number) => fc.array(word, { maxLength }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(words(40), words(12), (text, query) => {
        if (text.length > SNIPPET_MAX_CHARS) return;
        const phrases = (() => {
          try {
            return parseQuery(query).phrases;
          } catch {
            return [];
          }
        })();
        const marked = new Array<boolean>(text.length).fill(false);
        for (const [start, end] of phrases.flatMap((phrase) => spansOf(text, phrase))) marked.fill(true, start, end);
        const expected = [...text].map((char, index) => (marked[index] ? `«${char}»` : char)).join('');
        const snippet = snippetOf(text, phrases).marked;
        expect(snippet, `${query} in ${text}`).toBe(expected.replaceAll('»«', '').replace(/\s+/g, ' ').trim());
      }),
      { numRuns: 1_000 },
    );
  });
});

/** The time for the longest messages and queries must grow linearly with their length. */
describe('the time for a text grows with its length', () => {
  const LARGEST = 100_000;
  /**
   * The CPU time in milliseconds, which hardly depends on how busy the machine is: the best of several rounds, or the first
   * below `enough`.
   */
  const costOf = (rounds: number, work: () => unknown, enough = 0) => {
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < rounds && best >= enough; round += 1) {
      const began = process.cpuUsage();
      work();
      const { user, system } = process.cpuUsage(began);
      best = Math.min(best, (user + system) / 1_000);
    }
    return best;
  };
  const texts: Record<string, (length: number) => string> = {
    'Han characters': (length) => '字京'.repeat(length / 2),
    'short words': (length) => 'a '.repeat(length / 2),
    'one word': (length) => 'a'.repeat(length),
    marks: (length) => `a${'\u0301'.repeat(length - 1)}`,
    'what is not seen': (length) => '\u200b'.repeat(length),
    'signs behind an @': (length) => `@a${'-.'.repeat(length / 2 - 2)}-b`,
    'signs in front of an @': (length) => `${'a_'.repeat(length / 2)}@x`,
    'many @': (length) => 'a_@'.repeat(length / 3),
    'many mentions': (length) => '@ana '.repeat(length / 5),
    'many links': (length) => '(a://b)www.'.repeat(length / 11),
    'many backticks': (length) => '` `` '.repeat(length / 5),
    'runs of backticks, each longer': (length) => {
      let text = '';
      for (let size = 1; text.length < length; size += 1) text += `${'`'.repeat(size)} `;
      return `${text}@ana`;
    },
    'labels of a site': (length) => `${'a.'.repeat(length / 2)}@`,
    lines: (length) => ' \n'.repeat(length / 2),
  };
  const single = parseQuery(Array.from('天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏京字').join(' ')).phrases;
  const repeated = parseQuery(`"${'a '.repeat(63)}b"`).phrases;
  const works: Record<string, (text: string) => unknown> = {
    'its entries in the index': (text) =>
      searchVectorOf({ text, conversationId: '', seq: 1, senderId: null, mentionedIds: [], mentionsEveryone: false }),
    'its snippet for many characters': (text) => snippetOf(text, single),
    'its snippet for a long phrase': (text) => snippetOf(text, repeated),
    'its mentions': (text) => namesIn(text),
  };
  it.each(Object.keys(texts))('of %s', (kind) => {
    const textOf = texts[kind] as (length: number) => string;
    const [part, whole] = [textOf(LARGEST / 20), textOf(LARGEST)];
    for (const [what, work] of Object.entries(works)) {
      const short = costOf(3, () => work(part));
      // 20 if it is linear, 400 if it is quadratic. Very short times are not compared.
      const most = Math.max(120 * short, 60);
      const long = costOf(4, () => work(whole), most);
      expect(long, `${what}: ${short} and ${long} ms`).toBeLessThan(most);
    }
  });
});

describe.each(modes)('a random query in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let deps: Deps;
  let viewer: Viewer;
  let other: Viewer;
  let conversationId: string;
  beforeAll(async () => {
    ({ deps } = await sharedNode(mode));
    const [one, two] = await Promise.all(
      ['one', 'two'].map(async (username) => {
        const id = newId();
        await deps.database.db.user.create({
          data: { id, username, usernameKey: username, displayName: username, searchWords: [username] },
        });
        return { userId: id, sessionId: newId(), expiresAt: new Date(Date.now() + 3_600_000) };
      }),
    );
    [viewer, other] = [one as Viewer, two as Viewer];
    conversationId = (await openDirectConversation(deps, viewer, other.userId)).conversation.id;
  });

  itOnce('returns a result or BAD_USER_INPUT', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(typed, async (query) => {
        try {
          await searchMessages(deps, viewer, { query, conversationId: null }, {});
        } catch (error) {
          expect(error, query).toBeInstanceOf(ChatError);
          expect(error).toMatchObject({ code: 'BAD_USER_INPUT', field: 'query' });
        }
      }),
      { numRuns: 150 },
    );
  });

  itOnce('finds a text by every part of it', { timeout: 120_000 }, async () => {
    const word = fc.oneof(
      fc.constantFrom(
        'the',
        'The',
        'café',
        'ΟΔΟΣ',
        'İzmir',
        'ﬁne',
        '北京大学',
        'タワーに',
        'ｶﾞｷﾞ',
        'ข้าวผัด',
        'ខ្មែរ',
        'မြန်မာ',
        '①',
        'a\u0301\u0302',
      ),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 5 }),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 5 }),
      fc.integer({ min: 44, max: 52 }).map((length) => 'w'.repeat(length)),
      fc.integer({ min: 40, max: 600 }).map((length) => `กก${'\u0e34'.repeat(length)}`),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(word, { minLength: 1, maxLength: 8 }),
        fc.nat(),
        fc.nat(),
        async (words, from, size) => {
          const text = words.join(' ').trim();
          // Messages without visible characters are rejected.
          if (!isVisible(text) || text.includes('\0') || !text.isWellFormed()) return;
          const { id } = await sendMessage(deps, other, { conversationId, text });
          const part = words.slice(from % words.length).slice(0, 1 + (size % words.length));
          const query = `"${part.join(' ').replace(/["“”„]/g, ' ')}"`;
          if (query.length > 500 || termsOf(query).length === 0 || termsOf(query).length > 60) return;
          const { edges } = await searchMessages(deps, viewer, { query, conversationId, first: 100 }, {});
          expect(
            edges.map(({ node }) => node.message.id),
            `${query} in ${text}`,
          ).toContain(id);
          const snippet = edges.find(({ node }) => node.message.id === id)?.node.snippet?.marked;
          expect(snippet, `${query} in ${text}`).toContain('«');
        },
      ),
      { numRuns: 60 },
    );
  });

  it('matches the index entries that nodes write', async () => {
    const text = `${'字'.repeat(7_000)} ${'long '.repeat(200)}`.slice(0, 8_000);
    const { id, ...message } = await sendMessage(deps, other, { conversationId, text });
    const rows = await deps.database.db.$queryRaw<{ same: boolean }[]>`
      SELECT search = ${searchVectorOf({ ...message, text: text.trim() })}::tsvector AS same FROM messages WHERE id = ${id}::uuid`;
    expect(rows).toEqual([{ same: true }]);
  });
});
