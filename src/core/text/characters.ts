// Character classes defined by Unicode properties, and normalizations of texts. docs/TEXT.md describes the rules.

/** Scripts written without spaces between words, for use inside a character class. */
export const UNSPACED =
  '\\p{scx=Han}\\p{scx=Hira}\\p{scx=Kana}\\p{scx=Bopo}\\p{scx=Thai}\\p{scx=Laoo}\\p{scx=Khmr}\\p{scx=Mymr}';

/**
 * Matches texts without visible characters: only spaces, control characters and characters that modify their
 * neighbours.
 */
const INVISIBLE = /^[\p{White_Space}\p{Cc}\p{Cs}\p{Default_Ignorable_Code_Point}\u2800\ufff9-\ufffb\u{1d159}]*$/u;

/** Whether a text contains a visible character. */
export const isVisible = (text: string): boolean => !INVISIBLE.test(text);

/**
 * Embeddings, overrides and isolates: they change the direction of the text after them, even beyond the end of a name.
 */
const DIRECTIONS = /[\u202a-\u202e\u2066-\u2069]/g;

export const withoutDirections = (text: string): string => text.replace(DIRECTIONS, '');

/**
 * Whether the text can be stored and sent unchanged: PostgreSQL cannot store NUL, and UTF-8 cannot encode lone
 * surrogates.
 */
export const isStorable = (text: string): boolean => !text.includes('\0') && text.isWellFormed();

/** Removes NUL characters and replaces lone surrogates, in a text whose author cannot be asked to correct it. */
export const storableOf = (text: string): string => text.replaceAll('\0', '').toWellFormed();

/** Normalizes a name for storage: composed (NFC), trimmed, and without characters that change the direction of text. */
export const nameOf = (text: string): string => withoutDirections(text).normalize('NFC').trim();

/**
 * Normalizes a password before it is hashed, so that different compositions of a character and different kinds of
 * spaces make no difference (RFC 8265, OpaqueString).
 */
export const passwordOf = (text: string): string => text.replace(/\p{Zs}/gu, ' ').normalize('NFC');
