import { type Bytes, copyOf, equal, toBase64Url } from './bytes.js';
import { E2eeError } from './errors.js';
import { type Certificate, readCertificate, safetyNumber, verifyHistoryKey } from './identity.js';
import type { E2eeStorage } from './storage.js';

/** What this device knows of the identity of a user. */
interface Pinned {
  /** The identity key that was seen first, or that the viewer has accepted. */
  current: Bytes;
  /** Keys that were seen later and that the viewer has not accepted. */
  others: Bytes[];
  isVerified: boolean;
}

/** What this device knows of the identity of a user. */
export interface TrustState {
  /** The identity key; undefined if no device of the user was seen. */
  identityKey: Uint8Array | undefined;
  /** Whether the viewer has compared the safety number. */
  isVerified: boolean;
  /** Whether another key was seen since then, for example because the user has lost all devices and the recovery key. */
  isChanged: boolean;
}

/** A user with an identity key. */
type Owner = Pick<Certificate, 'userId' | 'identityKey'>;

/** How many certificates are remembered as verified. */
const CERTIFICATES_MAX = 2_000;

export type Trust = ReturnType<typeof createTrust>;

/**
 * Decides which keys belong to whom: on first use, the identity key of a user is stored. Another one is reported; a
 * user whom the viewer has verified, and the viewer, receive nothing more until the viewer has accepted it.
 */
export function createTrust(
  storage: E2eeStorage,
  {
    ownUserId,
    onIdentityChanged,
  }: { ownUserId: () => string | undefined; onIdentityChanged: (userId: string) => void },
) {
  const certificates = new Map<string, Promise<Certificate>>();
  const keyOf = (userId: string) => `identity:${userId}`;
  const pinned = async (userId: string) => (await storage.get(keyOf(userId))) as Pinned | undefined;

  /** Verifies the certificate of a device, and stores the identity key if it is new. */
  async function certificateOf(bytes: Uint8Array, signatureKey: Uint8Array): Promise<Certificate> {
    const name = toBase64Url(bytes);
    let reading = certificates.get(name);
    if (!reading) {
      if (certificates.size >= CERTIFICATES_MAX) certificates.clear();
      reading = readCertificate(bytes).then(async (certificate) => {
        await see(certificate);
        return certificate;
      });
      certificates.set(name, reading);
      // What failed because the storage did is tried again.
      reading.catch(() => certificates.delete(name));
    }
    const certificate = await reading;
    if (!equal(certificate.signatureKey, signatureKey)) {
      throw new E2eeError('INVALID_CERTIFICATE', 'The certificate is of another device.');
    }
    return certificate;
  }

  async function see({ userId, identityKey }: Owner): Promise<void> {
    const known = await pinned(userId);
    if (!known) {
      await storage.write({
        [keyOf(userId)]: { current: identityKey, others: [], isVerified: false } satisfies Pinned,
      });
      return;
    }
    if ([known.current, ...known.others].some((key) => equal(key, identityKey))) return;
    await storage.write({ [keyOf(userId)]: { ...known, others: [...known.others, identityKey] } satisfies Pinned });
    onIdentityChanged(userId);
  }

  /** Whether something may be encrypted for the device of a certificate, or for its account. */
  async function mayReceive({ userId, identityKey }: Owner): Promise<boolean> {
    const known = await pinned(userId);
    if (!known || equal(known.current, identityKey)) return true;
    return !known.isVerified && userId !== ownUserId();
  }

  return {
    certificateOf,

    mayReceive,

    /**
     * Whether keys may be sealed for a history key that the server has named. The identity key is stored if it is new.
     * @param signature of the identity key over the history key.
     */
    async mayReceiveHistory(owner: Owner, historyKey: Bytes, signature: Uint8Array): Promise<boolean> {
      if (!(await verifyHistoryKey(owner.identityKey, historyKey, signature))) return false;
      await see(owner);
      return mayReceive(owner);
    },

    /** @throws E2eeError `IDENTITY_CHANGED` if nothing must be encrypted for the device of a certificate. */
    async checkRecipient(certificate: Certificate): Promise<void> {
      if (await mayReceive(certificate)) return;
      throw new E2eeError('IDENTITY_CHANGED', `The identity key of the user ${certificate.userId} has changed.`);
    },

    async state(userId: string): Promise<TrustState> {
      const known = await pinned(userId);
      return {
        identityKey: known?.current,
        isVerified: known?.isVerified ?? false,
        isChanged: (known?.others.length ?? 0) > 0,
      };
    },

    /** Stores that the viewer has compared the safety number. */
    async verify(userId: string): Promise<void> {
      const known = await pinned(userId);
      if (!known) throw new E2eeError('KEY_UNAVAILABLE', 'No device of the user is known.');
      await storage.write({ [keyOf(userId)]: { ...known, isVerified: true } satisfies Pinned });
    },

    /** Accepts the key that was seen last. The user has to be verified again. */
    async accept(userId: string): Promise<void> {
      const known = await pinned(userId);
      const current = known?.others.at(-1);
      if (current) {
        await storage.write({ [keyOf(userId)]: { current, others: [], isVerified: false } satisfies Pinned });
      }
    },

    /** Stores a key that the viewer has made or recovered. */
    async setOwn(userId: string, identityKey: Uint8Array): Promise<void> {
      await storage.write({
        [keyOf(userId)]: { current: copyOf(identityKey), others: [], isVerified: true } satisfies Pinned,
      });
    },

    /** @throws E2eeError `KEY_UNAVAILABLE` if no device of the user is known. */
    async safetyNumber(userId: string): Promise<string> {
      const ownId = ownUserId();
      const [own, other] = [ownId && (await pinned(ownId)), await pinned(userId)];
      if (!ownId || !own || !other) throw new E2eeError('KEY_UNAVAILABLE', 'No device of the user is known.');
      return safetyNumber({ userId: ownId, identityKey: own.current }, { userId, identityKey: other.current });
    },
  };
}
