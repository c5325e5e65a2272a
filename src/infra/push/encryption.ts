import { createCipheriv, createECDH, createHmac, randomBytes } from 'node:crypto';

/** The keys of a browser's push subscription (RFC 8291), decoded. */
export interface PushKeys {
  /** The public key on the curve P-256, in its uncompressed form of 65 bytes. */
  p256dh: Uint8Array;
  /** The authentication secret of 16 bytes. */
  auth: Uint8Array;
}

const CURVE = 'prime256v1';
const PUBLIC_KEY_BYTES = 65;
const AUTH_BYTES = 16;
const TAG_BYTES = 16;
/** The salt, the record size, and the public key with its length. */
const HEADER_BYTES = 16 + 4 + 1 + PUBLIC_KEY_BYTES;
/** The bytes that a body has in addition to the text: the header, the delimiter of the padding, and the tag. */
const OVERHEAD_BYTES = HEADER_BYTES + 1 + TAG_BYTES;

/** The maximum length of a text in bytes whose encrypted body has this length. */
export const textBytesMax = (bodyBytes: number): number => bodyBytes - OVERHEAD_BYTES;

/** Decodes the keys of a subscription from base64url, of which some browsers add the padding. */
export function readPushKeys(keys: { p256dh: string; auth: string }): {
  p256dh: Uint8Array<ArrayBuffer> | undefined;
  auth: Uint8Array<ArrayBuffer> | undefined;
} {
  const p256dh = decode(keys.p256dh, PUBLIC_KEY_BYTES);
  return { p256dh: p256dh && isPublicKey(p256dh) ? p256dh : undefined, auth: decode(keys.auth, AUTH_BYTES) };
}

function decode(text: string, length: number): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[\w+/-]+={0,2}$/.test(text)) return undefined;
  const bytes = new Uint8Array(Buffer.from(text, 'base64'));
  return bytes.length === length ? bytes : undefined;
}

/** Whether this is a point of the curve: others could reveal the secret with which they are combined. */
function isPublicKey(key: Uint8Array): boolean {
  if (key[0] !== 4) return false;
  const own = createECDH(CURVE);
  own.generateKeys();
  try {
    own.computeSecret(key);
    return true;
  } catch {
    return false;
  }
}

const INFO = Buffer.from('WebPush: info\0');
/** HKDF with an output of at most 32 bytes is two HMACs, the second one with this byte. `hkdf` takes ten times as long. */
const LAST_BLOCK = Buffer.from([1]);

const hmac = (key: Uint8Array, data: Uint8Array | string): Buffer => createHmac('sha256', key).update(data).digest();

/**
 * Encrypts a text for the browser of a subscription (RFC 8291 with the content coding `aes128gcm` of RFC 8188) to a
 * body of exactly `bodyBytes` bytes, so that a push service cannot distinguish texts by their length.
 * @throws {RangeError} if the text is longer than `textBytesMax(bodyBytes)`.
 */
export function encryptPush(text: Uint8Array, { p256dh, auth }: PushKeys, bodyBytes: number): Buffer {
  const padding = textBytesMax(bodyBytes) - text.length;
  if (padding < 0) throw new RangeError('The text is too long for its body.');
  const own = createECDH(CURVE);
  const ownKey = own.generateKeys();
  const shared = own.computeSecret(p256dh);
  const info = Buffer.concat([INFO, p256dh, ownKey, LAST_BLOCK]);
  const secret = hmac(hmac(auth, shared), info);
  const salt = randomBytes(16);
  // Two outputs share the first HMAC.
  const extracted = hmac(salt, secret);
  const expand = (label: string, length: number) =>
    hmac(extracted, `Content-Encoding: ${label}\0\u0001`).subarray(0, length);
  const cipher = createCipheriv('aes-128-gcm', expand('aes128gcm', 16), expand('nonce', 12));
  const header = Buffer.alloc(HEADER_BYTES);
  salt.copy(header);
  header.writeUInt32BE(bodyBytes - HEADER_BYTES, 16);
  header.writeUInt8(PUBLIC_KEY_BYTES, 20);
  ownKey.copy(header, 21);
  // The delimiter 2 marks the last record; zeros follow it.
  const delimiter = Buffer.alloc(1 + padding);
  delimiter[0] = 2;
  return Buffer.concat([header, cipher.update(text), cipher.update(delimiter), cipher.final(), cipher.getAuthTag()]);
}
