import { type Bytes, concat } from './bytes.js';
import { encode, Reader } from './codec.js';
import { ed25519Sign, ed25519Verify, label, sha256 } from './crypto.js';
import type { AccountKeys } from './identity.js';

/** Which version of the list of a user's devices exists. The signature proves that the account has made it. */
export interface ListHead {
  userId: string;
  version: number;
  hash: Bytes;
  signature: Bytes;
}

/** The devices of an account. Each change has a higher version, and contains the hash of the previous one. */
export interface DeviceList extends ListHead {
  identityKey: Bytes;
  /** The history key, for which the keys of epochs are sealed. */
  historyKey: Bytes;
  previous: Bytes;
  signatureKeys: Bytes[];
  /** The list as it is published. */
  bytes: Bytes;
}

const FORMAT = 1;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

const signed = ({ userId, version, hash }: Omit<ListHead, 'signature'>): Bytes =>
  encode(label('device list 1'), userId, { u32: version }, hash);

/** Signs a list of devices. */
export async function signDeviceList(
  { identity }: Pick<AccountKeys, 'identity'>,
  {
    userId,
    version,
    historyKey,
    previous,
    signatureKeys,
  }: Pick<DeviceList, 'userId' | 'version' | 'historyKey' | 'previous' | 'signatureKeys'>,
): Promise<DeviceList> {
  const header = encode({ u8: FORMAT }, { u32: version }, userId);
  const body = concat(header, identity.publicKey, historyKey, previous, ...signatureKeys);
  const hash = await sha256(body);
  const signature = await ed25519Sign(identity.privateKey, signed({ userId, version, hash }));
  const bytes = concat(body, signature);
  return {
    userId,
    version,
    hash,
    signature,
    identityKey: identity.publicKey,
    historyKey,
    previous,
    signatureKeys,
    bytes,
  };
}

/** Reads a list of devices; undefined if it is not valid. Whether `identityKey` is the one of the user is the caller's to check. */
export async function readDeviceList(bytes: Bytes): Promise<DeviceList | undefined> {
  const body = bytes.subarray(0, -SIGNATURE_BYTES);
  try {
    const reader = new Reader(body);
    if (reader.u8() !== FORMAT) return undefined;
    const version = reader.u32();
    const userId = reader.text();
    const [identityKey, historyKey, previous] = [0, 1, 2].map(() => reader.fixed(KEY_BYTES)) as [Bytes, Bytes, Bytes];
    const signatureKeys: Bytes[] = [];
    while (!reader.isAtEnd) signatureKeys.push(reader.fixed(KEY_BYTES));
    const [hash, signature] = [await sha256(body), bytes.slice(-SIGNATURE_BYTES)];
    const list = { userId, version, hash, signature, identityKey, historyKey, previous, signatureKeys, bytes };
    return (await isSignedBy(identityKey, list)) ? list : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the account with this identity key has signed the head. */
export const isSignedBy = (identityKey: Uint8Array, head: ListHead): Promise<boolean> =>
  ed25519Verify(identityKey, signed(head), head.signature);

/** The heads as fields of the authenticated data of a commit. */
export const encodeHeads = (heads: readonly ListHead[]): Bytes =>
  encode(
    { u32: heads.length },
    ...heads.flatMap(({ userId, version, hash, signature }) => [userId, { u32: version }, hash, signature]),
  );

/** @throws RangeError if they are not complete. */
export function readHeads(reader: Reader): ListHead[] {
  return Array.from({ length: Math.min(reader.u32(), 1_000) }, () => ({
    userId: reader.text(),
    version: reader.u32(),
    hash: reader.bytesField(),
    signature: reader.bytesField(),
  }));
}
