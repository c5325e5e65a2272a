import { gone } from '../../core/errors.js';
import { idOf, NOBODYS_ID } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { type Context, viewerOf } from '../../graphql/context.js';
import { asksDatabase, atMost } from '../../graphql/costs.js';
import { defineLoader } from '../../graphql/loader.js';
import { addViewerMutation, payloadOf } from '../../graphql/mutation.js';
import { shared } from '../../graphql/sharing.js';
import { loadUser, User, Viewer } from '../user/user.schema.js';
import {
  claimKeyPackages,
  type DevicePackage,
  publishKeyPackages,
  registerDevice,
  removeDevice,
  renameDevice,
  setAccountKeys,
  setDeviceList,
} from './device.service.js';
import {
  type AccountKeys as AccountKeysRow,
  type Device as DeviceRow,
  findAccountKeys,
  findDevices,
  findDevicesOf,
  findSharing,
  findVisibleDevices,
} from './device.store.js';

const loadVisibleDevice = defineLoader((context, ids) =>
  findVisibleDevices(context.deps.database.sql, viewerOf(context).userId, ids),
);
const loadDevice = defineLoader((context, ids) => findDevices(context.deps.database.db, ids));
const loadDevicesOf = defineLoader((context, ids) => findDevicesOf(context.deps.database.db, ids));
const loadAccountKeys = defineLoader((context, ids) => findAccountKeys(context.deps.database.db, ids));
const loadShares = defineLoader((context, ids) =>
  findSharing(context.deps.database.sql, viewerOf(context).userId, ids),
);

/** A device of which possibly only the id has been loaded, so that events need no query for it. */
type Loaded = Pick<DeviceRow, 'id'> & Partial<DeviceRow>;

const full = async (device: Loaded, context: Context): Promise<DeviceRow> =>
  device.certificate === undefined ? ((await loadDevice(context, device.id)) ?? gone('Device')) : (device as DeviceRow);

export const Device = builder.prismaNode('Device', {
  id: { field: 'id' },
  nullable: true,
  // A device that the viewer cannot see is looked up with an id that does not exist.
  findUnique: async (id, context) => ({ id: (await loadVisibleDevice(context, id)) ? id : NOBODYS_ID }),
  description:
    'A device that can encrypt. Its keys are visible to the users who share a conversation with its user, and to those who can see its messages. The server does not check the keys: clients do.',
  extensions: shared('id', 'user', 'signatureKey', 'certificate', 'createdAt'),
  fields: (t) => ({
    user: t.field({
      type: User,
      nullable: false,
      description: 'The user of the device.',
      resolve: async (device: Loaded, _args, context) =>
        (await loadUser(context, (await full(device, context)).userId)) ?? gone('User'),
    }),
    name: t.string({
      description: 'The name that the user gave the device. It is null for devices of other users.',
      resolve: async (device: Loaded, _args, context) => {
        const { userId, name } = await full(device, context);
        return userId === viewerOf(context).userId ? name : null;
      },
    }),
    signatureKey: t.field({
      type: 'Bytes',
      nullable: false,
      description: 'The public key with which the device signs in groups.',
      resolve: async (device: Loaded, _args, context) => (await full(device, context)).signatureKey,
    }),
    certificate: t.field({
      type: 'Bytes',
      nullable: false,
      description: "The statement, signed with the account's identity key, that the device belongs to the account.",
      resolve: async (device: Loaded, _args, context) => (await full(device, context)).certificate,
    }),
    createdAt: t.field({
      type: 'DateTime',
      nullable: false,
      description: 'When the device was registered for the first time.',
      resolve: async (device: Loaded, _args, context) => (await full(device, context)).createdAt,
    }),
  }),
});

/** A device of which only the id is known, for a field of this type. */
export const deviceOf = (id: string): DeviceRow => ({ id }) as DeviceRow;

/** The keys of a user's account if the viewer may see them. */
const visibleKeysOf = async (userId: string, context: Context): Promise<AccountKeysRow | null> =>
  (await loadShares(context, userId)) ? loadAccountKeys(context, userId) : null;

builder.prismaObjectFields(User, (t) => ({
  devices: t.field({
    type: [Device],
    nullable: { list: true, items: false },
    extensions: atMost('devicesPerPersonMax'),
    description:
      "The user's devices that can encrypt, oldest first. It is null where the viewer shares no conversation with the user.",
    resolve: async ({ id }, _args, context) => ((await loadShares(context, id)) ? loadDevicesOf(context, id) : null),
  }),
  identityKey: t.field({
    type: 'Bytes',
    description:
      "The public key with which the user's account signs devices and its other keys. It is null without encryption, and where the viewer shares no conversation with the user.",
    extensions: asksDatabase,
    resolve: async ({ id }, _args, context) => (await visibleKeysOf(id, context))?.identityKey ?? null,
  }),
  historyKey: t.field({
    type: 'Bytes',
    description:
      "The public key for which others seal the keys of epochs, so that the user's later devices can read earlier messages. It is null whenever `identityKey` is.",
    extensions: asksDatabase,
    resolve: async ({ id }, _args, context) => (await visibleKeysOf(id, context))?.historyKey ?? null,
  }),
  historyKeySignature: t.field({
    type: 'Bytes',
    description: 'The signature of `historyKey` with `identityKey`. It is null whenever `identityKey` is.',
    extensions: asksDatabase,
    resolve: async ({ id }, _args, context) => (await visibleKeysOf(id, context))?.signature ?? null,
  }),
  deviceList: t.field({
    type: 'Bytes',
    description:
      "The list of the user's devices, signed with `identityKey`: see `setDeviceList`. It is null before the first one, and whenever `identityKey` is.",
    extensions: asksDatabase,
    resolve: async ({ id }, _args, context) => (await visibleKeysOf(id, context))?.deviceList ?? null,
  }),
}));

const AccountKeys = builder.objectRef<AccountKeysRow>('AccountKeys').implement({
  description: 'The keys of an account for encryption, which only its user can see.',
  fields: (t) => ({
    identityKey: t.field({
      type: 'Bytes',
      nullable: false,
      description: 'The public identity key.',
      resolve: ({ identityKey }) => identityKey,
    }),
    historyKey: t.field({
      type: 'Bytes',
      nullable: false,
      description: 'The public key for which keys of epochs are sealed.',
      resolve: ({ historyKey }) => historyKey,
    }),
    signature: t.field({
      type: 'Bytes',
      nullable: false,
      description: 'The signature of the history key with the identity key.',
      resolve: ({ signature }) => signature,
    }),
    vault: t.field({
      type: 'Bytes',
      nullable: false,
      description: "The private keys, sealed under the recovery key, which never leaves the user's devices.",
      resolve: ({ vault }) => vault,
    }),
  }),
});

builder.prismaObjectFields(Viewer, (t) => ({
  devices: t.field({
    type: [Device],
    nullable: { list: false, items: false },
    extensions: atMost('devicesPerPersonMax'),
    description: "The viewer's devices that can encrypt, oldest first.",
    resolve: async ({ id }, _args, context) => (await loadDevicesOf(context, id)) ?? [],
  }),
  accountKeys: t.field({
    type: AccountKeys,
    description: "The keys of the viewer's account for encryption. It is null before `setAccountKeys`.",
    resolve: ({ id }, _args, context) => loadAccountKeys(context, id),
  }),
}));

const viewerPayload = payloadOf((t) => ({
  viewer: t.field({ type: Viewer, nullable: false, description: 'The viewer.' }),
}));

addViewerMutation('registerDevice', {
  description:
    'Registers this device for encryption. It ends with the current session. Registering the same signature key again changes its certificate and session, and its name if one is given, and continues a device whose session has ended. A device that was removed cannot be registered again: the error is CONFLICT with the reason DEVICE_REMOVED. A user can have `serverInfo.limits.devicesPerPersonMax` devices.',
  input: (t) => ({
    name: t.string({ description: 'A name for the device, which only the user can see: up to 80 characters.' }),
    signatureKey: t.field({
      type: 'Bytes',
      required: true,
      description: 'The public key with which the device signs in groups. It identifies the device.',
    }),
    certificate: t.field({
      type: 'Bytes',
      required: true,
      description: "The statement of the account's identity key that the device belongs to the account.",
    }),
  }),
  payload: payloadOf((t) => ({
    device: t.field({ type: Device, nullable: false, description: 'The device.' }),
  })),
  run: async (deps, viewer, input) => ({ device: await registerDevice(deps, viewer, input) }),
});

addViewerMutation('renameDevice', {
  description:
    "Renames one of the viewer's devices, also from another device. Nobody else sees the names, and they are no part of what the account signs.",
  input: (t) => ({
    deviceId: t.id({ required: true, description: 'A device of the viewer.' }),
    name: t.string({ description: 'The name: up to 80 characters. An explicit null removes it.' }),
  }),
  ids: { deviceId: 'Device' },
  payload: payloadOf((t) => ({
    device: t.field({ type: Device, nullable: false, description: 'The device.' }),
  })),
  run: async (deps, viewer, input) => ({ device: await renameDevice(deps, viewer, input) }),
});

addViewerMutation('removeDevice', {
  description:
    "Removes one of the viewer's devices for good. In every group that contains it, no message can be sent until a commit has removed it. Removing it again has no effect.",
  input: (t) => ({ deviceId: t.id({ required: true, description: 'A device of the viewer.' }) }),
  ids: { deviceId: 'Device' },
  payload: viewerPayload,
  async run(deps, viewer, { deviceId }, context) {
    await removeDevice(deps, viewer, deviceId);
    return { viewer: (await loadUser(context, viewer.userId)) ?? gone('User') };
  },
});

addViewerMutation('publishKeyPackages', {
  description:
    'Publishes key packages of a device, with which others can add it to groups while it is offline. Publishing the same key package again has no effect, also if it was claimed since. A key package can be claimed for `serverInfo.limits.keyPackageLifetimeSeconds`.',
  input: (t) => ({
    deviceId: t.id({ required: true, description: 'A device of the viewer.' }),
    keyPackages: t.field({
      type: ['Bytes'],
      required: true,
      description:
        'Key packages, each of which is given out once. At most `serverInfo.limits.keyPackagesMax` can wait.',
    }),
    lastResort: t.field({
      type: 'Bytes',
      description:
        'A key package that is given out when there are no others, any number of times. It replaces the previous one.',
    }),
  }),
  ids: { deviceId: 'Device' },
  payload: payloadOf((t) => ({
    remaining: t.int({
      nullable: false,
      description: 'The number of key packages that can be claimed, without the last resort.',
    }),
  })),
  run: async (deps, viewer, input) => ({ remaining: await publishKeyPackages(deps, viewer, input) }),
});

const ClaimedKeyPackage = builder.objectRef<DevicePackage>('ClaimedKeyPackage').implement({
  description: 'A key package of a device.',
  fields: (t) => ({
    device: t.field({ type: Device, nullable: false, description: 'The device.', resolve: ({ device }) => device }),
    keyPackage: t.field({
      type: 'Bytes',
      nullable: false,
      description: 'The key package, as the device published it.',
      resolve: ({ keyPackage }) => keyPackage,
    }),
    lastResort: t.exposeBoolean('lastResort', {
      nullable: false,
      description: 'Whether it is the last resort, which others may receive as well.',
    }),
  }),
});

addViewerMutation('claimKeyPackages', {
  description:
    'Takes one key package of each of these devices of members of an encrypted conversation, to add them to its group. Each key package is given out once, the oldest first; then the last resort. Devices that have none are missing in the result: they join by themselves.',
  input: (t) => ({
    conversationId: t.id({ required: true, description: 'An encrypted conversation of the viewer.' }),
    deviceIds: t.idList({
      required: true,
      description: 'Devices of members, at most `serverInfo.limits.encryptedAddsMax`.',
    }),
  }),
  ids: { conversationId: 'Conversation', deviceIds: 'Device' },
  payload: payloadOf((t) => ({
    keyPackages: t.field({
      type: [ClaimedKeyPackage],
      nullable: { list: false, items: false },
      extensions: atMost('encryptedAddsMax'),
      description: 'The key packages, in the order of the devices.',
    }),
  })),
  run: async (deps, viewer, { conversationId, deviceIds }) => ({
    keyPackages: await claimKeyPackages(deps, viewer, { conversationId, deviceIds: deviceIds.map(String) }),
  }),
});

addViewerMutation('setAccountKeys', {
  description:
    "Sets the keys of the viewer's account, in place of earlier ones. The server does not check them: clients do.",
  input: (t) => ({
    identityKey: t.field({ type: 'Bytes', required: true, description: 'The public identity key.' }),
    historyKey: t.field({
      type: 'Bytes',
      required: true,
      description: 'The public key for which keys of epochs are sealed.',
    }),
    signature: t.field({
      type: 'Bytes',
      required: true,
      description: 'The signature of the history key with the identity key.',
    }),
    vault: t.field({
      type: 'Bytes',
      required: true,
      description: 'The private keys, sealed under the recovery key.',
    }),
    replaces: t.field({
      type: 'Bytes',
      description:
        'The SHA-256 hash of the vault that these keys replace; no bytes if the account has no keys. If the account has another vault, the error is CONFLICT with the reason ACCOUNT_KEYS_CHANGED. Without it, the keys replace any others.',
    }),
  }),
  payload: viewerPayload,
  async run(deps, viewer, input, context) {
    await setAccountKeys(deps, viewer, input);
    return { viewer: (await loadUser(context, viewer.userId)) ?? gone('User') };
  },
});

addViewerMutation('setDeviceList', {
  description:
    "Sets the list of the devices of the viewer's account, which other users check: a device that is not in it takes part in no group. The server does not read it. Repeating the stored list has no effect.",
  input: (t) => ({
    version: t.int({
      required: true,
      description:
        'The version of the list. If it is not higher than the stored one, the error is CONFLICT with the reason STALE_DEVICE_LIST.',
    }),
    deviceList: t.field({
      type: 'Bytes',
      required: true,
      description: 'The list, signed with the identity key: at most `serverInfo.limits.encryptionKeyMaxBytes` bytes.',
    }),
  }),
  payload: viewerPayload,
  async run(deps, viewer, input, context) {
    await setDeviceList(deps, viewer, input);
    return { viewer: (await loadUser(context, viewer.userId)) ?? gone('User') };
  },
});

/** The id of a row of `devices` from an input. */
export const deviceIdOf = (id: string | number, field: string): string => idOf('Device', id, field);
