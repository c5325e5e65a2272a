import { type Bytes, copyOf, equal, toBase64Url } from './bytes.js';
import { type DeviceList, isSignedBy, type ListHead, readDeviceList } from './device-list.js';
import { E2eeError } from './errors.js';
import { type Certificate, readCertificate, safetyNumber, verifyHistoryKey } from './identity.js';
import { memoryLocks } from './locks.js';
import type { E2eeStorage } from './storage.js';

/** What this device knows of the identity of a user. */
interface Pinned {
  /** The identity key that was seen first, or that the viewer has accepted. */
  current: Bytes;
  /** Keys that were seen later and that the viewer has not accepted. */
  others: Bytes[];
  /** Keys that were current before the viewer has accepted another one. Messages that were signed with them remain valid. */
  former?: Bytes[];
  isVerified: boolean;
}

/** What this device has seen of the lists of a user's devices: the latest ones, one for each identity. */
interface Lists {
  lists: DeviceList[];
  /** Later versions that others have seen, and the server has not shown. */
  heads: (ListHead & { identityKey: Bytes })[];
}

/** What this device knows of the identity of a user. */
export interface TrustState {
  /** The identity key; undefined if no device of the user was seen. */
  identityKey: Uint8Array | undefined;
  /** Whether the viewer has compared the safety number. */
  isVerified: boolean;
  /** Whether another key was seen since then, for example because the user has lost all devices and the recovery key. */
  isChanged: boolean;
  /** The key that was seen last, which `acceptIdentity` accepts; undefined if none has changed. */
  newIdentityKey: Uint8Array | undefined;
}

/** A user with an identity key. */
type Owner = Pick<Certificate, 'userId' | 'identityKey'>;

/** How many certificates are remembered as verified. */
const CERTIFICATES_MAX = 2_000;
/** How many keys of a user are stored that the viewer has not accepted: a server can make any number of them. */
const OTHERS_MAX = 8;
const NO_LISTS: Lists = { lists: [], heads: [] };
/** For how long the identity of a sender is not read again, in milliseconds. */
const RECENT = 1_000;

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
    onDevicesDisputed,
  }: {
    ownUserId: () => string | undefined;
    onIdentityChanged: (userId: string) => void;
    onDevicesDisputed: (userId: string) => void;
  },
) {
  const certificates = new Map<string, Promise<Certificate>>();
  const keysOf = ({ current, others, former = [] }: Pinned): Bytes[] => [current, ...others, ...former];
  const keyOf = (userId: string) => `identity:${userId}`;
  const pinned = async (userId: string) => (await storage.get(keyOf(userId))) as Pinned | undefined;
  /** What was read just now, because the messages of a page have few senders. */
  const recent = new Map<string, { until: number; known: Promise<Pinned | undefined> }>();

  function pinnedRecently(userId: string): Promise<Pinned | undefined> {
    const now = Date.now();
    const entry = recent.get(userId);
    if (entry && now < entry.until) return entry.known;
    if (recent.size >= CERTIFICATES_MAX) recent.clear();
    const known = pinned(userId);
    recent.set(userId, { until: now + RECENT, known });
    known.catch(() => recent.delete(userId));
    return known;
  }

  const queue = memoryLocks();

  /**
   * Changes what is known of a user, one change after another, so that none takes back another one.
   * @param change returns what is known afterwards: undefined for no change, and null for nothing.
   */
  const update = (userId: string, change: (known: Pinned | undefined) => Pinned | null | undefined): Promise<void> =>
    queue.run(userId, async () => {
      const value = change(await pinned(userId));
      if (value === undefined) return;
      await storage.write({ [keyOf(userId)]: value ?? undefined });
      recent.delete(userId);
    });

  /**
   * Verifies the certificate of a device, and stores the identity key if it is new.
   * @param userId the user to whom the device has to belong, if that is known. Keys of another user are not stored.
   * @throws E2eeError `INVALID_CERTIFICATE`, or `TAMPERED` if it belongs to another user.
   */
  async function certificateOf(bytes: Uint8Array, signatureKey: Uint8Array, userId?: string): Promise<Certificate> {
    const name = toBase64Url(bytes);
    let reading = certificates.get(name);
    if (!reading) {
      if (certificates.size >= CERTIFICATES_MAX) certificates.clear();
      reading = readCertificate(bytes).then(async (certificate) => {
        checkOwner(certificate, signatureKey, userId);
        await see(certificate);
        return certificate;
      });
      certificates.set(name, reading);
      // Work that failed because of the storage is retried.
      reading.catch(() => certificates.delete(name));
    }
    const certificate = await reading;
    checkOwner(certificate, signatureKey, userId);
    return certificate;
  }

  function checkOwner(certificate: Certificate, signatureKey: Uint8Array, userId: string | undefined): void {
    if (!equal(certificate.signatureKey, signatureKey)) {
      throw new E2eeError('INVALID_CERTIFICATE', 'The certificate is of another device.');
    }
    if (userId !== undefined && certificate.userId !== userId) {
      throw new E2eeError('TAMPERED', 'The device is one of another user.');
    }
  }

  async function see({ userId, identityKey }: Owner): Promise<void> {
    let isChanged = false;
    await update(userId, (known) => {
      if (!known) return { current: identityKey, others: [], isVerified: false };
      if (keysOf(known).some((key) => equal(key, identityKey))) return undefined;
      isChanged = true;
      return { ...known, others: [...known.others, identityKey].slice(-OTHERS_MAX) };
    });
    if (isChanged) onIdentityChanged(userId);
  }

  const isAccepted = ({ userId, identityKey }: Owner, known: Pinned | undefined): boolean =>
    !known || equal(known.current, identityKey) || (!known.isVerified && userId !== ownUserId());

  /** Whether something may be encrypted for the device of a certificate, or for its account. */
  const mayReceive = async (owner: Owner): Promise<boolean> => isAccepted(owner, await pinned(owner.userId));

  const listsKey = (userId: string) => `lists:${userId}`;
  const disputed = new Set<string>();
  let listsRevision = 0;

  const listsOf = async (userId: string): Promise<Lists> =>
    ((await storage.get(listsKey(userId))) as Lists | undefined) ?? NO_LISTS;

  async function writeLists(userId: string, { lists, heads }: Lists): Promise<void> {
    const known = await pinned(userId);
    const identities = known ? keysOf(known) : [];
    const isKept = ({ identityKey }: { identityKey: Bytes }) => identities.some((key) => equal(key, identityKey));
    await storage.write({ [listsKey(userId)]: { lists: lists.filter(isKept), heads: heads.filter(isKept) } });
    listsRevision += 1;
  }

  /** Reports once that the server, or the account, has shown different lists as the same. */
  function dispute(userId: string): void {
    if (disputed.has(userId)) return;
    disputed.add(userId);
    onDevicesDisputed(userId);
  }

  async function listOf({ userId, identityKey }: Owner): Promise<DeviceList | undefined> {
    const { lists } = await listsOf(userId);
    return lists.find((each) => equal(each.identityKey, identityKey));
  }

  /** Whether others have seen a later list than the server has shown. */
  async function isWithheld(owner: Owner, list: DeviceList | undefined): Promise<boolean> {
    const { heads } = await listsOf(owner.userId);
    return heads.some(
      ({ identityKey, version }) => equal(identityKey, owner.identityKey) && version > (list?.version ?? 0),
    );
  }

  /** Whether a device belongs to the latest list that its account has signed. Accounts without a list have all of their devices. */
  async function isListed({ signatureKey, ...owner }: Certificate): Promise<boolean> {
    const list = await listOf(owner);
    if (await isWithheld(owner, list)) return false;
    return !list || list.signatureKeys.some((key) => equal(key, signatureKey));
  }

  const changed = (userId: string) =>
    new E2eeError('IDENTITY_CHANGED', `The identity key of the user ${userId} has changed.`);

  return {
    certificateOf,

    /** Whether something may be encrypted for the device of a certificate. */
    mayReceive: async (certificate: Certificate): Promise<boolean> =>
      (await mayReceive(certificate)) && (await isListed(certificate)),

    /**
     * The history key for which keys may be sealed, if the server has named this one; undefined if none may. The identity key is stored
     * if it is new.
     * @param signature of the identity key over the history key.
     */
    async historyKeyFor(owner: Owner, historyKey: Bytes, signature: Uint8Array): Promise<Bytes | undefined> {
      if (!(await verifyHistoryKey(owner.identityKey, historyKey, signature))) return undefined;
      await see(owner);
      const list = await listOf(owner);
      if (!(await mayReceive(owner)) || (await isWithheld(owner, list))) return undefined;
      // The server can name one that the user has replaced.
      return list?.historyKey ?? historyKey;
    },

    isListed,
    listOf,

    /** Changes when this object has learned of another list. */
    listsRevision: () => listsRevision,

    /** Stores the list of a user's devices if it is the latest one. A list that is not valid is ignored. */
    async learnList(bytes: Bytes, userId: string): Promise<void> {
      const stored = await listsOf(userId);
      if (stored.lists.some((each) => equal(each.bytes, bytes))) return;
      const list = await readDeviceList(bytes);
      if (!list || list.userId !== userId) return;
      await see(list);
      const isOfSame = ({ identityKey }: { identityKey: Bytes }) => equal(identityKey, list.identityKey);
      const known = stored.lists.find(isOfSame);
      const head = stored.heads.find((each) => isOfSame(each) && each.version === list.version);
      const isFork =
        (known?.version === list.version && !equal(known.hash, list.hash)) ||
        (known && known.version + 1 === list.version && !equal(known.hash, list.previous)) ||
        (head && !equal(head.hash, list.hash));
      if (isFork) dispute(userId);
      if (known && known.version >= list.version) return;
      await writeLists(userId, {
        lists: [...stored.lists.filter((each) => !isOfSame(each)), list],
        heads: stored.heads.filter((each) => !isOfSame(each) || each.version > list.version),
      });
    },

    /** The versions of the lists of these users that this device has seen last, to state them in a commit. */
    async headsOf(userIds: readonly string[]): Promise<ListHead[]> {
      const heads = await Promise.all(
        userIds.map(async (userId) => {
          const known = await pinned(userId);
          return known && listOf({ userId, identityKey: known.current });
        }),
      );
      return heads.filter((each) => each !== undefined);
    },

    /**
     * Compares a version that another member has seen with that which this device has seen.
     * @param isRead whether the list of the server was read since then, so that a later version is one that it withholds.
     * @returns whether it is later, so that the list has to be read.
     */
    async learnHead(head: ListHead, isRead = false): Promise<boolean> {
      const { userId, version, hash } = head;
      const known = await pinned(userId);
      if (!known) return false;
      const stored = await listsOf(userId);
      if (stored.lists.some((each) => each.version === version && equal(each.hash, hash))) return false;
      // A member cannot invent versions of others.
      const isSigned = await Promise.all(keysOf(known).map((key) => isSignedBy(key, head)));
      const identityKey = keysOf(known)[isSigned.indexOf(true)];
      if (!identityKey) return false;
      const isOfSame = (each: { identityKey: Bytes }) => equal(each.identityKey, identityKey);
      const latest = stored.lists.find(isOfSame)?.version ?? 0;
      if (latest === version || (isRead && latest < version)) dispute(userId);
      if (latest >= version) return false;
      const others = stored.heads.filter((each) => !isOfSame(each));
      const former = stored.heads.find(isOfSame);
      if (!former || former.version < version) {
        await writeLists(userId, { ...stored, heads: [...others, { ...head, identityKey }] });
      }
      return true;
    },

    /** @throws E2eeError `IDENTITY_CHANGED` if nothing must be encrypted for the device of a certificate. */
    async checkRecipient(certificate: Certificate): Promise<void> {
      if (await mayReceive(certificate)) return;
      throw changed(certificate.userId);
    },

    /**
     * @throws E2eeError `IDENTITY_CHANGED` if the device of a certificate may not write in the name of its user. Without this, a server
     *   could write in the name of everybody with an identity of its own: it can seal invented keys of epochs for the viewer.
     */
    async checkSender(certificate: Certificate): Promise<void> {
      const known = await pinnedRecently(certificate.userId);
      if (isAccepted(certificate, known)) return;
      if (!known?.former?.some((key) => equal(key, certificate.identityKey))) throw changed(certificate.userId);
    },

    async state(userId: string): Promise<TrustState> {
      const known = await pinned(userId);
      return {
        identityKey: known?.current,
        isVerified: known?.isVerified ?? false,
        isChanged: (known?.others.length ?? 0) > 0,
        newIdentityKey: known?.others.at(-1),
      };
    },

    /** Stores whether the viewer has compared the safety number. */
    verify: (userId: string, isVerified = true): Promise<void> =>
      update(userId, (known) => {
        if (!known) throw new E2eeError('KEY_UNAVAILABLE', 'No device of the user is known.');
        return { ...known, isVerified };
      }),

    /**
     * Accepts the key that was seen last, or the given one if that was seen. The user has to be verified again.
     * @throws E2eeError `IDENTITY_CHANGED` for the viewer, whose key is the one that this device has: a server could make others.
     */
    async accept(userId: string, identityKey?: Uint8Array): Promise<void> {
      if (userId === ownUserId()) throw changed(userId);
      await update(userId, (known) => {
        const current = identityKey ? known?.others.find((key) => equal(key, identityKey)) : known?.others.at(-1);
        if (!known || !current) return undefined;
        const former = [...(known.former ?? []), known.current];
        // Those that were seen after it have yet to be accepted.
        const others = known.others.slice(known.others.indexOf(current) + 1);
        return { current, others, former, isVerified: false };
      });
    },

    /** Stores a key that the viewer has made or recovered. */
    setOwn: (userId: string, identityKey: Uint8Array): Promise<void> =>
      update(userId, (known) => {
        const current = copyOf(identityKey);
        const isSame = known && equal(known.current, current);
        if (isSame && known.isVerified) return undefined;
        // Messages that the viewer has sent before remain valid.
        const former = [...(known?.former ?? []), ...(known?.isVerified ? [known.current] : [])];
        return { current, others: [], former, isVerified: true };
      }),

    /** Takes back `setOwn`. */
    forgetOwn: (userId: string, identityKey: Uint8Array): Promise<void> =>
      update(userId, (known) => {
        if (!known || !equal(known.current, identityKey)) return undefined;
        const current = known.former?.at(-1);
        return current ? { ...known, current, former: known.former?.slice(0, -1) ?? [] } : null;
      }),

    /** @throws E2eeError `KEY_UNAVAILABLE` if no device of the user is known. */
    async safetyNumber(userId: string): Promise<string> {
      const ownId = ownUserId();
      const [own, other] = [ownId && (await pinned(ownId)), await pinned(userId)];
      if (!ownId || !own || !other) throw new E2eeError('KEY_UNAVAILABLE', 'No device of the user is known.');
      return safetyNumber({ userId: ownId, identityKey: own.current }, { userId, identityKey: other.current });
    },
  };
}
