// What texts are made of, by Unicode's properties. docs/TEXT.md says what follows from it.

/** Scripts that are written without spaces between words, as the inside of a character class. */
export const UNSPACED =
  '\\p{scx=Han}\\p{scx=Hira}\\p{scx=Kana}\\p{scx=Bopo}\\p{scx=Thai}\\p{scx=Laoo}\\p{scx=Khmr}\\p{scx=Mymr}';

/** What shows nothing by itself: spaces, control characters, and what only changes its neighbours. */
const INVISIBLE = /^[\p{White_Space}\p{Cc}\p{Cs}\p{Default_Ignorable_Code_Point}\u2800\ufff9-\ufffb\u{1d159}]*$/u;

/** Whether a text contains a visible character. */
export const isVisible = (text: string): boolean => !INVISIBLE.test(text);

/** Embeddings, overrides and isolates: they turn the direction of what stands behind them, beyond the text's own end. */
const DIRECTIONS = /[\u202a-\u202e\u2066-\u2069]/g;

export const withoutDirections = (text: string): string => text.replace(DIRECTIONS, '');

/**
 * Whether the text can be stored and sent as it is: PostgreSQL has no NUL, and half of a character (a lone surrogate) is
 * none in UTF-8.
 */
export const isStorable = (text: string): boolean => !text.includes('\0') && text.isWellFormed();

/** Removes what cannot be stored from a text whose author cannot be asked to correct it. */
export const storableOf = (text: string): string => text.replaceAll('\0', '').toWellFormed();

/** A name as it is kept: composed (NFC), and without what turns the text around it. */
export const nameOf = (text: string): string => withoutDirections(text).normalize('NFC').trim();

/**
 * A password as it is hashed: however a keyboard composes its characters and whichever space it has, it is the same
 * (RFC 8265, OpaqueString).
 */
export const passwordOf = (text: string): string => text.replace(/\p{Zs}/gu, ' ').normalize('NFC');
