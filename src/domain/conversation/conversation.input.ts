import { z } from 'zod';
import { name } from '../user/user.input.js';

/** 1 to 100 characters. */
export const title = name('A title', 100);

/** Up to 1000 characters; an empty one is none. */
export const description = z
  .string()
  .trim()
  .max(1_000, 'A description has at most 1000 characters.')
  .refine((text) => !text.includes('\0') && text.isWellFormed(), 'A description cannot hold NUL or half a character.')
  .transform((text) => text || null)
  .nullish();

/** An address of http or https, up to 2000 characters; an empty one is none. */
export const imageUrl = z
  .string()
  .trim()
  .max(2_000, 'An address has at most 2000 characters.')
  .refine((text) => text === '' || isWebAddress(text), 'This is no address of http or https.')
  .transform((text) => text || null)
  .nullish();

function isWebAddress(text: string): boolean {
  return URL.canParse(text) && ['http:', 'https:'].includes(new URL(text).protocol);
}
