import { v7 } from 'uuid';
import { badInput } from './errors.js';

/** The id of a new row: a UUID of version 7, which keeps rows that are created together close to each other in indexes. */
export const newId = (): string => v7();

/** The id of no row. It stands in for an id that the viewer must not see, so that the lookup is otherwise the same. */
export const NOBODYS_ID = '00000000-0000-0000-0000-000000000000';

const shape = /^([A-Z][A-Za-z]{1,40})_([A-Za-z0-9_-]{22})$/;

/**
 * The global id, as clients see it, of the entity of type `typename` whose row has the UUID `id`. Clients treat it as
 * opaque; it contains the type so that logs can be understood.
 */
export function encodeGlobalId(typename: string, id: string): string {
  return `${typename}_${Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url')}`;
}

/**
 * Decodes a global id into its type and the UUID of the row.
 * @throws {ChatError} BAD_USER_INPUT for `field` if the id is malformed.
 */
export function decodeGlobalId(globalId: string, field: string): { typename: string; id: string } {
  const match = shape.exec(globalId);
  const bytes = match ? Buffer.from(match[2] ?? '', 'base64url') : undefined;
  // The last of the 22 characters has four unused bits: only the canonical form is accepted.
  if (!match || bytes?.length !== 16 || bytes.toString('base64url') !== match[2]) {
    throw badInput(field, 'This is not a valid id.');
  }
  const hex = bytes.toString('hex');
  const id = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  return { typename: match[1] as string, id };
}

/**
 * Decodes a global id of the type `typename` into the UUID of its row.
 * @throws {ChatError} BAD_USER_INPUT for `field` if the id is malformed or of another type.
 */
export function idOf(typename: string, globalId: string | number, field: string): string {
  const decoded = decodeGlobalId(String(globalId), field);
  if (decoded.typename !== typename)
    throw badInput(field, `The id of a ${typename} is expected, but this is the id of a ${decoded.typename}.`);
  return decoded.id;
}
