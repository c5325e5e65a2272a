export const USERNAME_MIN = 3;
export const USERNAME_MAX = 32;

/** `@everyone` in a message names all members: nobody is called so. */
export const EVERYONE = 'everyone';

/** 3 to 32 letters, digits, `_`, `.`, `-`. */
export const usernamePattern = new RegExp(`^[A-Za-z0-9_.-]{${USERNAME_MIN},${USERNAME_MAX}}$`);

/** Whether somebody may be called so. */
export const isUsername = (text: string): boolean => usernamePattern.test(text) && text.toLowerCase() !== EVERYONE;

/**
 * The username that comes nearest to a text of elsewhere: of an email address what stands before the `@`, letters
 * without their accents. Undefined where nothing of it can be used. A `suffix` sets it apart from others of the name.
 */
export function usernameFrom(text: string, suffix = ''): string | undefined {
  const usable = isUsername(text)
    ? text
    : (text.split('@')[0] ?? '')
        .normalize('NFKD')
        .replace(/\p{M}/gu, '')
        .replace(/[^A-Za-z0-9_.-]+/g, '_')
        .replace(/^_+|_+$/g, '');
  if (usable === '') return undefined;
  const whole = `${usable.slice(0, USERNAME_MAX - suffix.length)}${suffix}`.padEnd(USERNAME_MIN, '_');
  return isUsername(whole) ? whole : `${whole}_`;
}
