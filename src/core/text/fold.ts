/** Whatever changes only its neighbours or the line: selectors, joiners, soft hyphens, fillers. */
const IGNORED = /\p{Default_Ignorable_Code_Point}+/gu;
/**
 * Marks that a word has the same letters without: accents (those that all scripts share, and of Latin, Greek and
 * Cyrillic), the points of Hebrew and the vowel signs of Arabic and Syriac, and what encloses a character. What other
 * scripts write as marks are their vowels, and the voicing of kana is another letter.
 */
const MARKS =
  /(?![\u3099\u309a])(?:\p{Me}|(?=\p{Mn})[\p{sc=Zinh}\p{sc=Latn}\p{sc=Grek}\p{sc=Cyrl}\p{sc=Hebr}\p{sc=Arab}\p{sc=Syrc}])+|\u0640+/gu;
/** Letters that Unicode does not decompose, and what they are looked for as; in lower case. */
const LETTERS: Record<string, string> = {
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  ł: 'l',
  ħ: 'h',
  ŧ: 't',
  ı: 'i',
  ς: 'σ',
  // Of Arabic what keyboards for other languages write instead, and what many write for it.
  ى: 'ي',
  ی: 'ي',
  ک: 'ك',
  ة: 'ه',
};
const LETTER = new RegExp(`[${Object.keys(LETTERS).join('')}]`, 'g');
/** Digits of other scripts, by their zeros: 0 to 9 follow each other in each. */
const DIGIT = /(?![0-9])\p{Nd}/gu;
const ASCII = /^[\0-\x7f]*$/;

/**
 * A text as searches compare it: compatible characters, case, accents, vowel points and what is not seen make no
 * difference. Folding twice changes nothing more. Its steps are in docs/TEXT.md.
 */
export function fold(text: string): string {
  if (ASCII.test(text)) return text.toLowerCase();
  return (
    text
      .normalize('NFKD')
      .replace(IGNORED, '')
      .replace(MARKS, '')
      // By way of upper case, as there are letters that only so become the same: ſ and s, ǰ and J̌.
      .toUpperCase()
      .toLowerCase()
      .replace(LETTER, (letter) => LETTERS[letter] as string)
      .replace(DIGIT, digitOf)
      .normalize('NFC')
  );
}

function digitOf(digit: string): string {
  const point = digit.codePointAt(0) as number;
  let value = 0;
  while (value < 9 && /^\p{Nd}$/u.test(String.fromCodePoint(point - value - 1))) value += 1;
  return String(value);
}

/** The words of a text as searches see them: folded, split where neither letters nor digits stand. */
export function foldWords(text: string): string[] {
  return fold(text)
    .split(/[^\p{L}\p{M}\p{N}]+/u)
    .filter((word) => /[\p{L}\p{N}]/u.test(word));
}

/** A query for `tsvector`s of such words: each of these begins one of theirs. Undefined where there are none. */
export function prefixQuery(words: readonly string[]): string | undefined {
  // Only letters and digits are left (a username's "_.-" too): nothing of it means anything but the quotes around.
  return words.length === 0 ? undefined : words.map((word) => `'${word}':*`).join(' & ');
}
