import { z } from 'zod';
import { EMAIL_MAX_CHARS, isEmail, WEB_ADDRESS_MAX_CHARS, webAddressOf } from '../../core/text/addresses.js';
import { isStorable, isVisible, nameOf, passwordOf } from '../../core/text/characters.js';
import { EVERYONE, isUsername, USERNAME_MAX, USERNAME_MIN, usernamePattern } from '../../core/usernames.js';
import { PASSWORD_MAX_BYTES } from '../../infra/auth/passwords.js';

const PASSWORD_MIN_BYTES = 8;
const bytes = (text: string) => Buffer.byteLength(text, 'utf8');

/** 3 to 32 letters, digits, `_`, `.`, `-`; unique regardless of case. */
export const username = z
  .string()
  .regex(usernamePattern, `A username must have ${USERNAME_MIN} to ${USERNAME_MAX} letters, digits, "_", "." or "-".`)
  .refine(isUsername, `The name "${EVERYONE}" is reserved: it mentions all members of a group.`);

/** An email address of at most 254 characters (the maximum of RFC 5321); unique by `emailKeyOf`. */
export const email = z
  .string()
  .trim()
  .max(EMAIL_MAX_CHARS, `An email address can have at most ${EMAIL_MAX_CHARS} characters.`)
  .normalize('NFC')
  .refine(isEmail, 'This is not a valid email address.');

/** 8 to 72 bytes in UTF-8, normalized. Longer passwords are rejected, because bcrypt would ignore the rest. */
export const password = z
  .string()
  .overwrite(passwordOf)
  .refine((text) => bytes(text) >= PASSWORD_MIN_BYTES, `A password must have at least ${PASSWORD_MIN_BYTES} bytes.`)
  .refine((text) => bytes(text) <= PASSWORD_MAX_BYTES, `A password can have at most ${PASSWORD_MAX_BYTES} bytes.`)
  .refine((text) => !text.includes('\0'), 'A password must not contain NUL characters.');

/**
 * The spellings in which a password may have been hashed: normalized, or as given, which older versions hashed.
 * Spellings that are too long are omitted, because bcrypt would only compare their beginning.
 */
export const passwordSpellings = (text: string): string[] =>
  [...new Set([passwordOf(text), text])].filter(
    (spelling) =>
      bytes(spelling) >= PASSWORD_MIN_BYTES && bytes(spelling) <= PASSWORD_MAX_BYTES && !spelling.includes('\0'),
  );

const NO_CONTROLS = /^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]*$/u;

/**
 * 1 to `max` characters of visible text without control characters: normalized (NFC), and without characters that
 * change the direction of surrounding text.
 */
export const name = (what: string, max: number) =>
  z
    .string()
    .overwrite(nameOf)
    .min(1, `${what} must not be empty.`)
    .max(max, `${what} can have at most ${max} characters.`)
    .regex(NO_CONTROLS, `${what} must not contain control characters.`)
    .refine(isVisible, `${what} must contain at least one visible character.`);

/**
 * 1 to `max` characters after trimming, chosen by a client and never displayed: stored unchanged, without control
 * characters.
 */
export const clientKey = (what: string, max: number) =>
  z
    .string()
    .trim()
    .min(1, `${what} must not be empty.`)
    .max(max, `${what} can have at most ${max} characters.`)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u, `${what} must not contain control characters.`);

export const displayName = name('A display name', 80);

/** The name of a device in the list of sessions. */
export const deviceName = name('A device name', 80);

/** Up to `max` characters, which may contain line breaks. A text without visible characters becomes null. */
export const longText = (what: string, max: number) =>
  z
    .string()
    .trim()
    .max(max, `${what} can have at most ${max} characters.`)
    .refine(isStorable, `${what} must not contain NUL characters or unpaired surrogates.`)
    .transform((text) => (isVisible(text) ? text : null))
    .nullish();

/** An http or https URL, normalized by `webAddressOf`, of up to 2000 characters. An empty text becomes null. */
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
