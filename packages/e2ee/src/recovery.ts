import { entropyToMnemonic, mnemonicToEntropy } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { type Bytes, concat, copyOf, randomBytes } from './bytes.js';
import { encode, Reader } from './codec.js';
import { aesOpen, aesSeal, hkdf, label } from './crypto.js';
import { E2eeError } from './errors.js';
import { hpkeOpen, hpkeSeal } from './hpke.js';
import type { AccountKeys } from './identity.js';

/** 128 bits: 12 words. */
const RECOVERY_KEY_BYTES = 16;
const NONCE_BYTES = 12;
const KEY_BYTES = 32;
const VERSION = 1;

/** Creates a recovery key: 12 words of the English BIP-39 list, the last of which contains a checksum. */
export const createRecoveryKey = (): string => entropyToMnemonic(randomBytes(RECOVERY_KEY_BYTES), wordlist);

/** @throws E2eeError `INVALID_RECOVERY_KEY` if a word is unknown or the checksum is wrong. */
function readRecoveryKey(words: string): Bytes {
  const normalized = words.normalize('NFKC').toLowerCase().trim().split(/\s+/).join(' ');
  try {
    const bytes = mnemonicToEntropy(normalized, wordlist);
    if (bytes.length !== RECOVERY_KEY_BYTES) throw new Error('The recovery key has 12 words.');
    return copyOf(bytes);
  } catch (cause) {
    throw new E2eeError('INVALID_RECOVERY_KEY', 'The words are not a recovery key.', { cause });
  }
}

/** The recovery key is random, so no slow derivation is needed, as it is for passwords. */
const vaultKey = (words: string, salt: Uint8Array) => hkdf(readRecoveryKey(words), salt, label('vault key 1'), 32);

/** Encrypts the private keys of an account under its recovery key. Each vault has a key of its own. */
export async function sealVault(words: string, userId: string, account: AccountKeys): Promise<Bytes> {
  const salt = randomBytes(32);
  const { identity, history, formerHistory } = account;
  const pairs = [identity.publicKey, identity.privateKey, history.publicKey, history.privateKey];
  const plain = concat(...pairs, encode({ u32: formerHistory.length }), ...formerHistory);
  const data = encode(label('vault 1'), userId);
  const sealed = await aesSeal(await vaultKey(words, salt), new Uint8Array(NONCE_BYTES), plain, data);
  return concat(new Uint8Array([VERSION]), salt, sealed);
}

/** @throws E2eeError `INVALID_RECOVERY_KEY` or `WRONG_RECOVERY_KEY`. */
export async function openVault(words: string, userId: string, vault: Uint8Array): Promise<AccountKeys> {
  if (vault[0] !== VERSION) throw new E2eeError('UNKNOWN_FORMAT', 'A newer client has written the vault.');
  const key = await vaultKey(words, vault.subarray(1, 33));
  try {
    const data = encode(label('vault 1'), userId);
    const reader = new Reader(await aesOpen(key, new Uint8Array(NONCE_BYTES), vault.subarray(33), data));
    const pair = () => ({ publicKey: reader.fixed(KEY_BYTES), privateKey: reader.fixed(KEY_BYTES) });
    const [identity, history] = [pair(), pair()];
    const formerHistory = Array.from({ length: reader.u32() }, () => reader.fixed(KEY_BYTES));
    reader.end();
    return { identity, history, formerHistory };
  } catch (cause) {
    throw new E2eeError('WRONG_RECOVERY_KEY', 'The recovery key does not belong to this account.', { cause });
  }
}

/** The epoch to which a sealed key belongs. */
export interface Epoch {
  conversationId: string;
  generation: number;
  epoch: number;
}

const sealedKeyInfo = ({ conversationId, generation, epoch }: Epoch) =>
  encode(label('sealed key 1'), conversationId, { u32: generation }, { u64: epoch });

const SEALED_BYTES = 80;
/** For how many history keys of an account a key is sealed. */
export const SEALED_MAX = 8;

/**
 * Encrypts the key of an epoch for an account: 80 bytes for each history key. An account has several while it is not clear
 * which of its identities is the right one.
 */
export async function sealEpochKey(
  historyKeys: readonly Uint8Array[],
  epoch: Epoch,
  epochKey: Uint8Array,
): Promise<Bytes> {
  return concat(...(await Promise.all(historyKeys.map((key) => hpkeSeal(key, sealedKeyInfo(epoch), epochKey)))));
}

/** The key of an epoch; undefined if it was sealed for another account or another epoch, or was changed. */
export async function openEpochKey(account: AccountKeys, epoch: Epoch, sealed: Uint8Array): Promise<Bytes | undefined> {
  for (const privateKey of [account.history.privateKey, ...account.formerHistory]) {
    // A server could send any number of them, each of which takes time.
    const end = Math.min(sealed.length, SEALED_MAX * SEALED_BYTES);
    for (let from = 0; from + SEALED_BYTES <= end; from += SEALED_BYTES) {
      try {
        return await hpkeOpen(privateKey, sealedKeyInfo(epoch), sealed.subarray(from, from + SEALED_BYTES));
      } catch {
        // It can be sealed for another key of the account.
      }
    }
  }
  return undefined;
}
