import { describe, expect, it } from 'vitest';
import { emojiOf } from '../../src/core/emojis.js';

describe('an emoji', () => {
  it.each([
    ['a face', '😀'],
    ['a skin tone', '👍🏽'],
    ['a flag of a country', '🇩🇪'],
    ['a flag of a region, by tags', '🏴󠁧󠁢󠁳󠁣󠁴󠁿'],
    ['a flag that is joined', '🏳️‍🌈'],
    ['a family', '👨‍👩‍👧‍👦'],
    ['two people in two skins', '🧑🏽‍❤️‍💋‍🧑🏻'],
    ['a gendered one in a skin', '🤼🏽‍♂️'],
    ['a keycap', '#️⃣'],
    ['one that is drawn as text by itself', '☎️'],
    ['one of 2025', '🫪'],
  ])('%s remains unchanged', (_what, emoji) => expect(emojiOf(emoji)).toBe(emoji));

  it.each([
    ['❤', '❤️'],
    ['❤\uFE0E', '❤️'],
    ['☝', '☝️'],
    ['☝\uFE0F🏽', '☝🏽'],
    ['😀\uFE0F', '😀'],
    ['1⃣', '1️⃣'],
    ['🏳‍🌈', '🏳️‍🌈'],
    ['👁‍🗨', '👁️‍🗨️'],
    ['👁️‍🗨', '👁️‍🗨️'],
    ['🏃‍♂', '🏃‍♂️'],
    [' 👍 ', '👍'],
  ])('%s has one spelling', (given, spelling) => expect(emojiOf(given)).toBe(spelling));

  it.each([
    '',
    ' ',
    'a',
    '1',
    '#',
    ':+1:',
    '👍👍',
    '👍 👍',
    'a👍',
    '🇩',
    '🇽🇽',
    '\uFE0F',
    '\u200D',
    '👩‍👩🏽',
    '\ud83d',
    '👍\0',
    '<img>',
    '👨‍👩‍👧‍👦'.repeat(10),
  ])('%j is not an emoji', (text) => expect(emojiOf(text)).toBeUndefined());

  it('of one character is normalized to the spelling that Unicode recommends', () => {
    // The emojis that this version of Node supports; the library may support newer ones. TypeScript does not support
    // the flag yet.
    const recommended = new RegExp('^\\p{RGI_Emoji}$', ['v'].join());
    let count = 0;
    for (let point = 0xa0; point < 0x20000; point += 1) {
      const character = String.fromCodePoint(point);
      if (!/^\p{Emoji}$/u.test(character)) continue;
      const emoji = emojiOf(character);
      // Halves of flags are not emojis.
      if (/^\p{Regional_Indicator}$/u.test(character)) expect(emoji).toBeUndefined();
      else {
        expect(emoji, point.toString(16)).toMatch(recommended);
        expect(emojiOf(`${character}\uFE0F`)).toBe(emoji);
        count += 1;
      }
    }
    expect(count).toBeGreaterThan(1_300);
  });
});
