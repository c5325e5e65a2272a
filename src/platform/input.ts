import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { ChatError } from '../core/errors.js';

/**
 * Validates an input and returns it as the schema transforms it (trimmed, with defaults).
 * @throws {ChatError} BAD_USER_INPUT with the path of the first invalid value, such as `input.username`. If several
 *   values are invalid, `fields` contains each of them with its message.
 */
export function checkInput<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const { success, data, error } = schema.safeParse(input);
  if (success) return data;
  const wrong = new Map<string, string>();
  for (const { path, message } of error.issues) {
    const field = ['input', ...path].join('.');
    // Only the first problem of a value is reported, because further ones usually follow from it.
    if (!wrong.has(field)) wrong.set(field, message);
  }
  const fields = [...wrong].map(([field, message]) => ({ field, message }));
  const [first] = fields;
  throw new ChatError('BAD_USER_INPUT', first?.message ?? 'The input is not valid.', {
    field: first?.field ?? 'input',
    fields: fields.length > 1 ? fields : undefined,
  });
}

/**
 * Hashes the input of a call that the client identified with an idempotency key. The hash is stored with the key: the
 * same key with another input is a conflict.
 */
export function hashInput(...parts: (string | null)[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash('sha256').update(JSON.stringify(parts)).digest());
}
