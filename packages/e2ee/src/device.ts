import { type Api, codeOf, isRejection, reasonOf } from './api.js';
import { type Bytes, fromBase64Url, toBase64Url } from './bytes.js';
import { ed25519Pair, type KeyPair, sha256 } from './crypto.js';
import { E2eeError } from './errors.js';
import { type AccountKeys, createAccountKeys, issueCertificate, signHistoryKey } from './identity.js';
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
}

/** The keys of the account, as far as this device has them. */
interface AccountRecord {
  keys: AccountKeys;
  vault: Bytes;
  /** The words, until the application has shown them. */
  recoveryKey: string | undefined;
  isPublished: boolean;
}

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

export type DeviceKeeper = ReturnType<typeof createDeviceKeeper>;

interface Parts {
  storage: E2eeStorage;
  locks: E2eeLocks;
  lockName: string;
  api: Api;
  mls: Mls;
  trust: Trust;
}

/**
 * The account keys, the device and its key packages. Everything is stored before it is published, and published again until the
 * server has answered.
 */
export function createDeviceKeeper({ storage, locks, lockName, api, mls, trust }: Parts) {
  let own: OwnDevice | undefined;
  const exclusively = <T>(work: () => Promise<T>) => locks.run(`${lockName}:device`, work);
  const readDevice = async () => (await storage.get(DEVICE)) as DeviceRecord | undefined;
  const readAccount = async () => (await storage.get(ACCOUNT)) as AccountRecord | undefined;

  /** Publishes the keys of the account if the server has not confirmed them. */
  async function publishAccount(): Promise<void> {
    const account = await readAccount();
    if (!account || account.isPublished) return;
    const { identity, history } = account.keys;
    await api.setAccountKeys({
      identityKey: toBase64Url(identity.publicKey),
      historyKey: toBase64Url(history.publicKey),
      signature: toBase64Url(await signHistoryKey(account.keys)),
      vault: toBase64Url(account.vault),
    });
    await storage.write({ [ACCOUNT]: { ...account, isPublished: true } satisfies AccountRecord });
  }

  /** Registers the stored device. If the user has removed it, its keys are deleted. */
  async function register(record: DeviceRecord): Promise<OwnDevice> {
    await publishAccount();
    const { signature, content, certificate, userId, name } = record;
    try {
      const input = { signatureKey: toBase64Url(signature.publicKey), certificate: toBase64Url(certificate) };
      const id = await api.registerDevice({ ...input, ...(name !== undefined && { name }) });
      await storage.write({ [DEVICE]: { ...record, id } satisfies DeviceRecord });
      own = deviceOf({ ...record, id });
      return own;
    } catch (error) {
      if (reasonOf(error) !== 'DEVICE_REMOVED') throw error;
      await storage.write(await everything());
      own = undefined;
      throw new E2eeError('NOT_SET_UP', 'This device was removed from the account.', { cause: error });
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
    return { userId, name, signature, content, certificate: await issueCertificate(account, keys), id: undefined };
  }

  async function publishPackages(device: OwnDevice, now: number): Promise<void> {
    const stored = [...(await storage.list(PACKAGE))] as [string, PackageRecord][];
    const expired = stored.filter(([, { notAfter }]) => notAfter + KEPT_AFTER_EXPIRY < now);
    if (expired.length > 0) await storage.write(Object.fromEntries(expired.map(([key]) => [key, undefined])));
    const usable = stored.filter(([, { notAfter }]) => notAfter > now + LIFETIME / 2);
    const lastResort = usable.find(([, { isLastResort }]) => isLastResort) ?? (await makePackage(device, now, true));
    const waiting = usable.filter(([, each]) => !each.isLastResort && !each.isPublished);
    const remaining = await publish(device, waiting, lastResort[1]);
    if (remaining >= PACKAGES_MIN) return;
    const made: [string, PackageRecord][] = [];
    while (made.length < PACKAGES_MAX - remaining) made.push(await makePackage(device, now, false));
    await storage.write(Object.fromEntries(made));
    await publish(device, made);
  }

  async function makePackage(device: OwnDevice, now: number, isLastResort: boolean): Promise<[string, PackageRecord]> {
    const notAfter = now + LIFETIME;
    const made = await mls.createKeyPackage(device.mls, now - CLOCK_SKEW, notAfter);
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
      return own && !isAgain ? own : register(record);
    });
  }

  return {
    open,

    /** @throws E2eeError `NOT_SET_UP`. */
    async require(): Promise<OwnDevice> {
      const device = own ?? (await open());
      if (!device) throw new E2eeError('NOT_SET_UP', 'This device has no keys yet.');
      return device;
    },

    account: async (): Promise<AccountKeys | undefined> => (await readAccount())?.keys,

    /** The recovery key, until `forgetRecoveryKey` was called. */
    recoveryKey: async (): Promise<string | undefined> => (await readAccount())?.recoveryKey,

    async forgetRecoveryKey(): Promise<void> {
      const account = await readAccount();
      if (account) await storage.write({ [ACCOUNT]: { ...account, recoveryKey: undefined } satisfies AccountRecord });
    },

    /** Seals the vault under another recovery key, which `recoveryKey` returns. The former one does not open it any more. */
    changeRecoveryKey: (): Promise<void> =>
      exclusively(async () => {
        const [device, account] = [await readDevice(), await readAccount()];
        if (!device || !account) throw new E2eeError('NOT_SET_UP', 'This device has no keys yet.');
        const recoveryKey = createRecoveryKey();
        const vault = await sealVault(recoveryKey, device.userId, account.keys);
        await storage.write({
          [ACCOUNT]: { ...account, vault, recoveryKey, isPublished: false } satisfies AccountRecord,
        });
        await publishAccount();
      }),

    setUp: (options: { name?: string | undefined; replaceIdentity?: boolean | undefined }): Promise<OwnDevice> =>
      exclusively(async () => {
        const record = await readDevice();
        if (record) return own ?? (await register(record));
        const { user, accountKeys } = await api.account();
        if (accountKeys && !options.replaceIdentity) {
          throw new E2eeError('NOT_SET_UP', 'The account has keys: recover them, or replace the identity.');
        }
        const [keys, recoveryKey] = [await createAccountKeys(), createRecoveryKey()];
        const vault = await sealVault(recoveryKey, user.id, keys);
        const made = await makeDevice(user.id, keys, options.name);
        await storage.write({
          [ACCOUNT]: { keys, vault, recoveryKey, isPublished: false } satisfies AccountRecord,
          [DEVICE]: made,
        });
        await trust.setOwn(user.id, keys.identity.publicKey);
        return register(made);
      }),

    recover: (words: string, name: string | undefined): Promise<OwnDevice> =>
      exclusively(async () => {
        const record = await readDevice();
        if (record) return own ?? (await register(record));
        const { user, accountKeys } = await api.account();
        if (!accountKeys) throw new E2eeError('NOT_SET_UP', 'The account has no keys that could be recovered.');
        const vault = fromBase64Url(accountKeys.vault);
        const keys = await openVault(words, user.id, vault);
        const made = await makeDevice(user.id, keys, name);
        await storage.write({
          [ACCOUNT]: { keys, vault, recoveryKey: undefined, isPublished: true } satisfies AccountRecord,
          [DEVICE]: made,
        });
        await trust.setOwn(user.id, keys.identity.publicKey);
        return register(made);
      }),

    /** Publishes new key packages if few are left, and deletes expired ones. */
    async maintain(now: number): Promise<void> {
      const device = await this.require();
      await exclusively(() => publishPackages(device, now));
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
