import anyAscii from 'any-ascii';

export const USERNAME_MIN = 3;
export const USERNAME_MAX = 32;

/** Reserved: `@everyone` in a message mentions all members. */
export const EVERYONE = 'everyone';

/** 3 to 32 characters: ASCII letters, digits, `_`, `.` and `-`. */
export const usernamePattern = new RegExp(`^[A-Za-z0-9_.-]{${USERNAME_MIN},${USERNAME_MAX}}$`);

/** Whether this is a valid username that is not reserved. */
export const isUsername = (text: string): boolean => usernamePattern.test(text) && text.toLowerCase() !== EVERYONE;

/**
 * Scripts that any-ascii transliterates letter by letter. In other scripts it omits vowels, or reads every Han
 * character as Chinese.
 */
const TRANSLITERATED =
  /[\p{scx=Latn}\p{scx=Grek}\p{scx=Cyrl}\p{scx=Armn}\p{scx=Geor}\p{scx=Hang}\p{scx=Hira}\p{scx=Kana}]+/gu;

/**
 * Transliterates a text to ASCII as far as possible: "Łukasz" to "Lukasz", "Straße" to "Strasse", "Ольга" to "Olga".
 */
const toAscii = (text: string): string =>
  text
    .normalize('NFKC')
    // any-ascii writes a soft sign as an apostrophe, which usernames cannot contain.
    .replace(TRANSLITERATED, (letters) => anyAscii(letters).replace(/['"`]/g, ''))
    .replace(/\p{M}/gu, '');

/**
 * Derives a username from an external name or email address: of an address, the part before the `@` is used. Letters
 * are transliterated to ASCII.
 * @param suffix is appended to make the username unique.
 * @returns undefined if no character of the text can be used.
 */
export function usernameFrom(text: string, suffix = ''): string | undefined {
  const usable = isUsername(text)
    ? text
    : toAscii(text.split('@')[0] ?? '')
        .replace(/[^A-Za-z0-9_.-]+/g, '_')
        .replace(/^_+/, '')
        .slice(0, USERNAME_MAX)
        .replace(/_+$/, '');
  if (usable === '') return undefined;
  const whole = `${usable.slice(0, USERNAME_MAX - suffix.length)}${suffix}`.padEnd(USERNAME_MIN, '_');
  return isUsername(whole) ? whole : `${whole}_`;
}
