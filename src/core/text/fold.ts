/** Characters that only modify their neighbours or line breaks: selectors, joiners, soft hyphens, fillers. */
const IGNORED = /\p{Default_Ignorable_Code_Point}+/gu;
/**
 * Marks that searches ignore: accents (those that all scripts share, and those of Latin, Greek and Cyrillic), the
 * points of Hebrew, the vowel signs of Arabic and Syriac, and enclosing marks. Marks of other scripts are not ignored,
 * because they are vowels there, and the voicing marks of kana make another letter.
 */
const MARKS =
  /(?![\u3099\u309a])(?:\p{Me}|(?=\p{Mn})[\p{sc=Zinh}\p{sc=Latn}\p{sc=Grek}\p{sc=Cyrl}\p{sc=Hebr}\p{sc=Arab}\p{sc=Syrc}])+|\u0640+/gu;
/** Replacements for letters that Unicode does not decompose; in lower case. */
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
  // Variants of Arabic letters: those that keyboards of other languages produce, and common alternative spellings.
  ى: 'ي',
  ی: 'ي',
  ک: 'ك',
  ة: 'ه',
};
const LETTER = new RegExp(`[${Object.keys(LETTERS).join('')}]`, 'g');
/** Digits of other scripts. In each script the digits 0 to 9 have consecutive code points. */
const DIGIT = /(?![0-9])\p{Nd}/gu;
const ASCII = /^[\0-\x7f]*$/;

/**
 * Folds a text for comparison in searches: compatibility characters, case, accents, vowel points and invisible
 * characters are ignored. Folding is idempotent. docs/TEXT.md describes the steps.
 */
export function fold(text: string): string {
  if (ASCII.test(text)) return text.toLowerCase();
  return (
    text
      .normalize('NFKD')
      .replace(IGNORED, '')
      .replace(MARKS, '')
      // Converts to upper case first, because some letters become equal only this way: ſ and s, ǰ and J̌.
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

/** The words of a text for searches: folded, and split at every character that is neither a letter nor a digit. */
export function foldWords(text: string): string[] {
  return fold(text)
    .split(/[^\p{L}\p{M}\p{N}]+/u)
    .filter((word) => /[\p{L}\p{N}]/u.test(word));
}

/**
 * A `tsquery` that matches vectors containing, for each of these words, a word that begins with it. Undefined if there
 * are no words.
 */
export function prefixQuery(words: readonly string[]): string | undefined {
  // The words contain only letters, digits and the "_.-" of usernames, so no further escaping is needed inside the
  // quotes.
  return words.length === 0 ? undefined : words.map((word) => `'${word}':*`).join(' & ');
}
