import { badInput } from '../../core/errors.js';
import type { Config } from '../../infra/config/config.js';

/** The settings that limit the size of bytes, with their fields in `serverInfo.limits`. */
type ByteLimit = {
  [Name in keyof Config]: Name extends `${string}MaxBytes` ? (Config[Name] extends number ? Name : never) : never;
}[keyof Config];

/**
 * Checks the size of bytes that a client has given.
 * @throws {ChatError} BAD_USER_INPUT with the field if there are none, or more than the setting allows.
 */
export function checkBytes(config: Config, bytes: Uint8Array, limit: ByteLimit, field: string): void {
  if (bytes.length === 0) throw badInput(field, 'This must not be empty.');
  if (bytes.length > config[limit]) throw badInput(field, `This can have at most ${config[limit]} bytes.`, limit);
}

/**
 * Checks the length of a list, and that its items differ.
 * @throws {ChatError} BAD_USER_INPUT with the path of the list or of the repeated item.
 */
export function checkList(items: readonly string[], max: number, field: string, limit?: string): void {
  if (items.length > max) throw badInput(field, `This list can have at most ${max} items.`, limit);
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    if (seen.has(item)) throw badInput(`${field}.${index}`, 'This list must not contain an item twice.');
    seen.add(item);
  }
}
