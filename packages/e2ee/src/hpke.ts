import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { type Bytes, concat, copyOf } from './bytes.js';
import type { KeyPair } from './crypto.js';

/** HPKE (RFC 9180) with X25519, HKDF-SHA-256 and AES-128-GCM: the suite that MLS and sealed keys use. */
export const hpkeSuite = new CipherSuite({
  kem: new DhkemX25519HkdfSha256(),
  kdf: new HkdfSha256(),
  aead: new Aes128Gcm(),
});

export async function x25519Pair(): Promise<KeyPair> {
  const pair = await hpkeSuite.kem.generateKeyPair();
  return {
    publicKey: new Uint8Array(await hpkeSuite.kem.serializePublicKey(pair.publicKey)),
    privateKey: new Uint8Array(await hpkeSuite.kem.serializePrivateKey(pair.privateKey)),
  };
}

const ENCAPSULATED_BYTES = 32;

/** Encrypts for the holder of a private key: 32 bytes of key agreement, then the ciphertext with its tag. */
export async function hpkeSeal(publicKey: Uint8Array, info: Uint8Array, plain: Uint8Array): Promise<Bytes> {
  const recipientPublicKey = await hpkeSuite.kem.deserializePublicKey(copyOf(publicKey).buffer);
  const { enc, ct } = await hpkeSuite.seal({ recipientPublicKey, info: copyOf(info).buffer }, copyOf(plain).buffer);
  return concat(new Uint8Array(enc), new Uint8Array(ct));
}

/** @throws Error if the bytes were sealed for another key or for another purpose, or were changed. */
export async function hpkeOpen(privateKey: Uint8Array, info: Uint8Array, sealed: Uint8Array): Promise<Bytes> {
  const recipientKey = await hpkeSuite.kem.deserializePrivateKey(copyOf(privateKey).buffer);
  const enc = copyOf(sealed.subarray(0, ENCAPSULATED_BYTES)).buffer;
  const parameters = { recipientKey, enc, info: copyOf(info).buffer };
  return new Uint8Array(await hpkeSuite.open(parameters, copyOf(sealed.subarray(ENCAPSULATED_BYTES)).buffer));
}
