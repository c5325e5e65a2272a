/** Bytes whose memory is not shared, as Web Crypto requires them. */
export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export const utf8 = (text: string): Bytes => encoder.encode(text);

/** @throws TypeError if the bytes are not valid UTF-8. */
export const fromUtf8 = (bytes: Uint8Array): string => decoder.decode(bytes);

export const randomBytes = (length: number): Bytes => crypto.getRandomValues(new Uint8Array(length));

/** A copy of bytes of any origin. */
export const copyOf = (bytes: Uint8Array): Bytes => new Uint8Array(bytes);

export function concat(...parts: Uint8Array[]): Bytes {
  const result = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.length;
  }
  return result;
}

/** Compares without revealing by its duration where the bytes differ. */
export function equal(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  let difference = 0;
  for (let index = 0; index < one.length; index++) difference |= (one[index] as number) ^ (other[index] as number);
  return difference === 0;
}

/** The scalar `Bytes` of the API: base64url without padding. */
export function toBase64Url(bytes: Uint8Array): string {
  let text = '';
  // The number of arguments of a call is limited.
  for (let index = 0; index < bytes.length; index += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(index, index + 0x8000));
  }
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** @throws TypeError if the text is not base64url without padding, in its only form. */
export function fromBase64Url(text: string): Bytes {
  const rest = text.length % 4;
  if (!/^[\w-]*$/.test(text) || rest === 1) throw new TypeError('The text is not base64url.');
  // The last character has bits that are not used: each sequence of bytes has one text only.
  const unused = rest === 2 ? 0b1111 : rest === 3 ? 0b11 : 0;
  if ((DIGITS.indexOf(text.slice(-1)) & unused) !== 0) throw new TypeError('The text is not canonical base64url.');
  const decoded = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  const bytes = new Uint8Array(decoded.length);
  for (let index = 0; index < decoded.length; index++) bytes[index] = decoded.charCodeAt(index);
  return bytes;
}
