import { type Bytes, concat } from './bytes.js';
import { encode, Reader } from './codec.js';
import { ed25519Sign, ed25519Verify, type KeyPair, label } from './crypto.js';
import { E2eeError } from './errors.js';

/** What a device certificate states: these keys belong to a device of this user. */
export interface Certificate {
  userId: string;
  /** The account identity key that signed the certificate. */
  identityKey: Bytes;
  /** The key with which the device signs commits and key packages. */
  signatureKey: Bytes;
  /** The key with which the device signs content. */
  contentKey: Bytes;
  /** The public history key of the account. */
  historyKey: Bytes;
  /** When it was issued, in milliseconds since 1970. */
  issuedAt: number;
}

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const VERSION = 1;

/** Issues the certificate of a device. */
export async function issueCertificate(
  account: { identity: KeyPair; history: KeyPair },
  device: { userId: string; signatureKey: Uint8Array; contentKey: Uint8Array },
  issuedAt = Date.now(),
): Promise<Bytes> {
  const body = concat(
    new Uint8Array([VERSION]),
    account.identity.publicKey,
    device.signatureKey,
    device.contentKey,
    account.history.publicKey,
    encode({ u64: issuedAt }, device.userId),
  );
  return concat(body, await ed25519Sign(account.identity.privateKey, encode(label('device certificate 1'), body)));
}

/**
 * Reads a certificate and verifies its signature. Whether `identityKey` is the one of the user is the caller's to check.
 * @throws E2eeError `INVALID_CERTIFICATE`.
 */
export async function readCertificate(bytes: Uint8Array): Promise<Certificate> {
  const body = bytes.subarray(0, -SIGNATURE_BYTES);
  try {
    const reader = new Reader(body);
    if (reader.u8() !== VERSION) throw new Error('The version of the certificate is unknown.');
    const [identityKey, signatureKey, contentKey, historyKey] = [0, 1, 2, 3].map(() => reader.fixed(KEY_BYTES)) as [
      Bytes,
      Bytes,
      Bytes,
      Bytes,
    ];
    const issuedAt = reader.u64();
    const userId = reader.text();
    reader.end();
    const signed = encode(label('device certificate 1'), body);
    if (!(await ed25519Verify(identityKey, signed, bytes.subarray(-SIGNATURE_BYTES)))) {
      throw new Error('The signature is wrong.');
    }
    return { userId, identityKey, signatureKey, contentKey, historyKey, issuedAt };
  } catch (cause) {
    throw new E2eeError('INVALID_CERTIFICATE', 'The certificate of a device is not valid.', { cause });
  }
}
