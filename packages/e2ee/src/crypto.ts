import { type Bytes, concat, copyOf, randomBytes, utf8 } from './bytes.js';
import { E2eeError } from './errors.js';

/** A pair of keys: 32 bytes each. The private one of Ed25519 is its seed. */
export interface KeyPair {
  publicKey: Bytes;
  privateKey: Bytes;
}

/** Web Crypto, which browsers offer in secure contexts only. */
export function subtle(): SubtleCrypto {
  const found = globalThis.crypto?.subtle;
  if (!found) throw new E2eeError('UNSUPPORTED', 'Encryption needs a secure context: HTTPS or localhost.');
  return found;
}

export const sha256 = async (bytes: Uint8Array): Promise<Bytes> =>
  new Uint8Array(await subtle().digest('SHA-256', copyOf(bytes)));

const hkdfKeys = new WeakMap<Uint8Array, Promise<CryptoKey>>();

/**
 * Imports a secret once for each array, because a page of messages has one secret and each call of Web Crypto takes about as long as
 * decrypting a message.
 */
function importSecret(secret: Uint8Array): Promise<CryptoKey> {
  let key = hkdfKeys.get(secret);
  if (!key) {
    key = subtle().importKey('raw', copyOf(secret), 'HKDF', false, ['deriveBits', 'deriveKey']);
    hkdfKeys.set(secret, key);
  }
  return key;
}

const hkdfParameters = (salt: Uint8Array, info: Uint8Array) => ({
  name: 'HKDF',
  hash: 'SHA-256',
  salt: copyOf(salt),
  info: copyOf(info),
});

/** HKDF-SHA-256. The bytes of the secret must not change afterwards. */
export async function hkdf(secret: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Promise<Bytes> {
  return new Uint8Array(await subtle().deriveBits(hkdfParameters(salt, info), await importSecret(secret), length * 8));
}

/** An AES-256-GCM key by HKDF-SHA-256. The bytes of the secret must not change afterwards. */
export async function hkdfAesKey(secret: Uint8Array, salt: Uint8Array, info: Uint8Array): Promise<CryptoKey> {
  const key = await importSecret(secret);
  const usages: KeyUsage[] = ['encrypt', 'decrypt'];
  return subtle().deriveKey(hkdfParameters(salt, info), key, { name: 'AES-GCM', length: 256 }, false, usages);
}

const GCM_TAG_BYTES = 16;

const aesKey = async (key: Uint8Array | CryptoKey, usage: KeyUsage): Promise<CryptoKey> =>
  key instanceof Uint8Array ? subtle().importKey('raw', copyOf(key), 'AES-GCM', false, [usage]) : key;

/** Encrypts with AES-GCM. The tag of 16 bytes is at the end. A key must be used with each nonce only once. */
export async function aesSeal(
  key: Uint8Array | CryptoKey,
  nonce: Uint8Array,
  plain: Uint8Array,
  data: Uint8Array,
): Promise<Bytes> {
  const imported = await aesKey(key, 'encrypt');
  const parameters = { name: 'AES-GCM', iv: copyOf(nonce), additionalData: copyOf(data), tagLength: GCM_TAG_BYTES * 8 };
  return new Uint8Array(await subtle().encrypt(parameters, imported, copyOf(plain)));
}

/** @throws DOMException if the ciphertext, the nonce or the associated data was changed. */
export async function aesOpen(
  key: Uint8Array | CryptoKey,
  nonce: Uint8Array,
  sealed: Uint8Array,
  data: Uint8Array,
): Promise<Bytes> {
  const imported = await aesKey(key, 'decrypt');
  const parameters = { name: 'AES-GCM', iv: copyOf(nonce), additionalData: copyOf(data), tagLength: GCM_TAG_BYTES * 8 };
  return new Uint8Array(await subtle().decrypt(parameters, imported, copyOf(sealed)));
}

// Ed25519: by Web Crypto where it has it, which is ten times as fast, and else in JavaScript.

/** The header of an Ed25519 private key in PKCS #8. */
const PKCS8 = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

let native: Promise<boolean> | undefined;

/** Whether Web Crypto has Ed25519. */
function isNative(): Promise<boolean> {
  native ??= subtle()
    .importKey('raw', new Uint8Array(32), 'Ed25519', false, ['verify'])
    .then(
      () => true,
      () => false,
    );
  return native;
}

const scripted = async () => (await import('@noble/curves/ed25519.js')).ed25519;

/** Imported public keys. The messages of a page have few senders, and importing a key takes as long as half a verification. */
const imported = new WeakMap<Uint8Array, Promise<CryptoKey>>();

function importPublic(publicKey: Uint8Array): Promise<CryptoKey> {
  let key = imported.get(publicKey);
  if (!key) {
    key = subtle().importKey('raw', copyOf(publicKey), 'Ed25519', false, ['verify']);
    imported.set(publicKey, key);
  }
  return key;
}

/** The public key of an Ed25519 seed. */
async function ed25519Public(seed: Uint8Array): Promise<Bytes> {
  return copyOf((await scripted()).getPublicKey(seed));
}

export async function ed25519Pair(): Promise<KeyPair> {
  const privateKey = randomBytes(32);
  return { privateKey, publicKey: await ed25519Public(privateKey) };
}

export async function ed25519Sign(seed: Uint8Array, message: Uint8Array): Promise<Bytes> {
  if (!(await isNative())) return copyOf((await scripted()).sign(message, seed));
  const key = await subtle().importKey('pkcs8', concat(new Uint8Array(PKCS8), seed), 'Ed25519', false, ['sign']);
  return new Uint8Array(await subtle().sign('Ed25519', key, copyOf(message)));
}

/** Whether the signature is valid. False also if the key is malformed. */
export async function ed25519Verify(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  try {
    if (!(await isNative())) return (await scripted()).verify(signature, message, publicKey);
    return await subtle().verify('Ed25519', await importPublic(publicKey), copyOf(signature), copyOf(message));
  } catch {
    return false;
  }
}

/** A name for what a key or a signature is used for, so that none is valid for another purpose. */
export const label = (purpose: string): Bytes => utf8(`parley ${purpose}`);
