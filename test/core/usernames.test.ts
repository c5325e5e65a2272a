import { assert, constantFrom, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isUsername, usernameFrom } from '../../src/core/usernames.js';

describe('usernameFrom', () => {
  it('returns a valid username with the suffix for any text', () => {
    void assert(
      property(string({ unit: 'binary' }), constantFrom('', '-3f9c', '-3f9c3f9c'), (text, suffix) => {
        const username = usernameFrom(text, suffix);
        if (username === undefined) return;
        expect(isUsername(username)).toBe(true);
        expect(username.replace(/_+$/, '').endsWith(suffix)).toBe(true);
      }),
    );
  });

  it('returns a valid text unchanged, or truncated if a suffix is added', () => {
    expect(usernameFrom('Ann.Example-1')).toBe('Ann.Example-1');
    expect(usernameFrom('l'.repeat(32), '-3f9c')).toBe(`${'l'.repeat(27)}-3f9c`);
    expect(usernameFrom('everyone', '-3f9c')).toBe('everyone-3f9c');
    expect([usernameFrom('日本'), usernameFrom(''), usernameFrom('@example.com')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it.each([
    ['Łukasz', 'Lukasz'],
    ['Øyvind', 'Oyvind'],
    ['Straße', 'Strasse'],
    ['Jürgen Müller', 'Jurgen_Muller'],
    ['Jürgen'.normalize('NFD'), 'Jurgen'],
    ['Þórður', 'Thordur'],
    ['Nguyễn Văn Đức', 'Nguyen_Van_Duc'],
    ['Ольга', 'Olga'],
    ['Γιώργος', 'Giorgos'],
    ['たなか', 'tanaka'],
    ['김철수', 'GimCheolSu'],
    ['Ａｎｎ', 'Ann'],
    ['łukasz@example.com', 'lukasz'],
    // The pronunciation of these names is unknown, so another claim or a random name is used.
    ['田中', undefined],
    ['محمد', undefined],
  ])('of %s is %s', (text, username) => expect(usernameFrom(text)).toBe(username));
});
