import { z } from 'zod';
import { EVERYONE, isUsername, USERNAME_MAX, USERNAME_MIN, usernamePattern } from '../../core/usernames.js';
import { PASSWORD_MAX_BYTES } from '../../infra/passwords.js';

const PASSWORD_MIN_BYTES = 8;
const bytes = (text: string) => Buffer.byteLength(text, 'utf8');

/** 3 to 32 letters, digits, `_`, `.`, `-`; unique without regard to case. */
export const username = z
  .string()
  .regex(usernamePattern, `A username is ${USERNAME_MIN} to ${USERNAME_MAX} letters, digits, "_", "." or "-".`)
  .refine(isUsername, `@${EVERYONE} stands for all members of a group.`);

/** An email address of at most 254 characters (RFC 5321's longest path); unique without regard to case. */
export const email = z
  .string()
  .trim()
  .max(254, 'An email address has at most 254 characters.')
  .pipe(z.email('This is not an email address.'));

/** 8 to 72 bytes in UTF-8: bcrypt reads no more, so a longer one is refused, not cut. */
export const password = z
  .string()
  .refine((text) => bytes(text) >= PASSWORD_MIN_BYTES, `A password has at least ${PASSWORD_MIN_BYTES} bytes.`)
  .refine((text) => bytes(text) <= PASSWORD_MAX_BYTES, `A password has at most ${PASSWORD_MAX_BYTES} bytes.`)
  .refine((text) => !text.includes('\0'), 'A password cannot hold the character NUL.');

/** 1 to `max` characters after trimming, without control characters. */
export const name = (what: string, max: number) =>
  z
    .string()
    .trim()
    .min(1, `${what} cannot be empty.`)
    .max(max, `${what} has at most ${max} characters.`)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u, `${what} cannot hold control characters.`);

export const displayName = name('A display name', 80);

/** What a device calls itself, for the list of sessions. */
export const deviceName = name('A device name', 80);

/** Up to `max` characters, lines too; an empty one is none. */
export const longText = (what: string, max: number) =>
  z
    .string()
    .trim()
    .max(max, `${what} has at most ${max} characters.`)
    .refine((text) => !text.includes('\0') && text.isWellFormed(), `${what} cannot hold NUL or half a character.`)
    .transform((text) => text || null)
    .nullish();

/** An address of http or https, up to 2000 characters; an empty one is none. */
export const webAddress = z
  .string()
  .trim()
  .max(2_000, 'An address has at most 2000 characters.')
  .refine((text) => text === '' || isWebAddress(text), 'This is no address of http or https.')
  .transform((text) => text || null)
  .nullish();

const isWebAddress = (text: string): boolean => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
