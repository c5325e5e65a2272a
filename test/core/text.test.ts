import { constantFrom, property, string, tuple, assert as verify } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSlices } from '../../src/core/slices.js';
import { emailKeyOf, isEmail, webAddressOf } from '../../src/core/text/addresses.js';
import { isVisible, nameOf, passwordOf } from '../../src/core/text/characters.js';
import { fold, foldWords } from '../../src/core/text/fold.js';
import { namesIn } from '../../src/core/text/mentions.js';

// The rules of docs/TEXT.md, case by case.

describe('folded words', () => {
  it.each([
    [
      'Latin',
      'Łódź ØRESUND Đorđe Straße Ærø Œuvre Þór',
      ['lodz', 'oresund', 'dorde', 'strasse', 'aero', 'oeuvre', 'thor'],
    ],
    ['Latin, composed and not', `Café ${'Café'.normalize('NFD')}`, ['cafe', 'cafe']],
    ['Latin of Vietnam', 'Nguyễn Đức', ['nguyen', 'duc']],
    ['Latin of Türkiye', 'İstanbul ısı', ['istanbul', 'isi']],
    ['upper case that changes length', 'STRASSE STRAẞE', ['strasse', 'strasse']],
    ['Greek', 'ΟΔΟΣ οδός Ἀθῆναι', ['οδοσ', 'οδοσ', 'αθηναι']],
    ['Cyrillic', 'Ёлка МОСКВА', ['елка', 'москва']],
    ['Hebrew', 'שָׁלוֹם שלום', ['שלום', 'שלום']],
    ['Arabic', 'مُحَمَّد محمـــد أحمد مدرسة', ['محمد', 'محمد', 'احمد', 'مدرسه']],
    ['Persian', 'می\u200cخواهم میخواهم کتاب كتاب', ['ميخواهم', 'ميخواهم', 'كتاب', 'كتاب']],
    ['Devanagari', 'हिन्दी क़लम क\u094d\u200dष', ['हिन्दी', 'क़लम'.normalize('NFC'), 'क्ष']],
    ['Tamil', 'தமிழ்', ['தமிழ்']],
    ['Thai', 'ภาษาไทย', ['ภาษาไทย']],
    ['Han', '漢字 ﾊﾝｶｸ', ['漢字', 'ハンカク']],
    ['Hangul, composed and not', `한국어 ${'한국어'.normalize('NFD')}`, ['한국어', '한국어']],
    ['Kana', 'ｶﾞｷﾞ がき', ['ガギ', 'がき']],
    ['digits', '١٢٣ ۱۲۳ १२३ 1️⃣ ① 𝟙', ['123', '123', '123', '1', '1', '1']],
    ['emoji', '❤️ 👩‍👩‍👧 👍🏽 🇩🇪', []],
    ['what is not seen', 'a\u00adb\u200bc\u2060d\ufe0fe', ['abcde']],
    ['wide letters', 'Ｗｏｗ ﬁne', ['wow', 'fine']],
  ])('of %s', (_, text, words) => expect(foldWords(text)).toEqual(words));

  it('do not change when they are folded again', () => {
    void verify(
      property(string({ unit: 'binary', maxLength: 12 }), (text) => {
        expect(fold(fold(text))).toBe(fold(text));
        expect(foldWords(foldWords(text).join(' '))).toEqual(foldWords(text));
      }),
      { numRuns: 300 },
    );
  });
});

describe('isVisible', () => {
  it.each([
    ['nothing', '', false],
    ['spaces', ' \u00a0\u3000\n', false],
    ['zero-width characters', '\u200b\u200d\u2060\ufeff', false],
    ['fillers', '\u115f\u1160\u3164\uffa0\u2800', false],
    ['a selector', '\ufe0f', false],
    ['directions', '\u202e\u2066\u200f', false],
    ['tags', '\u{e0041}\u{e0020}', false],
    ['a letter among them', '\u200bа\u200b', true],
    ['an emoji', '❤️', true],
    ['a sign of a later Unicode', '\u{1fbfa}', true],
    ['a mark by itself', '\u0e35', true],
    ['an Arabic sign', '\u0600', true],
  ])('%s', (_, text, expected) => expect(isVisible(text)).toBe(expected));
});

describe('a name', () => {
  it('is normalized, and loses characters that change the direction of text', () => {
    expect(nameOf(' Zoe\u0308 ')).toBe('Zoë');
    expect(nameOf('evil\u202egnp.exe\u2066')).toBe('evilgnp.exe');
    for (const mark of '\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069') expect(nameOf(`a${mark}b`)).toBe('ab');
    // These concern only the adjacent text.
    expect(nameOf('C\u200f, שלום!\u200e')).toBe('C\u200f, שלום!\u200e');
    // These words need invisible characters.
    expect(nameOf('می\u200cخواهم 👩\u200d👧')).toBe('می\u200cخواهم 👩\u200d👧');
  });
});

it('a password is normalized, however its characters are composed', () => {
  expect(passwordOf('Zoe\u0308\u00a0123456')).toBe('Zoë 123456');
  expect(passwordOf('ﬁ① ')).toBe('ﬁ① ');
});

describe('an email address', () => {
  it.each([
    ['ana@example.com', true],
    ['a&b@x.org', true],
    ["o'neil+tag@sub.example.co.uk", true],
    ['a@example.xn--p1ai', true],
    ['a@bücher.de', true],
    ['почта@пример.рф', true],
    ['用户@例子.广告', true],
    ['a@example', false],
    ['a@example.1', false],
    ['a@-x.org', false],
    ['a@x..org', false],
    ['.a@x.org', false],
    ['a.@x.org', false],
    ['a b@x.org', false],
    ['"a b"@x.org', false],
    ['a@b@x.org', false],
    ['a@x.org\r\nBcc: b@x.org', false],
    ['<a@x.org>', false],
    ['a@[127.0.0.1]', false],
    ['a@127.0.0.1', false],
    ['a\u200b@x.org', false],
    [`${'a'.repeat(65)}@x.org`, false],
    [`a@${'b'.repeat(64)}.org`, false],
    ['@x.org', false],
    ['a@', false],
    ['', false],
  ])('%j: %s', (text, expected) => expect(isEmail(text)).toBe(expected));

  it('has the same key with its domain in ASCII, and in any case', () => {
    expect(emailKeyOf('A@BÜCHER.de')).toBe('a@xn--bcher-kva.de');
    expect(emailKeyOf('a@xn--bcher-kva.de')).toBe('a@xn--bcher-kva.de');
    expect(emailKeyOf('Ana@Example.COM')).toBe('ana@example.com');
  });
});

describe('a web address', () => {
  it.each([
    ['https://example.com', 'https://example.com/'],
    ['HTTPS://EXAMPLE.com:443/a b', 'https://example.com/a%20b'],
    ['http://bücher.de/ü?q=ü#ü', 'http://xn--bcher-kva.de/%C3%BC?q=%C3%BC#%C3%BC'],
    ['https://example.com/a\r\nb', undefined],
    ['https://example.com/\0', undefined],
    ['https://example.com/\u202egnp.exe', undefined],
    ['https://ana:secret@example.com/', undefined],
    ['https://ana@example.com/', undefined],
    ['javascript:alert(1)', undefined],
    ['ftp://example.com', undefined],
    ['//example.com', undefined],
    ['https://', undefined],
  ])('%j', (text, expected) => expect(webAddressOf(text)).toBe(expected));

  it('is parsed in the same way after the code was optimized', () => {
    // Node 20's URL.canParse refuses it after some 6,000 calls.
    for (let call = 0; call < 20_000; call += 1) webAddressOf('http://bücher.de/ü');
    expect(webAddressOf('http://bücher.de/ü')).toBe('http://xn--bcher-kva.de/%C3%BC');
  });
});

describe('a mention', () => {
  it.each([
    ['@ana', [['ana']]],
    ['_@ana_', [['ana_', 'ana']]],
    ['**@ana**, ~@ana~', [['ana'], ['ana']]],
    ['-@ana', [['ana']]],
    ['...@ana', [['ana']]],
    ['Thanks.@ana', [['ana']]],
    ['@ana--thanks', [['ana--thanks', 'ana--', 'ana-', 'ana']]],
    ['@ana...thanks', [['ana...thanks', 'ana...', 'ana..', 'ana.', 'ana']]],
    ['@ana-maria', [['ana-maria']]],
    ["@ana's and @bob’s", [['ana'], ['bob']]],
    ['(@ana) [@bob] "@cleo"', [['ana'], ['bob'], ['cleo']]],
    ['@ana/@bob', [['ana'], ['bob']]],
    ['@ana,@bob', [['ana'], ['bob']]],
    ['❤️@ana❤️', [['ana']]],
    ['1️⃣@ana', [['ana']]],
    ['@ana\u200b', [['ana']]],
  ])('is in %s', (text, names) => expect(namesIn(text)).toEqual(names));

  it.each([
    ['Han', '你好@mei，来吗'],
    ['Han without a sign behind it', '请@mei看一下'],
    ['Kana', 'こんにちは@meiさん'],
    ['Hangul', '안녕@mei님'],
    ['Thai', 'สวัสดี@meiครับ'],
  ])('can be adjacent to letters of %s', (_, text) => expect(namesIn(text)).toEqual([['mei']]));

  it.each([
    ['a word in Latin', 'josé@ana'],
    ['the same, decomposed', 'jose\u0301@ana'],
    ['a word in Cyrillic', 'привет@ana'],
    ['a word in Greek', 'γεια@ana'],
    ['a word in Devanagari', 'नमस्ते@ana'],
    ['a word in Arabic', 'مرحبا@ana'],
    ['a word with something not seen', 'jose\u200b@ana'],
    ['a word that goes on', '@anaé @anae\u0301 @anaя'],
    ['an email address', 'ana@example.com first.last@example.com ana_@example.com ana+x@example.com'],
    ['an email address in another script', 'почта@пример.рф'],
    ['an account of another server', '@ana@mastodon.social'],
    ['a link', 'https://medium.com/@ana/post'],
    ['a link in a text', 'see (https://medium.com/@ana/post), [post](https://medium.com/@ana/post)'],
    ['a link without a scheme', 'medium.com/@ana www.example.com/@ana/x'],
    ['a link of another scheme', 'matrix://x/@ana'],
    ['inline code', 'use `@ana` and ``a ` @ana``'],
    ['a code block', '```\n@ana\n\n@ana\n```'],
    ['a code block with a language', '```ts\n@ana()\n```'],
    ['a code block of tildes', '~~~\n@ana\n~~~'],
    ['a code block that is not closed', 'look:\n```\n@ana'],
    ['code of three backticks in a line', 'so ```@ana\n\n@ana``` there'],
  ])('is not in %s', (_, text) => expect(namesIn(text)).toEqual([]));

  it('is not recognized inside code and links', () => {
    expect(namesIn('`code`@ana, ask @bob `x`')).toEqual([['ana'], ['bob']]);
    expect(namesIn('https://example.com/x @ana')).toEqual([['ana']]);
    expect(namesIn('[x](https://example.com/x)@ana')).toEqual([['ana']]);
    expect(namesIn('```\ncode\n```\n@ana')).toEqual([['ana']]);
    // Without an end, it is not code.
    expect(namesIn('a ` and @ana')).toEqual([['ana']]);
    expect(namesIn('a ` and\n\n@ana `')).toEqual([['ana']]);
  });

  it('is a valid username in any text', () => {
    const part = constantFrom(
      '@',
      'ana',
      '@ana',
      '`',
      '```',
      '\n',
      ' ',
      '.',
      '--',
      '_',
      'https://',
      '/',
      'é',
      '你',
      '(',
      ')',
      'x.org',
    );
    void verify(
      property(tuple(part, part, part, part, part, part, part, part), (parts) => {
        for (const name of namesIn(parts.join('')).flat()) expect(name).toMatch(/^[a-z0-9_.-]{3,32}$/);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('createSlices', () => {
  it('alternates between pieces of work, and resolves or rejects each of them', async () => {
    const slices = createSlices(1);
    const done: string[] = [];
    function* work(name: string, count: number) {
      for (let index = 0; index < count; index += 1) {
        const until = performance.now() + 0.2;
        while (performance.now() < until);
        yield;
      }
      done.push(name);
      return name;
    }
    let turns = 0;
    let isOver = false;
    const count = () => {
      turns += 1;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    const long = Array.from({ length: 5 }, (_, index) => slices(work(`long ${index}`, 100)));
    expect(await slices(work('short', 1))).toBe('short');
    await Promise.all(long);
    isOver = true;
    expect(done[0]).toBe('short');
    // Others had the event loop in between, some hundred times.
    expect(turns).toBeGreaterThan(50);
    await expect(
      slices(
        (function* () {
          yield;
          throw new Error('broken');
        })(),
      ),
    ).rejects.toThrow('broken');
  });
});
