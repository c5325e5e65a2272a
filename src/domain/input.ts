import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { badInput } from '../core/errors.js';

/**
 * Checks an input and gives it back as the schema makes it (trimmed, defaults filled in).
 * @throws {ChatError} BAD_USER_INPUT with the path of the first wrong value: `input.username`.
 */
export function checkInput<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const { success, data, error } = schema.safeParse(input);
  if (success) return data;
  const issue = error.issues[0];
  throw badInput(['input', ...(issue?.path ?? [])].join('.'), issue?.message ?? 'This is not valid.');
}

/** A hash of what a caller's own key stood for, kept beside the key: the same key with another input is a conflict. */
export function hashInput(...parts: (string | null)[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash('sha256').update(JSON.stringify(parts)).digest());
}
