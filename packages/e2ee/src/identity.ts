import { type Bytes, equal, utf8 } from './bytes.js';
import { encode } from './codec.js';
import { ed25519Pair, ed25519Sign, ed25519Verify, type KeyPair, label, subtle } from './crypto.js';
import { x25519Pair } from './hpke.js';

export { type Certificate, issueCertificate, readCertificate } from './certificate.js';

/** The keys of an account: its identity, and the one for which keys of epochs are sealed. */
export interface AccountKeys {
  identity: KeyPair;
  history: KeyPair;
  /** Former private history keys, with which older sealed keys are opened. */
  formerHistory: Bytes[];
}

export async function createAccountKeys(): Promise<AccountKeys> {
  return { identity: await ed25519Pair(), history: await x25519Pair(), formerHistory: [] };
}

/** The signature of the identity key over the history key, which `setAccountKeys` stores. */
export const signHistoryKey = ({ identity, history }: AccountKeys): Promise<Bytes> =>
  ed25519Sign(identity.privateKey, encode(label('history key 1'), history.publicKey));

/** Whether the identity key has signed the history key. */
export const verifyHistoryKey = (
  identityKey: Uint8Array,
  historyKey: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> => ed25519Verify(identityKey, encode(label('history key 1'), historyKey), signature);

/** Each guess of an attacker who searches for a key with the same number costs this much. */
const ITERATIONS = 5_200;
const DIGITS_PER_USER = 30;

/** A user with the identity key that this device knows of them. */
export interface Identity {
  userId: string;
  identityKey: Uint8Array;
}

/**
 * The safety number of two users: 60 digits in groups of five. It is the same on the devices of both if no server has
 * replaced an identity key. The users compare it once, in person or by phone.
 */
export async function safetyNumber(one: Identity, other: Identity): Promise<string> {
  const halves = await Promise.all([one, other].map(digitsOf));
  return (halves.sort().join('').match(/.{5}/g) ?? []).join(' ');
}

async function digitsOf({ userId, identityKey }: Identity): Promise<string> {
  const key = await subtle().importKey('raw', encode(utf8(userId), identityKey), 'PBKDF2', false, ['deriveBits']);
  const parameters = { name: 'PBKDF2', hash: 'SHA-512', salt: label('safety number 1'), iterations: ITERATIONS };
  const bits = await subtle().deriveBits(parameters, key, DIGITS_PER_USER * 8);
  const view = new DataView(bits);
  // Five digits of five bytes each, as the remainder of much more than 100,000 values, which makes all equally likely.
  return Array.from({ length: DIGITS_PER_USER / 5 }, (_, index) => {
    const value = view.getUint8(index * 5) * 2 ** 32 + view.getUint32(index * 5 + 1);
    return String(value % 100_000).padStart(5, '0');
  }).join('');
}

/** Whether two identities are the same user with the same key. */
export const sameIdentity = (one: Identity, other: Identity): boolean =>
  one.userId === other.userId && equal(one.identityKey, other.identityKey);
