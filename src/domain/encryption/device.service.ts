import { createHash } from 'node:crypto';
import { z } from 'zod';
import { badInput, ChatError, limitReached, notFound } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import type { Deps } from '../../platform/deps.js';
import { checkInput } from '../../platform/input.js';
import { definePersonRate, take } from '../../platform/rates.js';
import type { Viewer } from '../../platform/viewer.js';
import { deviceName } from '../user/user.input.js';
import { lockActiveForCount, requireActiveViewer, sessionEnded } from '../user/user.store.js';
import {
  type AccountKeys,
  countKeyPackages,
  type Device,
  deleteOtherLastResorts,
  findClaimable,
  holdSession,
  lockOwnDevice,
  type PublishedPackage,
  storeKeyPackages,
  takeKeyPackages,
} from './device.store.js';
import { encryptionCounts } from './encryption.counts.js';
import { checkBytes, checkList } from './encryption.input.js';
import { notEncrypted } from './encryption.policy.js';

type Bytes = Uint8Array<ArrayBuffer>;

const claimPerPerson = definePersonRate(
  'You are claiming key packages too quickly. Try again later.',
  ({ rateClaimPerPerson }) => rateClaimPerPerson,
);

const registration = z.object({ name: deviceName.nullish() });

const DEVICE = 'input.deviceId';

/**
 * Registers this device for encryption, with the session of the viewer. If the viewer has registered the same signature key
 * before, it updates the certificate and the session of that device, and the name if one is given, and continues it if its session
 * had ended.
 * @throws {ChatError} BAD_USER_INPUT; FORBIDDEN: the viewer has too many devices; CONFLICT of `input.signatureKey`: another
 *   user has registered the key, or with the reason DEVICE_REMOVED: the viewer has removed the device.
 */
export async function registerDevice(
  deps: Deps,
  viewer: Viewer,
  input: { name?: string | null | undefined; signatureKey: Bytes; certificate: Bytes },
): Promise<Device> {
  const { signatureKey, certificate } = input;
  const { config, database } = deps;
  const { name } = checkInput(registration, input);
  checkBytes(config, signatureKey, 'encryptionKeyMaxBytes', 'input.signatureKey');
  checkBytes(config, certificate, 'encryptionKeyMaxBytes', 'input.certificate');
  const { userId, sessionId } = viewer;
  return database.transaction(async (tx) => {
    await lockActiveForCount(tx, 'devices', viewer);
    // A session that ends later takes the device with it.
    if (!(await holdSession(tx, sessionId))) throw sessionEnded();
    const field = 'input.signatureKey';
    const known = await tx.device.findUnique({ where: { signatureKey } });
    if (known && known.userId !== userId) {
      throw new ChatError('CONFLICT', 'This signature key belongs to another device.', { field });
    }
    if (known?.sessionId === null) {
      throw new ChatError('CONFLICT', 'This device was removed. Register it with new keys.', {
        field,
        reason: 'DEVICE_REMOVED',
      });
    }
    if (!known || known.endedAt !== null) {
      const { devicesPerPersonMax: max } = config;
      if ((await tx.device.count({ where: { userId, endedAt: null } })) >= max) {
        throw limitReached(
          'devicesPerPersonMax',
          `You can have at most ${max} devices that encrypt. Remove one first.`,
        );
      }
    }
    const data = { certificate, sessionId, endedAt: null, ...(name !== undefined && { name }) };
    return known
      ? tx.device.update({ where: { id: known.id }, data })
      : tx.device.create({ data: { ...data, id: newId(), userId, signatureKey } });
  });
}

/**
 * Renames a device of the viewer, also one that has ended: the viewer sees it as the sender of messages.
 * @param input with `name`: null removes it, and undefined leaves it unchanged.
 * @throws {ChatError} BAD_USER_INPUT; NOT_FOUND of `input.deviceId`.
 */
export async function renameDevice(
  { database }: Deps,
  viewer: Viewer,
  { deviceId, ...input }: { deviceId: string; name?: string | null | undefined },
): Promise<Device> {
  const { name } = checkInput(registration, input);
  return database.transaction(async (tx) => {
    await requireActiveViewer(tx, viewer);
    const where = { id: deviceId, userId: viewer.userId };
    if (!(await tx.device.findUnique({ where }))) throw notFound(DEVICE, 'Device');
    return tx.device.update({ where, data: name === undefined ? {} : { name } });
  });
}

/**
 * Ends one of the viewer's devices for good. The groups that contain it must remove it before the next message. Removing a
 * device again has no effect.
 * @throws {ChatError} NOT_FOUND of `input.deviceId`.
 */
export async function removeDevice({ database }: Deps, viewer: Viewer, deviceId: string): Promise<void> {
  await database.transaction(async (tx) => {
    await requireActiveViewer(tx, viewer);
    const device = await tx.device.findUnique({ where: { id: deviceId, userId: viewer.userId } });
    if (!device) throw notFound(DEVICE, 'Device');
    if (device.sessionId === null) return;
    await tx.device.update({
      where: { id: deviceId },
      data: { sessionId: null, endedAt: device.endedAt ?? new Date() },
    });
    await tx.keyPackage.deleteMany({ where: { deviceId } });
  });
}

/** @throws {ChatError} NOT_FOUND of `input.deviceId`: the viewer has no such device, or it has ended. */
const requireDevice = (device: Device | undefined): Device => {
  if (!device) throw notFound(DEVICE, 'Device');
  return device;
};

/** The SHA-256 hash of bytes. */
const hashOf = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

const packageOf = (content: Bytes): PublishedPackage => ({
  content,
  hash: new Uint8Array(hashOf(content)),
});

/**
 * Publishes key packages of one of the viewer's devices. Those that were published before are ignored, also if they were
 * claimed since. A last resort replaces the previous one.
 * @returns the number of key packages that can be claimed now, without the last resort.
 * @throws {ChatError} BAD_USER_INPUT; NOT_FOUND of `input.deviceId`; FORBIDDEN of `input.keyPackages`: there are too many.
 */
export async function publishKeyPackages(
  deps: Deps,
  viewer: Viewer,
  input: { deviceId: string; keyPackages: readonly Bytes[]; lastResort?: Bytes | null | undefined },
): Promise<number> {
  const { config, database } = deps;
  const { deviceId, keyPackages, lastResort } = input;
  const { keyPackagesMax: max, keyPackageLifetimeMs } = config;
  const field = 'input.keyPackages';
  for (const [index, content] of keyPackages.entries()) {
    checkBytes(config, content, 'encryptionKeyMaxBytes', `${field}.${index}`);
  }
  if (lastResort != null) checkBytes(config, lastResort, 'encryptionKeyMaxBytes', 'input.lastResort');
  const tooMany = () => limitReached('keyPackagesMax', `A device can have at most ${max} key packages.`, field);
  if (keyPackages.length > max) throw tooMany();
  return database.transaction(async (tx) => {
    await requireActiveViewer(tx, viewer);
    requireDevice(await lockOwnDevice(tx, { userId: viewer.userId, id: deviceId }));
    await storeKeyPackages(tx, deviceId, keyPackages.map(packageOf), { lastResort: false });
    if (lastResort != null) {
      const replacing = packageOf(lastResort);
      await deleteOtherLastResorts(tx, deviceId, replacing.hash);
      await storeKeyPackages(tx, deviceId, [replacing], { lastResort: true });
    }
    const remaining = await countKeyPackages(tx, deviceId, keyPackageLifetimeMs);
    if (remaining > max) throw tooMany();
    return remaining;
  });
}

/** A key package of a device. */
export interface DevicePackage {
  device: Device;
  keyPackage: Uint8Array;
  lastResort: boolean;
}

/**
 * Claims one key package of each of these devices of members of a conversation: the oldest, which nobody else receives; or
 * the last resort. Devices that have none are omitted.
 * @throws {ChatError} BAD_USER_INPUT; NOT_FOUND of `input.conversationId`, or of the path of a device that has ended or does
 *   not belong to a member; CONFLICT with the reason NOT_ENCRYPTED; RATE_LIMITED.
 */
export async function claimKeyPackages(
  deps: Deps,
  viewer: Viewer,
  { conversationId, deviceIds }: { conversationId: string; deviceIds: readonly string[] },
): Promise<DevicePackage[]> {
  const { config, database } = deps;
  checkList(deviceIds, config.encryptedAddsMax, 'input.deviceIds', 'encryptedAddsMax');
  const { userId } = viewer;
  return database.sql.transaction(async (sql) => {
    const { isMember, isEncrypted, devices } = await findClaimable(sql, { conversationId, userId, deviceIds });
    if (!isMember) throw notFound('input.conversationId', 'Conversation');
    // Otherwise, members of any public group could use up the key packages of everybody in it.
    if (!isEncrypted) throw notEncrypted('input.conversationId');
    const byId = new Map(devices.map((device) => [device.id, device]));
    const missing = deviceIds.findIndex((id) => !byId.has(id));
    if (missing >= 0) throw notFound(`input.deviceIds.${missing}`, 'Device');
    for (const _id of deviceIds) take(deps, claimPerPerson, viewer);
    const claimed = await takeKeyPackages(sql, deviceIds, config.keyPackageLifetimeMs);
    const { claims } = encryptionCounts.of(deps);
    return claimed.flatMap(({ deviceId, content, lastResort }) => {
      claims[lastResort ? 'last_resort' : 'single'] += 1;
      const device = byId.get(deviceId);
      return device ? [{ device, keyPackage: content, lastResort }] : [];
    });
  });
}

/**
 * Sets the keys of the viewer's account, in place of earlier ones.
 * @param input with `replaces`: the SHA-256 hash of the vault that is replaced, or no bytes if the account has no keys.
 * @throws {ChatError} BAD_USER_INPUT; CONFLICT with the reason ACCOUNT_KEYS_CHANGED: the account has another vault.
 */
export async function setAccountKeys(
  { config, database }: Deps,
  viewer: Viewer,
  {
    replaces,
    ...given
  }: Pick<AccountKeys, 'identityKey' | 'historyKey' | 'signature' | 'vault'> & {
    replaces?: Uint8Array | null | undefined;
  },
): Promise<void> {
  const { identityKey, historyKey, signature, vault } = given;
  for (const [name, bytes] of Object.entries({ identityKey, historyKey, signature })) {
    checkBytes(config, bytes, 'encryptionKeyMaxBytes', `input.${name}`);
  }
  checkBytes(config, vault, 'keyVaultMaxBytes', 'input.vault');
  const { userId } = viewer;
  const data = { identityKey, historyKey, signature, vault, updatedAt: new Date() };
  await database.transaction(async (tx) => {
    // Of two devices that set up the account at the same time, one must see the keys of the other.
    await lockActiveForCount(tx, 'devices', viewer);
    const stored = await tx.accountKeys.findUnique({ where: { userId } });
    if (stored && Buffer.compare(stored.vault, vault) === 0) return;
    const expected = stored ? hashOf(stored.vault) : Buffer.alloc(0);
    if (replaces != null && Buffer.compare(expected, replaces) !== 0) {
      throw new ChatError('CONFLICT', 'The keys of the account have changed.', {
        field: 'input.replaces',
        reason: 'ACCOUNT_KEYS_CHANGED',
      });
    }
    await tx.accountKeys.upsert({ where: { userId }, create: { ...data, userId }, update: data });
  });
}

/**
 * Sets the list of the devices of the viewer's account, which clients sign. Repeating the stored one has no effect.
 * @throws {ChatError} BAD_USER_INPUT; NOT_FOUND: the account has no keys; CONFLICT with the reason STALE_DEVICE_LIST: the stored
 *   version is not lower.
 */
export async function setDeviceList(
  { config, database }: Deps,
  viewer: Viewer,
  { version, deviceList }: { version: number; deviceList: Bytes },
): Promise<void> {
  if (version < 1) throw badInput('input.version', 'Versions begin with 1.');
  checkBytes(config, deviceList, 'encryptionKeyMaxBytes', 'input.deviceList');
  const { userId } = viewer;
  await database.transaction(async (tx) => {
    await lockActiveForCount(tx, 'devices', viewer);
    const stored = await tx.accountKeys.findUnique({ where: { userId } });
    if (!stored) throw notFound('input', 'Account keys');
    if (stored.deviceList && Buffer.compare(stored.deviceList, deviceList) === 0) return;
    if (version <= stored.deviceListVersion) {
      throw new ChatError('CONFLICT', 'Another device has set this version or a later one.', {
        field: 'input.version',
        reason: 'STALE_DEVICE_LIST',
      });
    }
    await tx.accountKeys.update({ where: { userId }, data: { deviceList, deviceListVersion: version } });
  });
}
