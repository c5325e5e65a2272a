import { v7 } from 'uuid';
import { badInput } from './errors.js';

/** A new row's id: a UUID of version 7, so that rows made one after another lie beside each other in their index. */
export const newId = (): string => v7();

/** The id of no row: what is not for somebody is looked up by it together with all the rest. */
export const NOBODYS_ID = '00000000-0000-0000-0000-000000000000';

const shape = /^([A-Z][A-Za-z]{1,40})_([A-Za-z0-9_-]{22})$/;

/**
 * The id that clients see, of an entity of type `typename` whose row has the UUID `id`: unique over all types.
 * Clients treat it as opaque; that the type can be read from it helps only who reads logs.
 */
export function encodeGlobalId(typename: string, id: string): string {
  return `${typename}_${Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url')}`;
}

/**
 * The type and the row's UUID of an id that a client gave.
 * @throws {ChatError} BAD_USER_INPUT with `field`, when it is no id of ours.
 */
export function decodeGlobalId(globalId: string, field: string): { typename: string; id: string } {
  const match = shape.exec(globalId);
  const bytes = match ? Buffer.from(match[2] ?? '', 'base64url') : undefined;
  // The last of the 22 characters has four spare bits: only one spelling of an id is the id.
  if (!match || bytes?.length !== 16 || bytes.toString('base64url') !== match[2]) {
    throw badInput(field, 'This is not a valid id.');
  }
  const hex = bytes.toString('hex');
  const id = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  return { typename: match[1] as string, id };
}

/**
 * The row's UUID of an id that must be of type `typename`.
 * @throws {ChatError} BAD_USER_INPUT with `field`, when it is malformed or of another type.
 */
export function idOf(typename: string, globalId: string | number, field: string): string {
  const decoded = decodeGlobalId(String(globalId), field);
  if (decoded.typename !== typename)
    throw badInput(field, `The id of a ${typename} is expected, but this is the id of a ${decoded.typename}.`);
  return decoded.id;
}
