import anyAscii from 'any-ascii';

export const USERNAME_MIN = 3;
export const USERNAME_MAX = 32;

/** Reserved: `@everyone` in a message mentions all members. */
export const EVERYONE = 'everyone';

/** 3 to 32 letters, digits, `_`, `.`, `-`. */
export const usernamePattern = new RegExp(`^[A-Za-z0-9_.-]{${USERNAME_MIN},${USERNAME_MAX}}$`);

/** Whether this is a valid username. */
export const isUsername = (text: string): boolean => usernamePattern.test(text) && text.toLowerCase() !== EVERYONE;

/** Scripts that any-ascii writes letter by letter. Of others it drops vowels, or takes every Han character for Chinese. */
const SPELLED = /[\p{scx=Latn}\p{scx=Grek}\p{scx=Cyrl}\p{scx=Armn}\p{scx=Geor}\p{scx=Hang}\p{scx=Hira}\p{scx=Kana}]+/gu;

/** The text in letters of ASCII where that is possible: "Łukasz" is "Lukasz", "Straße" is "Strasse", "Ольга" is "Olga". */
const inAscii = (text: string): string =>
  text
    .normalize('NFKC')
    // An apostrophe stands for a soft sign there, and usernames have none.
    .replace(SPELLED, (letters) => anyAscii(letters).replace(/['"`]/g, ''))
    .replace(/\p{M}/gu, '');

/**
 * The username that comes nearest to a text of elsewhere: of an email address what stands before the `@`, its letters in
 * ASCII. Undefined where nothing of it can be used. A `suffix` sets it apart from others of the name.
 */
export function usernameFrom(text: string, suffix = ''): string | undefined {
  const usable = isUsername(text)
    ? text
    : inAscii(text.split('@')[0] ?? '')
        .replace(/[^A-Za-z0-9_.-]+/g, '_')
        .replace(/^_+/, '')
        .slice(0, USERNAME_MAX)
        .replace(/_+$/, '');
  if (usable === '') return undefined;
  const whole = `${usable.slice(0, USERNAME_MAX - suffix.length)}${suffix}`.padEnd(USERNAME_MIN, '_');
  return isUsername(whole) ? whole : `${whole}_`;
}
