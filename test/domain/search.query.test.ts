import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { ChatError } from '../../src/core/errors.js';
import { newId } from '../../src/core/ids.js';
import { openDirectConversation } from '../../src/domain/conversation/conversation.service.js';
import type { Deps, Viewer } from '../../src/domain/deps.js';
import { sendMessage } from '../../src/domain/message/message.service.js';
import { type Phrase, parseQuery } from '../../src/domain/search/search.query.js';
import { searchMessages } from '../../src/domain/search/search.service.js';
import { SNIPPET_MAX_CHARS, snippetOf } from '../../src/domain/search/search.snippet.js';
import { searchVectorOf, termsOf } from '../../src/domain/search/search.terms.js';
import { footings, makePlace } from '../support/place.js';

const spelled = (phrases: readonly Phrase[]) =>
  phrases.map((phrase) => phrase.map(({ text, prefix }) => `${text}${prefix ? '*' : ''}`).join('+'));

describe('a query', () => {
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
  ])('%s looks for %j', (text, expected) => {
    expect(spelled(parseQuery(text).phrases)).toEqual(expected);
  });

  it('knows its filters', () => {
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

describe('the terms of a text', () => {
  it('stand where they stand', () => {
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

/** Anything that may be typed, and often what means something. */
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
      ),
      fc.string({ unit: 'binary', maxLength: 6 }),
      fc.string({ unit: 'grapheme', maxLength: 6 }),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));

describe('a snippet', () => {
  it('is a part of its text, short, on one line, its marks in pairs', () => {
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
        const snippet = snippetOf(text, phrases);
        const marks = [...snippet.matchAll(/[«»]/g)].map(([mark]) => mark).join('');
        expect(marks).toMatch(/^(«»)*$/);
        expect(snippet).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
        expect(snippet.replace(/[«»]/g, '').length).toBeLessThanOrEqual(SNIPPET_MAX_CHARS + 50);
        const same = (one: string) => one.replace(/[«‹»›…]|[\s\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, '');
        expect(same(text)).toContain(same(snippet));
        if (text.isWellFormed()) expect(snippet.isWellFormed()).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe.each(footings)('any query on the %s footing', (footing) => {
  let deps: Deps;
  let viewer: Viewer;
  let other: Viewer;
  let conversationId: string;
  beforeAll(async () => {
    ({ deps } = await (await makePlace(footing)).start());
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
    conversationId = (await openDirectConversation(deps, viewer, other.userId)).id;
  });

  it('is answered, or refused as the fault of its asker', { timeout: 120_000 }, async () => {
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

  it('finds any text by any part of it', { timeout: 120_000 }, async () => {
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
          if (text === '' || text.includes('\0') || !text.isWellFormed()) return;
          const { id } = await sendMessage(deps, other, { conversationId, text });
          const part = words.slice(from % words.length).slice(0, 1 + (size % words.length));
          const query = `"${part.join(' ').replace(/["“”„]/g, ' ')}"`;
          if (query.length > 500 || termsOf(query).length === 0 || termsOf(query).length > 60) return;
          const { edges } = await searchMessages(deps, viewer, { query, conversationId, first: 100 }, {});
          expect(
            edges.map(({ node }) => node.message.id),
            `${query} in ${text}`,
          ).toContain(id);
          const snippet = edges.find(({ node }) => node.message.id === id)?.node.snippet;
          expect(snippet, `${query} in ${text}`).toContain('«');
        },
      ),
      { numRuns: 60 },
    );
  });

  it('meets in the index what nodes write', async () => {
    const text = `${'字'.repeat(7_000)} ${'long '.repeat(200)}`.slice(0, 8_000);
    const { id, ...message } = await sendMessage(deps, other, { conversationId, text });
    const rows = await deps.database.db.$queryRaw<{ same: boolean }[]>`
      SELECT search = ${searchVectorOf({ ...message, text: text.trim() })}::tsvector AS same FROM messages WHERE id = ${id}::uuid`;
    expect(rows).toEqual([{ same: true }]);
  });
});
