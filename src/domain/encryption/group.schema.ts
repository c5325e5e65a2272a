import { idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { viewerOf } from '../../graphql/context.js';
import { atMost } from '../../graphql/costs.js';
import { changeOf } from '../../graphql/durable-stream.js';
import { defineLoader } from '../../graphql/loader.js';
import { addViewerMutation, payloadOf } from '../../graphql/mutation.js';
import { shared, sharedField } from '../../graphql/sharing.js';
import { Conversation } from '../conversation/conversation.schema.js';
import { addSendMessageField, Message, type Preloaded } from '../message/message.schema.js';
import { MessageEvent } from '../message/message-stream.schema.js';
import { Device, deviceIdOf, deviceOf } from './device.schema.js';
import { type EncryptedContent as Content, findContents } from './encryption.content.js';
import { type CommitInfo, commitInfoOf, type GroupCommitted } from './encryption.events.js';
import {
  commitGroup,
  devicesInGroup,
  devicesToAdd,
  devicesToRemove,
  enableEncryption,
  listCommits,
  listSealedKeys,
  setSealedKeys,
  welcomeOf,
} from './group.service.js';
import { findGroups, type GroupRow, type SealedKeyRow } from './group.store.js';

const loadGroup = defineLoader((context, ids) => findGroups(context.deps.database.sql, viewerOf(context).userId, ids));
const loadContent = defineLoader((context, ids) => findContents(context.deps.database.db, ids));

const Encryption = builder.enumType('Encryption', {
  description: 'Whether the server can read the messages of a conversation.',
  values: {
    NONE: { description: 'The server can read the messages.' },
    END_TO_END: {
      description:
        'Only the devices of the members can read the messages. It is set once and never taken back, and only in direct conversations and private groups.',
    },
  },
});

const GroupCommit = builder.objectRef<CommitInfo>('GroupCommit').implement({
  description: 'A change of the group of an encrypted conversation, as MLS (RFC 9420) defines it.',
  extensions: shared('id', 'conversationId', 'generation', 'epoch', 'device', 'commit'),
  fields: (t) => ({
    id: t.globalID({
      nullable: false,
      description: 'Identifies the commit.',
      resolve: ({ id }) => ({ type: 'GroupCommit', id }),
    }),
    conversationId: t.globalID({
      nullable: false,
      description: 'The id of the conversation.',
      resolve: ({ conversationId: id }) => ({ type: 'Conversation', id }),
    }),
    generation: t.exposeInt('generation', {
      nullable: false,
      description: 'The number of times that the group was started: 1, and one more after each restart.',
    }),
    epoch: t.exposeInt('epoch', {
      nullable: false,
      description: 'The epoch that the commit begins from. After it, the group is in the next one.',
    }),
    device: t.field({
      type: Device,
      nullable: false,
      description: 'The device that committed.',
      resolve: ({ deviceId }) => deviceOf(deviceId),
    }),
    commit: t.field({
      type: 'Bytes',
      nullable: false,
      description: 'The commit: an MLS message that is not encrypted, but signed.',
      resolve: ({ commit }) => commit,
    }),
  }),
});

const GroupCommitConnection = builder.connectionObject(
  { type: GroupCommit, name: 'GroupCommitConnection' },
  { name: 'GroupCommitEdge' },
);

const SealedKey = builder.objectRef<SealedKeyRow>('SealedKey').implement({
  description: 'The key of an epoch, sealed for an account.',
  fields: (t) => ({
    generation: t.exposeInt('generation', { nullable: false, description: 'The generation of the group.' }),
    epoch: t.exposeInt('epoch', { nullable: false, description: 'The epoch of the key.' }),
    sealed: t.field({
      type: 'Bytes',
      nullable: false,
      description: 'The sealed key.',
      resolve: ({ sealed }) => sealed,
    }),
  }),
});

const SealedKeyConnection = builder.connectionObject(
  { type: SealedKey, name: 'SealedKeyConnection' },
  { name: 'SealedKeyEdge' },
);

const EncryptionGroup = builder.objectRef<GroupRow>('EncryptionGroup').implement({
  description: 'The MLS group of an encrypted conversation, as far as the server knows it.',
  fields: (t) => ({
    generation: t.exposeInt('generation', {
      nullable: false,
      description: 'The number of times that the group was started: 1, and one more after each restart.',
    }),
    epoch: t.exposeInt('epoch', {
      nullable: false,
      description: 'The number of commits in this generation. Without any, the group has no devices yet.',
    }),
    groupInfo: t.field({
      type: 'Bytes',
      description:
        'The group info of MLS, with which a device joins the group by itself. It is null before the first commit.',
      resolve: ({ groupInfo }) => groupInfo,
    }),
    devices: t.field({
      type: [Device],
      nullable: { list: false, items: false },
      extensions: atMost('encryptedDevicesMax'),
      description:
        'The devices that the group contains according to its commits, oldest first. Clients compare them with the members of the MLS group, and remove those that are not among them.',
      resolve: ({ conversationId }, _args, { deps }) => devicesInGroup(deps, conversationId),
    }),
    devicesToRemove: t.field({
      type: [Device],
      nullable: { list: false, items: false },
      extensions: atMost('encryptedDevicesMax'),
      description:
        'The devices that the next commit has to remove: they have ended, or their users are no longer members. While there are any, messages are refused.',
      resolve: ({ conversationId }, _args, { deps }) => devicesToRemove(deps, conversationId),
    }),
    devicesToAdd: t.field({
      type: [Device],
      nullable: { list: false, items: false },
      extensions: atMost('encryptedDevicesMax'),
      description:
        'The devices of members that are not in the group, oldest first, at most `serverInfo.limits.encryptedDevicesMax`. The next commit may add them.',
      resolve: ({ conversationId }, _args, { deps }) => devicesToAdd(deps, conversationId),
    }),
    commits: t.field({
      type: GroupCommitConnection,
      description: 'The commits of all generations, oldest first.',
      args: forwardArgs,
      resolve: async ({ conversationId }, args, { deps }) => {
        const { edges, pageInfo } = await listCommits(deps, conversationId, args);
        return { pageInfo, edges: edges.map(({ cursor, node }) => ({ cursor, node: commitInfoOf(node) })) };
      },
    }),
    sealedKeys: t.field({
      type: SealedKeyConnection,
      description: "The keys of epochs that were sealed for the viewer's account, the newest first.",
      args: forwardArgs,
      resolve: ({ conversationId }, args, context) =>
        listSealedKeys(context.deps, viewerOf(context), conversationId, args),
    }),
    welcome: t.field({
      type: 'Bytes',
      args: { deviceId: t.arg.id({ required: true, description: 'A device of the viewer.' }) },
      description:
        'The welcome of MLS, with which this device of the viewer joins the group, if another device has added it. Otherwise it is null, and the device joins with `groupInfo`.',
      resolve: ({ conversationId }, { deviceId }, context) =>
        welcomeOf(context.deps, viewerOf(context), conversationId, deviceIdOf(deviceId, 'deviceId')),
    }),
  }),
});

builder.prismaObjectFields(Conversation, (t) => ({
  encryption: t.expose('encryption', {
    type: Encryption,
    nullable: false,
    description: 'Whether the messages are encrypted end to end.',
    extensions: sharedField,
  }),
  encryptionGroup: t.field({
    type: EncryptionGroup,
    description: 'The group of an encrypted conversation. It is null without encryption, and for others than members.',
    resolve: ({ id }, _args, context) => loadGroup(context, id),
  }),
}));

const EncryptedContent = builder.objectRef<Content>('EncryptedContent').implement({
  description: 'The content of a message that only the devices of the members can read.',
  extensions: shared('generation', 'epoch', 'device', 'content'),
  fields: (t) => ({
    generation: t.exposeInt('generation', { nullable: false, description: 'The generation of its keys.' }),
    epoch: t.exposeInt('epoch', { nullable: false, description: 'The epoch of its keys.' }),
    device: t.field({
      type: Device,
      nullable: false,
      description: 'The device that encrypted it.',
      resolve: ({ deviceId }) => deviceOf(deviceId),
    }),
    content: t.field({
      type: 'Bytes',
      nullable: false,
      description: 'The encrypted content, as the device sent it.',
      resolve: ({ content }) => content,
    }),
  }),
});

builder.prismaObjectFields(Message, (t) => ({
  encrypted: t.field({
    type: EncryptedContent,
    description: 'The content of a message of an encrypted conversation; then `text` is null.',
    extensions: sharedField,
    resolve: (message: Preloaded, _args, context) => {
      const { id, parts, text } = message;
      if (text !== null) return null;
      return parts?.encrypted === undefined ? loadContent(context, id) : parts.encrypted;
    },
  }),
}));

builder.objectField(MessageEvent, 'commit', (t) =>
  t.field({
    type: GroupCommit,
    description: 'The commit of an event of the type COMMITTED. It is null for others.',
    extensions: sharedField,
    resolve: (event) => (changeOf(event)?.data as Partial<GroupCommitted> | undefined)?.commit ?? null,
  }),
);

const EncryptedInput = builder.inputType('EncryptedInput', {
  description:
    'The encrypted content of a message. It is refused with CONFLICT and the reason STALE_EPOCH if the group is in another epoch, and with the reason REKEY while a device has to be removed from the group.',
  fields: (t) => ({
    generation: t.int({ required: true, description: 'The generation of the group.' }),
    epoch: t.int({ required: true, description: 'The epoch of the group.' }),
    deviceId: t.id({ required: true, description: 'The device of the viewer that encrypted it.' }),
    content: t.field({
      type: 'Bytes',
      required: true,
      description: 'The encrypted content: at most `serverInfo.limits.encryptedContentMaxBytes` bytes.',
    }),
    mentionedIds: t.idList({
      description:
        'The users that the text mentions, which the server cannot read: at most `serverInfo.limits.mentionsMax`. Users who are not members are ignored.',
    }),
    mentionsEveryone: t.boolean({
      description:
        'Whether the text mentions everyone, which takes effect only if an owner or admin of a group sends it.',
    }),
  }),
});

addSendMessageField(
  'encrypted',
  (t) =>
    t.field({
      type: EncryptedInput,
      description: 'The encrypted content, in place of a text, in an encrypted conversation.',
    }),
  ({ deviceId, mentionedIds, ...content }) => ({
    ...content,
    deviceId: deviceIdOf(deviceId, 'input.encrypted.deviceId'),
    mentionedIds: mentionedIds?.map((id, index) => idOf('User', id, `input.encrypted.mentionedIds.${index}`)),
  }),
  { isEditable: true },
);

const conversationField = {
  type: Conversation,
  nullable: false,
  description: 'The conversation after the change.',
} as const;

addViewerMutation('enableEncryption', {
  description:
    'Encrypts a conversation from now on, which cannot be taken back. Both users of a direct conversation can do so, and owners and admins of a private group. Earlier messages stay readable for the server. Repeating it has no effect.',
  input: (t) => ({ conversationId: t.id({ required: true, description: 'The conversation.' }) }),
  ids: { conversationId: 'Conversation' },
  payload: payloadOf((t) => ({ conversation: t.field(conversationField) })),
  run: async (deps, viewer, { conversationId }) => ({
    conversation: await enableEncryption(deps, viewer, conversationId),
  }),
});

const WelcomeInput = builder.inputType('WelcomeInput', {
  description: 'The welcome of MLS, with which an added device joins the group.',
  fields: (t) => ({
    deviceId: t.id({ required: true, description: 'A device that the commit adds.' }),
    welcome: t.field({ type: 'Bytes', required: true, description: 'The welcome of MLS.' }),
  }),
});

const SealedKeyInput = builder.inputType('SealedKeyInput', {
  description: 'The key of an epoch, sealed for the account of a member. The first one of an epoch counts.',
  fields: (t) => ({
    userId: t.id({ required: true, description: 'A member of the conversation.' }),
    epoch: t.int({
      required: true,
      description: 'The epoch of the key, in the generation of the commit: at most the one that the commit begins.',
    }),
    sealed: t.field({ type: 'Bytes', required: true, description: 'The sealed key.' }),
  }),
});

addViewerMutation('commitGroup', {
  description:
    'Stores the next commit of the group of an encrypted conversation, with everything that belongs to it. There is one commit for each epoch: if another one was first, the error is CONFLICT with the reason STALE_EPOCH. Repeating a stored commit returns it. The device is in the group afterwards. A commit of the next generation with the epoch 0 starts the group again, without the earlier devices. Unless the device adds itself, the commit must remove all `devicesToRemove`; otherwise, the error is CONFLICT with the reason REKEY.',
  input: (t) => ({
    conversationId: t.id({ required: true, description: 'The conversation.' }),
    deviceId: t.id({ required: true, description: 'The device of the viewer that commits.' }),
    generation: t.int({ required: true, description: 'The generation of the group.' }),
    epoch: t.int({ required: true, description: 'The epoch that the commit begins from.' }),
    commit: t.field({
      type: 'Bytes',
      required: true,
      description: 'The commit: at most `serverInfo.limits.groupCommitMaxBytes` bytes.',
    }),
    groupInfo: t.field({
      type: 'Bytes',
      required: true,
      description:
        'The group info of MLS, with which devices join the group by themselves after the commit, in the same size.',
    }),
    welcomes: t.field({
      type: [WelcomeInput],
      description: 'The welcomes of MLS, with which the added devices join, in the same size.',
    }),
    sealedKeys: t.field({
      type: [SealedKeyInput],
      description: 'Keys of epochs for the accounts of members: at most `serverInfo.limits.sealedKeysMax`.',
    }),
    addedDeviceIds: t.idList({
      description:
        'The devices that the commit adds, at most `serverInfo.limits.encryptedAddsMax`. A device that joins by itself may name itself.',
    }),
    removedDeviceIds: t.idList({ description: 'The devices that the commit removes.' }),
  }),
  ids: {
    conversationId: 'Conversation',
    deviceId: 'Device',
    addedDeviceIds: 'Device',
    removedDeviceIds: 'Device',
  },
  payload: payloadOf((t) => ({
    conversation: t.field(conversationField),
    commit: t.field({ type: GroupCommit, nullable: false, description: 'The stored commit.' }),
  })),
  hasOwnRate: true,
  run: (deps, viewer, { welcomes, sealedKeys, addedDeviceIds, removedDeviceIds, ...input }) =>
    commitGroup(deps, viewer, {
      ...input,
      addedDeviceIds: (addedDeviceIds ?? []).map(String),
      removedDeviceIds: (removedDeviceIds ?? []).map(String),
      welcomes: (welcomes ?? []).map(({ deviceId, welcome }, index) => ({
        welcome,
        deviceId: deviceIdOf(deviceId, `input.welcomes.${index}.deviceId`),
      })),
      sealedKeys: (sealedKeys ?? []).map(({ userId, ...key }, index) => ({
        ...key,
        userId: idOf('User', userId, `input.sealedKeys.${index}.userId`),
      })),
    }),
});

const OwnSealedKeyInput = builder.inputType('OwnSealedKeyInput', {
  description: "The key of an epoch, sealed for the viewer's own account.",
  fields: (t) => ({
    generation: t.int({ required: true, description: 'The generation of the group.' }),
    epoch: t.int({ required: true, description: 'The epoch of the key.' }),
    sealed: t.field({ type: 'Bytes', required: true, description: 'The sealed key.' }),
  }),
});

addViewerMutation('setSealedKeys', {
  description:
    'Stores keys of epochs that the viewer has sealed for their own account, in place of earlier ones. Needed for epochs that began before the account had keys, and after its keys were replaced.',
  input: (t) => ({
    conversationId: t.id({ required: true, description: 'An encrypted conversation of the viewer.' }),
    sealedKeys: t.field({
      type: [OwnSealedKeyInput],
      required: true,
      description: 'The keys: at most `serverInfo.limits.sealedKeysMax`.',
    }),
  }),
  ids: { conversationId: 'Conversation' },
  payload: payloadOf((t) => ({ conversation: t.field(conversationField) })),
  run: async (deps, viewer, input) => ({ conversation: await setSealedKeys(deps, viewer, input) }),
});
