import { type Api, codeOf, isRejection, reasonOf } from './api.js';
import { type Bytes, equal, fromBase64Url, randomBytes, toBase64Url } from './bytes.js';
import { ed25519Pair, type KeyPair, sha256 } from './crypto.js';
import { readDeviceList, signDeviceList } from './device-list.js';
import { E2eeError } from './errors.js';
import { x25519Pair } from './hpke.js';
import { type AccountKeys, createAccountKeys, issueCertificate, readCertificate, signHistoryKey } from './identity.js';
import type { E2eeLocks } from './locks.js';
import type { Mls, MlsDevice, MlsKeyPackage } from './mls.js';
import { createRecoveryKey, openVault, sealVault } from './recovery.js';
import type { E2eeStorage } from './storage.js';
import type { Trust } from './trust.js';

/** The keys of this device. They never leave it. */
interface DeviceRecord {
  userId: string;
  name: string | undefined;
  signature: KeyPair;
  content: KeyPair;
  certificate: Bytes;
  /** Its id on the server; undefined until the server has answered. */
  id: string | undefined;
  /** Another one for each device, so that of two tabs only one makes a device. */
  revision?: number;
  /** Whether the server states that the user has removed this device. The device can still read messages for which it has keys. */
  isRemoved?: boolean;
}

/** The keys of the account, as far as this device has them. */
interface AccountRecord {
  keys: AccountKeys;
  vault: Bytes;
  /** The words, until the application has shown them. */
  recoveryKey: string | undefined;
  isPublished: boolean;
  /** Until they are published: the hash of the vault that they replace; empty if the account had no keys. */
  replaces?: Bytes | undefined;
  /** Until they are published: what this device had before, which it keeps if another device was first. */
  before?: Pick<AccountRecord, 'keys' | 'vault'> | undefined;
  /** Until they are published: whether `setUp` has made them. */
  isNew?: boolean | undefined;
  /** Until they are published: whether the server has stated that it does not have them any more. */
  isRestored?: boolean | undefined;
  /** Whether the devices of the replaced identity still have to be removed. */
  mustRemoveOthers?: boolean | undefined;
}

/** What the server has stored for the viewer. */
type AccountState = Awaited<ReturnType<Api['account']>>;

/** A key package of this device. */
interface PackageRecord extends MlsKeyPackage {
  isLastResort: boolean;
  isPublished: boolean;
  /** Until when it can be used to add the device, in milliseconds since 1970. */
  notAfter: number;
}

/** This device, registered with the server. */
export interface OwnDevice {
  id: string;
  userId: string;
  contentKey: Bytes;
  mls: MlsDevice;
}

const DAY = 86_400_000;
/** The server gives key packages out for 30 days; a commit with one of them can arrive much later. */
const LIFETIME = 90 * DAY;
const KEPT_AFTER_EXPIRY = 30 * DAY;
/** New key packages are published when fewer than this many are left. */
const PACKAGES_MIN = 10;
const PACKAGES_MAX = 30;
/** Clocks of others can be late. */
const CLOCK_SKEW = DAY;

const DEVICE = 'device';
const ACCOUNT = 'account';
const PACKAGE = 'package:';
/** A list of the devices that the server has possibly not stored. */
const LIST = 'unpublished-list';
/** When this device has first seen that devices in the list are not registered, by their keys. */
const ABSENT = 'absent';
/** For how long devices that are not registered remain in the list, in milliseconds: they can be about to be. */
const ABSENT_MAX = 3_600_000;
/** How often a change of the account is tried again because another device was first. */
const ATTEMPTS_MAX = 5;

export type DeviceKeeper = ReturnType<typeof createDeviceKeeper>;

interface Parts {
  storage: E2eeStorage;
  locks: E2eeLocks;
  lockName: string;
  api: Api;
  mls: Mls;
  trust: Trust;
  now: () => number;
}

/**
 * The account keys, the device and its key packages. Everything is stored before it is published, and published again until the
 * server has answered.
 */
export function createDeviceKeeper({ storage, locks, lockName, api, mls, trust, now }: Parts) {
  let own: OwnDevice | undefined;
  const exclusively = <T>(work: () => Promise<T>) => locks.run(`${lockName}:device`, work);
  const noKeys = (cause?: unknown) =>
    new E2eeError('NOT_SET_UP', 'This device has no keys, or was removed.', { cause });
  const otherIdentity = (cause?: unknown) =>
    new E2eeError('IDENTITY_CHANGED', 'The account has another identity.', { cause });
  const readDevice = async () => (await storage.get(DEVICE)) as DeviceRecord | undefined;
  const readAccount = async () => (await storage.get(ACCOUNT)) as AccountRecord | undefined;

  /** The signature key of a device of the account; undefined for devices of a former identity, and those that the server has made up. */
  const ownKeyOf = async ({ identity }: AccountKeys, certificate: string): Promise<Bytes | undefined> =>
    readCertificate(fromBase64Url(certificate)).then(
      ({ identityKey, signatureKey }) => (equal(identityKey, identity.publicKey) ? signatureKey : undefined),
      () => undefined,
    );

  const isSameIdentity = ({ identity }: AccountKeys, { accountKeys }: AccountState): boolean =>
    accountKeys != null && equal(fromBase64Url(accountKeys.identityKey), identity.publicKey);

  const vaultHashOf = async ({ accountKeys }: AccountState): Promise<Bytes> =>
    accountKeys ? sha256(fromBase64Url(accountKeys.vault)) : new Uint8Array();

  const publishedOf = ({ replaces, before, isNew, isRestored, ...account }: AccountRecord): AccountRecord => ({
    ...account,
    isPublished: true,
  });

  /**
   * Publishes the keys of the account if the server has not confirmed them.
   * @throws E2eeError `NOT_SET_UP` or `IDENTITY_CHANGED` if another device has changed them. Then this device has those from before.
   */
  async function publishAccount(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const account = await readAccount();
      if (!account || account.isPublished) return;
      const { identity, history } = account.keys;
      try {
        await api.setAccountKeys({
          identityKey: toBase64Url(identity.publicKey),
          historyKey: toBase64Url(history.publicKey),
          signature: toBase64Url(await signHistoryKey(account.keys)),
          vault: toBase64Url(account.vault),
          replaces: account.replaces && toBase64Url(account.replaces),
        });
        await storage.write({ [ACCOUNT]: publishedOf(account) });
        return;
      } catch (error) {
        if (reasonOf(error) !== 'ACCOUNT_KEYS_CHANGED') throw error;
        const state = await api.account();
        const { before } = account;
        // The server has the keys after all, and possibly a later vault.
        if (account.isRestored && isSameIdentity(account.keys, state)) {
          await storage.write({ [ACCOUNT]: publishedOf(account) });
          return;
        }
        const hasSameKeys =
          !account.isNew &&
          before &&
          isSameIdentity(before.keys, state) &&
          equal(fromBase64Url(state.accountKeys?.historyKey ?? ''), before.keys.history.publicKey);
        // Only the recovery key was changed: the last one counts.
        if (hasSameKeys && attempt < ATTEMPTS_MAX) {
          await storage.write({
            [ACCOUNT]: { ...account, replaces: await vaultHashOf(state) } satisfies AccountRecord,
          });
          continue;
        }
        throw await giveUp(account, state, error);
      }
    }
  }

  /** Keeps nothing of keys that the server has not accepted. */
  async function giveUp(
    { isNew, before, keys }: AccountRecord,
    state: AccountState,
    cause: unknown,
  ): Promise<E2eeError> {
    await storage.write({
      [ACCOUNT]: before && ({ ...before, recoveryKey: undefined, isPublished: true } satisfies AccountRecord),
      ...(isNew && { [DEVICE]: undefined }),
    });
    own = undefined;
    if (isNew) await trust.forgetOwn(state.user.id, keys.identity.publicKey);
    else if (!isSameIdentity(keys, state)) return otherIdentity(cause);
    return new E2eeError('NOT_SET_UP', 'The keys have changed: recover them.', { cause });
  }

  /** Removes the devices of other identities, for which nobody encrypts any more. */
  async function removeOthers({ devices }: AccountState): Promise<void> {
    const account = await readAccount();
    if (!account?.mustRemoveOthers) return;
    for (const { id, certificate } of devices) {
      if (!(await ownKeyOf(account.keys, certificate))) await api.removeDevice(id);
    }
    await storage.write({ [ACCOUNT]: { ...account, mustRemoveOthers: undefined } satisfies AccountRecord });
  }

  const isIn = (keys: readonly Bytes[], key: Bytes) => keys.some((each) => equal(each, key));

  /** The keys of a list without those of devices that have not been registered for a while. */
  async function withoutAbsent(keys: readonly Bytes[], active: readonly Bytes[]): Promise<Bytes[]> {
    const since = ((await storage.get(ABSENT)) as Record<string, number> | undefined) ?? {};
    const absent = keys.filter((key) => !isIn(active, key)).map(toBase64Url);
    const next = Object.fromEntries(absent.map((key) => [key, since[key] ?? now()]));
    await storage.write({ [ABSENT]: next });
    return keys.filter((key) => (next[toBase64Url(key)] ?? Number.POSITIVE_INFINITY) + ABSENT_MAX > now());
  }

  /**
   * Publishes a list of the devices of the account, unless the published one is right: those of the previous list that are still
   * registered, and this one.
   * @param removed the signature key of a device that is not in it.
   */
  async function publishList(record: DeviceRecord, state: AccountState, removed?: Bytes): Promise<void> {
    const account = await readAccount();
    if (!account) return;
    const { userId, signature } = record;
    const { identity, history } = account.keys;
    let current = state;
    for (let attempt = 1; ; attempt++) {
      const published = current.user.deviceList && fromBase64Url(current.user.deviceList);
      if (published) await trust.learnList(published, userId);
      const waiting = (await storage.get(LIST)) as Bytes | undefined;
      let list = waiting && (await readDeviceList(waiting));
      if (!list) {
        const known = await trust.listOf({ userId, identityKey: identity.publicKey });
        const active: Bytes[] = [];
        for (const { certificate } of current.devices) {
          const key = await ownKeyOf(account.keys, certificate);
          if (key && !isIn(active, key)) active.push(key);
        }
        const kept = await withoutAbsent(known?.signatureKeys ?? active, active);
        const wanted = isIn(kept, signature.publicKey) ? kept : [...kept, signature.publicKey];
        const signatureKeys = wanted.filter((key) => !removed || !equal(key, removed));
        // After another device has replaced the history key, this one has only the public one.
        const isCurrent = current.accountKeys?.historyKey === toBase64Url(history.publicKey);
        const historyKey = isCurrent ? history.publicKey : (known?.historyKey ?? history.publicKey);
        const isRight =
          known && equal(known.historyKey, historyKey) && known.signatureKeys.join() === signatureKeys.join();
        if (isRight && published && equal(known.bytes, published)) return;
        const version = Math.max(known?.version ?? 0, (published && (await readDeviceList(published))?.version) || 0);
        const previous = known?.hash ?? new Uint8Array(32);
        list = await signDeviceList(account.keys, {
          userId,
          version: version + 1,
          historyKey,
          previous,
          signatureKeys,
        });
        // The same version must never have two contents.
        await storage.write({ [LIST]: list.bytes });
      }
      try {
        await api.setDeviceList({ version: list.version, deviceList: toBase64Url(list.bytes) });
        await trust.learnList(list.bytes, userId);
        await storage.write({ [LIST]: undefined });
        if (!waiting) return;
      } catch (error) {
        if (reasonOf(error) !== 'STALE_DEVICE_LIST' || attempt >= ATTEMPTS_MAX) throw error;
        await storage.write({ [LIST]: undefined });
      }
      current = await api.account();
    }
  }

  /**
   * Registers the stored device, after the devices of a replaced identity were removed.
   * @throws E2eeError `NOT_SET_UP` if the user has removed it; `IDENTITY_CHANGED` if the account has another identity.
   */
  async function register(record: DeviceRecord): Promise<OwnDevice> {
    await publishAccount();
    const state = await api.account();
    const account = await readAccount();
    // The certificate of the device is for the user whom the server has named first.
    if (state.user.id !== record.userId) throw otherIdentity();
    if (account && !isSameIdentity(account.keys, state)) {
      // If the server was restored from a backup, the next start publishes the keys again.
      if (!state.accountKeys) {
        const { keys, vault } = account;
        const replaces = new Uint8Array();
        const restored = { ...account, isPublished: false, isRestored: true, replaces, before: { keys, vault } };
        await storage.write({ [ACCOUNT]: restored satisfies AccountRecord });
      }
      throw otherIdentity();
    }
    // Before anything that the server has of a former identity is read.
    if (account) await trust.setOwn(record.userId, account.keys.identity.publicKey);
    await removeOthers(state);
    const { signature, content, certificate, userId, name } = record;
    try {
      const input = { signatureKey: toBase64Url(signature.publicKey), certificate: toBase64Url(certificate) };
      // Others encrypt only for devices in the list. One that was registered before can have been removed from both.
      if (record.id === undefined) await publishList(record, state);
      // Afterwards, the user can have renamed it.
      const isNew = record.id === undefined && name !== undefined;
      const id = await api.registerDevice({ ...input, ...(isNew && { name }) });
      const registered: DeviceRecord = { ...record, id, isRemoved: false };
      const guard = { key: DEVICE, revision: record.revision };
      if (!(await storage.write({ [DEVICE]: registered }, guard))) {
        throw noKeys();
      }
      if (record.id !== undefined) await publishList(record, state);
      own = deviceOf(registered);
      return own;
    } catch (error) {
      if (reasonOf(error) !== 'DEVICE_REMOVED') throw error;
      // The server can be wrong, or lie: only `erase` deletes keys.
      await storage.write({ [DEVICE]: { ...record, isRemoved: true } }, { key: DEVICE, revision: record.revision });
      own = undefined;
      throw noKeys(error);
    }

    function deviceOf({ id }: DeviceRecord): OwnDevice {
      const keys = { signatureKey: signature.publicKey, signaturePrivateKey: signature.privateKey };
      return { id: id as string, userId, contentKey: content.privateKey, mls: { identity: certificate, ...keys } };
    }
  }

  async function everything(): Promise<Record<string, undefined>> {
    return Object.fromEntries([...(await storage.list('')).keys()].map((key) => [key, undefined]));
  }

  async function makeDevice(userId: string, account: AccountKeys, name: string | undefined): Promise<DeviceRecord> {
    const [signature, content] = [await ed25519Pair(), await ed25519Pair()];
    const keys = { userId, signatureKey: signature.publicKey, contentKey: content.publicKey };
    const revision = new DataView(randomBytes(4).buffer).getUint32(0);
    return {
      userId,
      name,
      signature,
      content,
      certificate: await issueCertificate(account, keys),
      id: undefined,
      revision,
    };
  }

  /**
   * Stores a new device with the keys of the account, in place of one that was removed.
   * @returns the stored one, which can be one that another tab has made meanwhile.
   */
  async function storeDevice(removed: DeviceRecord | undefined, made: DeviceRecord, account: AccountRecord) {
    const changes: Record<string, unknown> = { [ACCOUNT]: account, [DEVICE]: made, [LIST]: undefined };
    if (removed) {
      // The keys of epochs remain. What the former device has begun belongs to it.
      for (const key of (await storage.list(PACKAGE)).keys()) changes[key] = undefined;
      for (const key of (await storage.list('outgoing:')).keys()) changes[key] = undefined;
      for (const [key, group] of (await storage.list('group:')) as Map<string, { revision: number }>) {
        changes[key] = { ...group, revision: group.revision + 1, state: undefined, pending: undefined };
      }
    }
    if (!(await storage.write(changes, { key: DEVICE, revision: removed?.revision }))) return readDevice();
    return made;
  }

  async function publishPackages(device: OwnDevice, time: number): Promise<void> {
    const stored = [...(await storage.list(PACKAGE))] as [string, PackageRecord][];
    const expired = stored.filter(([, { notAfter }]) => notAfter + KEPT_AFTER_EXPIRY < time);
    if (expired.length > 0) await storage.write(Object.fromEntries(expired.map(([key]) => [key, undefined])));
    const usable = stored.filter(([, { notAfter }]) => notAfter > time + LIFETIME / 2);
    const lastResort = usable.find(([, { isLastResort }]) => isLastResort) ?? (await makePackage(device, time, true));
    const waiting = usable.filter(([, each]) => !each.isLastResort && !each.isPublished);
    const remaining = await publish(device, waiting, lastResort[1]);
    if (remaining >= PACKAGES_MIN) return;
    const made: [string, PackageRecord][] = [];
    while (made.length < PACKAGES_MAX - remaining) made.push(await makePackage(device, time, false));
    await storage.write(Object.fromEntries(made));
    await publish(device, made);
  }

  async function makePackage(device: OwnDevice, time: number, isLastResort: boolean): Promise<[string, PackageRecord]> {
    const notAfter = time + LIFETIME;
    const made = await mls.createKeyPackage(device.mls, time - CLOCK_SKEW, notAfter);
    const key = `${PACKAGE}${toBase64Url(await sha256(made.keyPackage))}`;
    const record = { ...made, isLastResort, isPublished: false, notAfter };
    // The private keys are stored before the server can give the key package to anyone.
    if (isLastResort) await storage.write({ [key]: record });
    return [key, record];
  }

  async function publish(
    device: OwnDevice,
    packages: [string, PackageRecord][],
    lastResort?: PackageRecord,
  ): Promise<number> {
    const remaining = await api.publishKeyPackages({
      deviceId: device.id,
      keyPackages: packages.map(([, { keyPackage }]) => toBase64Url(keyPackage)),
      ...(lastResort && { lastResort: toBase64Url(lastResort.keyPackage) }),
    });
    const published = packages.map(([key, each]) => [key, { ...each, isPublished: true } satisfies PackageRecord]);
    if (published.length > 0) await storage.write(Object.fromEntries(published));
    return remaining;
  }

  /**
   * Registers the stored device.
   * @param isAgain whether also if it was registered before: with the session that it belonged to, a device ends.
   */
  function open(isAgain = false): Promise<OwnDevice | undefined> {
    return exclusively(async () => {
      const record = await readDevice();
      if (!record) {
        own = undefined;
        return undefined;
      }
      if (record.isRemoved && !isAgain) return undefined;
      return own && !isAgain ? own : register(record);
    });
  }

  /** Takes over what another device has changed in the vault. */
  async function refresh(words: string, userId: string): Promise<void> {
    const account = await readAccount();
    const state = await api.account();
    if (!account?.isPublished || !state.accountKeys) return;
    const vault = fromBase64Url(state.accountKeys.vault);
    const keys = await openVault(words, userId, vault);
    if (!equal(keys.identity.publicKey, account.keys.identity.publicKey)) {
      throw otherIdentity();
    }
    const recoveryKey = equal(vault, account.vault) ? account.recoveryKey : undefined;
    await storage.write({ [ACCOUNT]: { ...account, keys, vault, recoveryKey } satisfies AccountRecord });
  }

  return {
    open,

    /** @throws E2eeError `NOT_SET_UP`. */
    async require(): Promise<OwnDevice> {
      const device = own ?? (await open());
      if (!device) throw noKeys();
      return device;
    },

    /** The user of this device, also if it was removed. */
    userId: async (): Promise<string | undefined> => own?.userId ?? (await readDevice())?.userId,

    account: async (): Promise<AccountKeys | undefined> => (await readAccount())?.keys,

    /** The recovery key, until `forgetRecoveryKey` was called. */
    recoveryKey: async (): Promise<string | undefined> => (await readAccount())?.recoveryKey,

    async forgetRecoveryKey(): Promise<void> {
      const account = await readAccount();
      if (account) await storage.write({ [ACCOUNT]: { ...account, recoveryKey: undefined } satisfies AccountRecord });
    },

    /**
     * Seals the vault under another recovery key, which `recoveryKey` returns. The former one does not open it any more.
     * @param options with `rotateHistoryKey`: whether the keys of epochs are sealed for a new history key from now on.
     */
    changeRecoveryKey: ({ rotateHistoryKey = false }: { rotateHistoryKey?: boolean } = {}): Promise<void> =>
      exclusively(async () => {
        const device = await readDevice();
        await publishAccount();
        const account = await readAccount();
        if (!device || device.isRemoved || !account) {
          throw noKeys();
        }
        const { keys: former, vault: replaced } = account;
        const formerHistory = [former.history.privateKey, ...former.formerHistory];
        const keys = rotateHistoryKey ? { ...former, history: await x25519Pair(), formerHistory } : former;
        const recoveryKey = createRecoveryKey();
        const vault = await sealVault(recoveryKey, device.userId, keys);
        await storage.write({
          [ACCOUNT]: {
            ...account,
            keys,
            vault,
            recoveryKey,
            isPublished: false,
            replaces: await sha256(replaced),
            before: { keys: former, vault: replaced },
          } satisfies AccountRecord,
        });
        await publishAccount();
        if (rotateHistoryKey) await publishList(device, await api.account());
      }),

    setUp: (options: { name?: string | undefined; replaceIdentity?: boolean | undefined }): Promise<OwnDevice> =>
      exclusively(async () => {
        const record = await readDevice();
        if (record && !record.isRemoved) return own ?? (await register(record));
        const state = await api.account();
        const { user, accountKeys } = state;
        if (accountKeys && !options.replaceIdentity) {
          throw new E2eeError('NOT_SET_UP', 'The account has keys: recover or replace them.');
        }
        const former = await readAccount();
        const [keys, recoveryKey] = [await createAccountKeys(), createRecoveryKey()];
        if (former) keys.formerHistory = [former.keys.history.privateKey, ...former.keys.formerHistory];
        const vault = await sealVault(recoveryKey, user.id, keys);
        const made = await storeDevice(record, await makeDevice(user.id, keys, options.name), {
          keys,
          vault,
          recoveryKey,
          isPublished: false,
          isNew: true,
          replaces: await vaultHashOf(state),
          before: former && { keys: former.keys, vault: former.vault },
          mustRemoveOthers: true,
        });
        if (!made) throw noKeys();
        return register(made);
      }),

    recover: (words: string, name: string | undefined): Promise<OwnDevice> =>
      exclusively(async () => {
        const record = await readDevice();
        if (record && !record.isRemoved) {
          await refresh(words, record.userId);
          return own ?? (await register(record));
        }
        const { user, accountKeys } = await api.account();
        if (!accountKeys) throw new E2eeError('NOT_SET_UP', 'The account has no keys that could be recovered.');
        const vault = fromBase64Url(accountKeys.vault);
        const keys = await openVault(words, user.id, vault);
        const made = await storeDevice(record, await makeDevice(user.id, keys, name), {
          keys,
          vault,
          recoveryKey: undefined,
          isPublished: true,
        });
        if (!made) throw noKeys();
        return register(made);
      }),

    /** Removes a device of the user: first from the list that others check, then from the server. */
    removeDevice: (deviceId: string): Promise<void> =>
      exclusively(async () => {
        const record = await readDevice();
        if (!record || record.isRemoved) throw noKeys();
        const state = await api.account();
        const removed = state.devices.find(({ id }) => id === deviceId);
        if (removed) await publishList(record, state, fromBase64Url(removed.signatureKey));
        await api.removeDevice(deviceId);
      }),

    /** Publishes new key packages if few are left, and deletes expired ones. */
    async maintain(): Promise<void> {
      const device = await this.require();
      await exclusively(() => publishPackages(device, now()));
    },

    /** Joins a group with a Welcome for one of the key packages; undefined if it is for none of them. */
    async joinByWelcome(welcome: Bytes, device: OwnDevice): Promise<{ state: Bytes; used: string[] } | undefined> {
      for (const [key, record] of (await storage.list(PACKAGE)) as Map<string, PackageRecord>) {
        try {
          const state = await mls.joinByWelcome(welcome, record, device.mls);
          // The last resort is used more than once.
          return { state, used: record.isLastResort ? [] : [key] };
        } catch {
          // It is for another key package, or cannot be used: the device joins by itself.
        }
      }
      return undefined;
    },

    /** Deletes everything of this device. */
    async erase(): Promise<void> {
      own = undefined;
      await storage.write(await everything());
    },
  };
}

/** Whether the server refuses because the viewer is not a member, or the conversation does not exist. */
export const isAbsent = (error: unknown): boolean =>
  isRejection(error) && ['NOT_FOUND', 'FORBIDDEN'].includes(codeOf(error) ?? '');
