/** A text's words as search sees them: without case and accents, split where neither letters nor digits stand. */
export function foldWords(text: string): string[] {
  return (
    text
      .normalize('NFKD')
      // The accents of Latin, Greek and Cyrillic; what other scripts write as marks are their vowels and voicings.
      .replace(/[\u0300-\u036f]/g, '')
      .normalize('NFC')
      .toLowerCase()
      .replaceAll('ı', 'i')
      .split(/[^\p{L}\p{M}\p{N}]+/u)
      .filter(Boolean)
  );
}

/** A query for `tsvector`s of such words: each of these begins one of theirs. Undefined where there are none. */
export function prefixQuery(words: readonly string[]): string | undefined {
  // Only letters and digits are left (a username's "_.-" too): nothing of it means anything but the quotes around.
  return words.length === 0 ? undefined : words.map((word) => `'${word}':*`).join(' & ');
}
