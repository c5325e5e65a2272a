import { type Bytes, concat, equal, fromBase64Url, randomBytes, toBase64Url } from './bytes.js';
import type { AttachmentSecret } from './content.js';
import { aesOpen, aesSeal, label, sha256 } from './crypto.js';
import { E2eeError } from './errors.js';
import { padme } from './padding.js';

/** How many bytes of a file are encrypted at once, so that parts of large files can be read. */
export const SEGMENT_BYTES = 1_024 * 1_024;
const TAG_BYTES = 16;
const SEALED_BYTES = SEGMENT_BYTES + TAG_BYTES;

/** Numbers the segments, and marks the last one, so that none can be moved, repeated or left out. */
function nonceOf(index: number, isLast: boolean): Bytes {
  const view = new DataView(new ArrayBuffer(12));
  view.setUint32(7, index);
  view.setUint8(11, isLast ? 1 : 0);
  return new Uint8Array(view.buffer);
}

const DATA = label('attachment 1');

/** Types that no browser executes. Documents with scripts would run with the origin of the application, and could read its keys. */
const isPassive = (mimeType: string) =>
  /^(image\/(png|jpeg|gif|webp|avif|bmp)|audio\/[\w.+-]+|video\/[\w.+-]+|text\/plain)$/.test(mimeType);

const typeOf = ({ mimeType = '' }: AttachmentSecret) => (isPassive(mimeType) ? mimeType : 'application/octet-stream');

const countOf = (size: number) => Math.max(1, Math.ceil(padme(size) / SEGMENT_BYTES));

/**
 * Encrypts a file under a key of its own. The file is padded, so that its exact length remains unknown.
 * @returns the encrypted file, to be uploaded, and what the message has to contain to decrypt it.
 */
export async function encryptAttachment(
  file: Blob,
  about: { name?: string; mimeType?: string } = {},
): Promise<{ blob: Blob; secret: AttachmentSecret }> {
  const key = randomBytes(32);
  const total = padme(file.size);
  const count = countOf(file.size);
  const segments: Bytes[] = [];
  const hashes: Bytes[] = [];
  for (let index = 0; index < count; index++) {
    const from = index * SEGMENT_BYTES;
    const plain = new Uint8Array(Math.min(SEGMENT_BYTES, total - from));
    plain.set(new Uint8Array(await file.slice(from, from + SEGMENT_BYTES).arrayBuffer()));
    const sealed = await aesSeal(key, nonceOf(index, index === count - 1), plain, DATA);
    segments.push(sealed);
    hashes.push(await sha256(sealed));
  }
  const digest = toBase64Url(await sha256(concat(...hashes)));
  const secret = { key: toBase64Url(key), size: file.size, digest, ...about };
  return { blob: new Blob(segments, { type: 'application/octet-stream' }), secret };
}

/**
 * Decrypts a whole file. Its type is the one that the sender has stated if it is that of a picture, a sound, a video or a plain text, and
 * `application/octet-stream` otherwise.
 * @throws E2eeError `TAMPERED` if it is not the file that was sent.
 */
export async function decryptAttachment(blob: Blob, secret: AttachmentSecret): Promise<Blob> {
  const count = countOf(secret.size);
  if (blob.size !== padme(secret.size) + count * TAG_BYTES) throw tampered();
  const hashes: Bytes[] = [];
  const parts: Bytes[] = [];
  for (let index = 0; index < count; index++) {
    const sealed = new Uint8Array(await blob.slice(index * SEALED_BYTES, (index + 1) * SEALED_BYTES).arrayBuffer());
    hashes.push(await sha256(sealed));
    parts.push(await decryptSegment(sealed, index, secret));
  }
  // The key alone does not say that it is the file of the sender: a member who knows it could have made another one.
  if (!equal(await sha256(concat(...hashes)), fromBase64Url(secret.digest))) throw tampered();
  return new Blob(parts, { type: typeOf(secret) });
}

/**
 * Decrypts one segment, for example of a video that is played while it is loaded. Its place in the file is verified, but not
 * that the other segments are those of the sender, as `decryptAttachment` does.
 * @param sealed the bytes from `index * (SEGMENT_BYTES + 16)`.
 */
export async function decryptSegment(sealed: Uint8Array, index: number, secret: AttachmentSecret): Promise<Bytes> {
  try {
    const nonce = nonceOf(index, index === countOf(secret.size) - 1);
    const plain = await aesOpen(fromBase64Url(secret.key), nonce, sealed, DATA);
    return plain.slice(0, Math.max(0, secret.size - index * SEGMENT_BYTES));
  } catch (cause) {
    throw tampered(cause);
  }
}

const tampered = (cause?: unknown) => new E2eeError('TAMPERED', 'The file is not the one that was sent.', { cause });
