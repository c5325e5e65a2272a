import { z } from 'zod';
import { EMAIL_MAX_CHARS, isEmail, WEB_ADDRESS_MAX_CHARS, webAddressOf } from '../../core/text/addresses.js';
import { isStorable, isVisible, nameOf, passwordOf } from '../../core/text/characters.js';
import { EVERYONE, isUsername, USERNAME_MAX, USERNAME_MIN, usernamePattern } from '../../core/usernames.js';
import { PASSWORD_MAX_BYTES } from '../../infra/auth/passwords.js';

const PASSWORD_MIN_BYTES = 8;
const bytes = (text: string) => Buffer.byteLength(text, 'utf8');

/** 3 to 32 letters, digits, `_`, `.`, `-`; unique without regard to case. */
export const username = z
  .string()
  .regex(usernamePattern, `A username must have ${USERNAME_MIN} to ${USERNAME_MAX} letters, digits, "_", "." or "-".`)
  .refine(isUsername, `The name "${EVERYONE}" is reserved: it mentions all members of a group.`);

/** An email address of at most 254 characters (RFC 5321's longest path); unique by `emailKeyOf`. */
export const email = z
  .string()
  .trim()
  .max(EMAIL_MAX_CHARS, `An email address can have at most ${EMAIL_MAX_CHARS} characters.`)
  .normalize('NFC')
  .refine(isEmail, 'This is not a valid email address.');

/** 8 to 72 bytes in UTF-8, normalized: bcrypt reads no more, so a longer one is refused, not cut. */
export const password = z
  .string()
  .overwrite(passwordOf)
  .refine((text) => bytes(text) >= PASSWORD_MIN_BYTES, `A password must have at least ${PASSWORD_MIN_BYTES} bytes.`)
  .refine((text) => bytes(text) <= PASSWORD_MAX_BYTES, `A password can have at most ${PASSWORD_MAX_BYTES} bytes.`)
  .refine((text) => !text.includes('\0'), 'A password must not contain NUL characters.');

/**
 * The spellings in which a password may have been hashed: normalized, and as it is given, as passwords were hashed before
 * they were normalized. None of what can be nobody's: bcrypt would compare only its beginning.
 */
export const passwordSpellings = (text: string): string[] =>
  [...new Set([passwordOf(text), text])].filter(
    (spelling) =>
      bytes(spelling) >= PASSWORD_MIN_BYTES && bytes(spelling) <= PASSWORD_MAX_BYTES && !spelling.includes('\0'),
  );

const NO_CONTROLS = /^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]*$/u;

/**
 * 1 to `max` characters that people read, without control characters: composed, without what turns the direction of the
 * text around it, and with something to be seen.
 */
export const name = (what: string, max: number) =>
  z
    .string()
    .overwrite(nameOf)
    .min(1, `${what} must not be empty.`)
    .max(max, `${what} can have at most ${max} characters.`)
    .regex(NO_CONTROLS, `${what} must not contain control characters.`)
    .refine(isVisible, `${what} must contain at least one visible character.`);

/** 1 to `max` characters after trimming that only clients read: kept to the letter, without control characters. */
export const clientKey = (what: string, max: number) =>
  z
    .string()
    .trim()
    .min(1, `${what} must not be empty.`)
    .max(max, `${what} can have at most ${max} characters.`)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u, `${what} must not contain control characters.`);

export const displayName = name('A display name', 80);

/** What a device calls itself, for the list of sessions. */
export const deviceName = name('A device name', 80);

/** Up to `max` characters, lines too; one in which nothing is to be seen is none. */
export const longText = (what: string, max: number) =>
  z
    .string()
    .trim()
    .max(max, `${what} can have at most ${max} characters.`)
    .refine(isStorable, `${what} must not contain NUL characters or unpaired surrogates.`)
    .transform((text) => (isVisible(text) ? text : null))
    .nullish();

/** An address of http or https as `webAddressOf` writes it, up to 2000 characters; an empty one is none. */
export const webAddress = z
  .string()
  .trim()
  .max(WEB_ADDRESS_MAX_CHARS, `A URL can have at most ${WEB_ADDRESS_MAX_CHARS} characters.`)
  .refine(
    (text) => text === '' || webAddressOf(text) !== undefined,
    'The URL must begin with http:// or https:// and must not contain a password or control characters.',
  )
  .overwrite((text) => webAddressOf(text) ?? '')
  .max(WEB_ADDRESS_MAX_CHARS, `A URL can have at most ${WEB_ADDRESS_MAX_CHARS} characters in its encoded form.`)
  .transform((text) => text || null)
  .nullish();
