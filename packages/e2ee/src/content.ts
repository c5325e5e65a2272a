import { type Bytes, concat, fromBase64Url, fromUtf8, randomBytes, toBase64Url, utf8 } from './bytes.js';
import { encode, Reader } from './codec.js';
import { aesOpen, aesSeal, ed25519Sign, ed25519Verify, hkdf, hkdfAesKey, label } from './crypto.js';
import { E2eeError } from './errors.js';
import { pad } from './padding.js';

/** What an encrypted message contains. Unknown fields of newer clients are kept. */
export interface Content {
  text?: string;
  /** The message to which it replies. The server knows it, too, and could show another one. */
  replyToId?: string;
  /** The files of the message by the ids of their attachments. */
  attachments?: Record<string, AttachmentSecret>;
  /**
   * The key of the reactions to the message, encrypted with that of this version, in base64url. Only edits have it, and `encrypt` sets it.
   */
  reactionKey?: string;
}

/** How the file of an attachment is decrypted: see `encryptAttachment`. The bytes are in base64url. */
export interface AttachmentSecret {
  key: string;
  /** The length of the file before it was padded. */
  size: number;
  /** The SHA-256 hash of the hashes of its segments. */
  digest: string;
  name?: string;
  mimeType?: string;
}

/** Where content belongs. It cannot be opened anywhere else. */
export interface Place {
  conversationId: string;
  generation: number;
  epoch: number;
  deviceId: string;
  clientMessageId: string;
  /** 1 for a new message; each edit has a higher number. */
  version: number;
}

/** Content that was decrypted and whose signature is valid. */
export interface OpenedContent {
  content: Content;
  version: number;
}

/** The first byte of content. */
const FORMAT = 1;
const SALT_BYTES = 32;
const SIGNATURE_BYTES = 64;
const HEADER_BYTES = 1 + 4 + SALT_BYTES;
/** Shorter content is padded to this length, so that lengths of short texts reveal nothing. */
const PLAIN_BYTES_MIN = 192;
/** The length of the field `reactionKey`, with its name, in JSON. */
const WRAPPED_BYTES = 103;
/** What the server accepts. */
const CONTENT_BYTES_MAX = 64 * 1_024;
/** Each message has a key of its own, so the nonce can be constant. */
const NONCE = new Uint8Array(12);

/** The place as bytes, without the version, which is in the content. */
function encodePlace({ conversationId, generation, epoch, deviceId, clientMessageId, version }: Place): Bytes {
  return encode(label('content 1'), conversationId, { u32: generation }, { u64: epoch }, deviceId, clientMessageId, {
    u32: version,
  });
}

const MESSAGE_KEY = label('message key 1');
export const MESSAGE_KEY_BYTES = 32;

/** The key of one version of a message. It reveals nothing about the keys of other messages. */
const messageKey = (epochKey: Uint8Array, salt: Uint8Array) => hkdfAesKey(epochKey, salt, MESSAGE_KEY);

const REACTION_KEY = label('reaction key 1');
const REACTION_KEY_BYTES = 64;

/** The key of reactions that belongs to one version of a message. It cannot be derived from the key of the message. */
const versionReactionKey = (epochKey: Uint8Array, salt: Uint8Array) =>
  hkdf(epochKey, salt, REACTION_KEY, REACTION_KEY_BYTES);

/** Encrypts or decrypts the key of reactions with that of one version, which is used for nothing else then. */
function wrap(key: Uint8Array, own: Uint8Array): Bytes {
  if (key.length !== own.length) throw new E2eeError('TAMPERED', 'The key of the reactions has another length.');
  return Uint8Array.from(key, (byte, index) => byte ^ (own[index] as number));
}

/**
 * The key of the reactions to a message: that of its first version, which an edit contains, or else that of the version itself.
 * @param content a version of the message.
 * @param opened what `openContent` has returned for it.
 */
export async function reactionKeyOf(
  epochKey: Uint8Array,
  content: Uint8Array,
  { content: { reactionKey } }: OpenedContent,
): Promise<Bytes> {
  const own = await versionReactionKey(epochKey, saltOf(content));
  return reactionKey === undefined ? own : wrap(fromBase64Url(reactionKey), own);
}

/**
 * Encrypts a version of a message.
 * @param epochKey the key of the place's epoch, of 32 bytes.
 * @param contentKey the private key of the device, which its certificate names.
 * @param reactionKey that of the previous version, so that the reactions to it remain readable.
 */
export async function sealContent(
  epochKey: Uint8Array,
  contentKey: Uint8Array,
  place: Place,
  content: Content,
  reactionKey?: Uint8Array,
): Promise<Bytes> {
  const data = encodePlace(place);
  const salt = randomBytes(SALT_BYTES);
  const wrapped = reactionKey && toBase64Url(wrap(reactionKey, await versionReactionKey(epochKey, salt)));
  const payload = utf8(JSON.stringify(wrapped ? { ...content, reactionKey: wrapped } : content));
  const signature = await ed25519Sign(contentKey, encode(data, payload));
  // The key leaves short texts as much room as they have without it.
  const minimum = PLAIN_BYTES_MIN + (wrapped ? WRAPPED_BYTES : 0);
  const plain = pad(concat(signature, encode(payload)), minimum);
  const sealed = await aesSeal(await messageKey(epochKey, salt), NONCE, plain, data);
  const result = concat(new Uint8Array([FORMAT]), encode({ u32: place.version }), salt, sealed);
  if (result.length > CONTENT_BYTES_MAX) throw new E2eeError('TOO_LARGE', 'The message is too long.');
  return result;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isOptionalText = (value: unknown) => value === undefined || typeof value === 'string';

const isSecret = (value: unknown) =>
  isRecord(value) &&
  typeof value['key'] === 'string' &&
  typeof value['digest'] === 'string' &&
  Number.isSafeInteger(value['size']) &&
  (value['size'] as number) >= 0 &&
  isOptionalText(value['name']) &&
  isOptionalText(value['mimeType']);

/** Checks the types of what a sender, who can be anybody in the group, has encrypted. */
function readContent(value: unknown): Content {
  const { attachments = {}, text, replyToId, reactionKey } = isRecord(value) ? value : { text: null };
  const isValid =
    [text, replyToId, reactionKey].every(isOptionalText) &&
    isRecord(attachments) &&
    Object.values(attachments).every(isSecret);
  if (!isValid) throw new Error('The content has another form.');
  return value as Content;
}

/** The version that content claims, which `openContent` verifies. */
export function versionOf(content: Uint8Array): number {
  if (content[0] !== FORMAT) throw new E2eeError('UNKNOWN_FORMAT', 'A newer client has encrypted the message.');
  if (content.length < HEADER_BYTES) throw new E2eeError('TAMPERED', 'The content is incomplete.');
  return new Reader(content.subarray(1)).u32();
}

/** The salt of the key of content, whose form `versionOf` has checked. */
const saltOf = (content: Uint8Array) => content.subarray(HEADER_BYTES - SALT_BYTES, HEADER_BYTES);

/** Content that was decrypted, and of which it was not verified who has signed it. */
interface Decrypted {
  version: number;
  payload: Bytes;
  /** What the sender has signed: the place and the payload. */
  signed: Bytes;
  signature: Bytes;
}

/** @throws DOMException or RangeError if the content was changed, or is for another place. */
async function decrypt(
  key: Uint8Array | CryptoKey,
  place: Omit<Place, 'version'>,
  content: Uint8Array,
): Promise<Decrypted> {
  const version = versionOf(content);
  const data = encodePlace({ ...place, version });
  const reader = new Reader(await aesOpen(key, NONCE, content.subarray(HEADER_BYTES), data));
  const signature = reader.fixed(SIGNATURE_BYTES);
  const payload = reader.bytesField();
  return { version, payload, signed: encode(data, payload), signature };
}

const parse = (payload: Uint8Array): Content => readContent(JSON.parse(fromUtf8(payload)));

const tampered = (cause: unknown): E2eeError =>
  cause instanceof E2eeError
    ? cause
    : new E2eeError('TAMPERED', 'The message is not what its sender encrypted.', { cause });

/**
 * Decrypts a version of a message, and verifies who has encrypted it for which place.
 * @param contentKey the public key that the certificate of the sender's device names.
 * @throws E2eeError `TAMPERED` or `UNKNOWN_FORMAT`.
 */
export async function openContent(
  epochKey: Uint8Array,
  contentKey: Uint8Array,
  place: Omit<Place, 'version'>,
  content: Uint8Array,
): Promise<OpenedContent> {
  versionOf(content);
  return openWithMessageKey(await messageKey(epochKey, saltOf(content)), [contentKey], place, content);
}

/**
 * The same with the key of the message instead of that of the epoch.
 * @param contentKeys the public keys of which one must have signed the content.
 * @throws E2eeError `TAMPERED` or `UNKNOWN_FORMAT`.
 */
export async function openWithMessageKey(
  key: Uint8Array | CryptoKey,
  contentKeys: readonly Uint8Array[],
  place: Omit<Place, 'version'>,
  content: Uint8Array,
): Promise<OpenedContent> {
  try {
    const { version, payload, signed, signature } = await decrypt(key, place, content);
    for (const contentKey of contentKeys) {
      if (await ed25519Verify(contentKey, signed, signature)) return { content: parse(payload), version };
    }
    throw new Error('The signature is wrong.');
  } catch (error) {
    throw tampered(error);
  }
}

/**
 * The key of one version of a message, as bytes, with what it opens: neither the key of the epoch nor those of other messages can be
 * derived from it. Who has signed the content is not verified: the receiver of the key does.
 * @throws E2eeError `TAMPERED` or `UNKNOWN_FORMAT`.
 */
export async function discloseContent(
  epochKey: Uint8Array,
  place: Omit<Place, 'version'>,
  content: Uint8Array,
): Promise<OpenedContent & { messageKey: Bytes }> {
  versionOf(content);
  const key = await hkdf(epochKey, saltOf(content), MESSAGE_KEY, MESSAGE_KEY_BYTES);
  try {
    const { version, payload } = await decrypt(key, place, content);
    return { content: parse(payload), version, messageKey: key };
  } catch (error) {
    throw tampered(error);
  }
}
