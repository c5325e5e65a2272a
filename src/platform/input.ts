import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { ChatError } from '../core/errors.js';

/**
 * Checks an input and gives it back as the schema makes it (trimmed, defaults filled in).
 * @throws {ChatError} BAD_USER_INPUT with the path of the first wrong value: `input.username`. Where more than one is wrong,
 *   its `fields` are all of them, each with its message.
 */
export function checkInput<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const { success, data, error } = schema.safeParse(input);
  if (success) return data;
  const wrong = new Map<string, string>();
  for (const { path, message } of error.issues) {
    const field = ['input', ...path].join('.');
    // What else is wrong with a value mostly follows from what was found first.
    if (!wrong.has(field)) wrong.set(field, message);
  }
  const fields = [...wrong].map(([field, message]) => ({ field, message }));
  const [first] = fields;
  throw new ChatError('BAD_USER_INPUT', first?.message ?? 'The input is not valid.', {
    field: first?.field ?? 'input',
    fields: fields.length > 1 ? fields : undefined,
  });
}

/** A hash of what a caller's own key stood for, kept beside the key: the same key with another input is a conflict. */
export function hashInput(...parts: (string | null)[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash('sha256').update(JSON.stringify(parts)).digest());
}
