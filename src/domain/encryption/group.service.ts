import { badInput, ChatError, limitReached, notFound } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { type Page, type PageArgs, readPage } from '../../core/page.js';
import type { Conversation } from '../../generated/prisma/client.js';
import { announceAfterCommit } from '../../infra/database/unit-of-work.js';
import type { Deps } from '../../platform/deps.js';
import { definePersonRate, take } from '../../platform/rates.js';
import type { Viewer } from '../../platform/viewer.js';
import { changesCommitted, recordChange } from '../../realtime/change-log.js';
import { auditingDenials } from '../audit/audit.logger.js';
import { type AuditEvent, recordAuditEvents } from '../audit/audit.store.js';
import { conversationChanged } from '../conversation/conversation.events.js';
import {
  canRead,
  canSend,
  isEncrypted,
  isPublic,
  recipientUnreachable,
  sendRefused,
} from '../conversation/conversation.policy.js';
import {
  changeConversation,
  conversationQueue,
  findCounterpart,
  findMembership,
  lock,
  lockMembershipShared,
  otherOf,
} from '../conversation/conversation.store.js';
import { recordSystemMessage } from '../group/system-message.js';
import { requireActiveViewer, sessionEnded } from '../user/user.store.js';
import type { Device } from './device.store.js';
import { encryptionCounts } from './encryption.counts.js';
import { type CommitInfo, commitChange, commitInfoOf } from './encryption.events.js';
import { checkBytes, checkList } from './encryption.input.js';
import { canEncrypt, isEncryptable, notEncrypted, rekeyDue, staleEpoch } from './encryption.policy.js';
import {
  type CommitState,
  findCommits,
  findDevicesInGroup,
  findDevicesToAdd,
  findDevicesToRemove,
  findSealedKeys,
  findWelcome,
  type GroupCommit,
  lockForCommit,
  readCommitState,
  type SealedKeyRow,
  type StoredCommit,
  storeOwnSealedKeys,
  storingCommit,
} from './group.store.js';

const CONVERSATION = 'input.conversationId';

const commitPerPerson = definePersonRate(
  'You are changing groups too quickly. Try again in a moment.',
  ({ rateCommitPerPerson }) => rateCommitPerPerson,
);

/**
 * Encrypts a conversation from now on. A system message and an entry of the audit log record it. Repeating it has no effect.
 * @throws {ChatError} NOT_FOUND or FORBIDDEN of `input.conversationId`: the viewer cannot do this, the conversation is
 *   public, has too many members, or the server does not allow encryption.
 */
export async function enableEncryption(deps: Deps, viewer: Viewer, conversationId: string): Promise<Conversation> {
  const { config } = deps;
  const act: AuditEvent = { action: 'ENCRYPTION_ENABLED', actor: viewer, conversationId };
  const enabling = () =>
    changeConversation(deps, conversationId, async (tx) => {
      const conversation = await lock(tx, conversationId);
      await requireActiveViewer(tx, viewer);
      const own = await findMembership(tx, conversationId, viewer.userId);
      if (!conversation || !(canRead(own) || isPublic(conversation))) throw notFound(CONVERSATION, 'Conversation');
      const counterpart = await findCounterpart(tx, conversation, viewer.userId);
      if (!own || !canSend(own, counterpart)) throw sendRefused(own, CONVERSATION);
      if (isEncrypted(conversation)) return conversation;
      const refuse = (message: string) => new ChatError('FORBIDDEN', message, { field: CONVERSATION });
      if (!config.encryption) throw refuse('Encryption is switched off on this server.');
      if (!canEncrypt(conversation, own)) throw refuse('Only owners and admins can encrypt the group.');
      if (!isEncryptable(conversation)) throw refuse('A public group cannot be encrypted.');
      if (conversation.memberCount > config.encryptedDevicesMax) {
        const message = `An encrypted group can have at most ${config.encryptedDevicesMax} devices.`;
        throw limitReached('encryptedDevicesMax', message, CONVERSATION);
      }
      const changed = await tx.conversation.update({
        where: { id: conversationId },
        data: { encryption: 'END_TO_END', groupGeneration: 1, changeSeq: { increment: 1 } },
      });
      await recordChange(tx, conversationChanged('updated', viewer.userId, null, { conversation: changed }));
      await recordAuditEvents(tx, act);
      const event = { type: 'ENCRYPTION_ENABLED', actorId: viewer.userId } as const;
      return (await recordSystemMessage(deps, tx, conversationId, event)) ?? changed;
    });
  return auditingDenials(deps, act, enabling);
}

/** A commit of a device, with the ids of rows. */
export interface CommitInput {
  conversationId: string;
  deviceId: string;
  generation: number;
  epoch: number;
  commit: Uint8Array<ArrayBuffer>;
  groupInfo: Uint8Array;
  welcomes: readonly { deviceId: string; welcome: Uint8Array }[];
  sealedKeys: readonly { userId: string; epoch: number; sealed: Uint8Array }[];
  addedDeviceIds: readonly string[];
  removedDeviceIds: readonly string[];
}

/** A commit that is stored, and its conversation. */
export interface Committed {
  conversation: Conversation;
  commit: CommitInfo;
}

/**
 * Stores the next commit of the group of a conversation, with everything that belongs to it, and publishes it to the members.
 * The committing device is in the group afterwards. Repeating a stored commit returns it. A commit of the next generation
 * with the epoch 0 starts the group again, without the earlier devices.
 * @throws {ChatError} BAD_USER_INPUT; NOT_FOUND of the conversation, or of the path of a device or user; FORBIDDEN with the
 *   reason NOT_A_MEMBER or RECIPIENT_UNREACHABLE; FORBIDDEN: too many devices; CONFLICT with the reason NOT_ENCRYPTED; STALE_EPOCH:
 *   another commit was first; REKEY: a device that must be removed is not among the removed ones; RATE_LIMITED.
 */
export async function commitGroup(deps: Deps, viewer: Viewer, input: CommitInput): Promise<Committed> {
  const { commits } = encryptionCounts.of(deps);
  try {
    const { isRepeated, ...committed } = await storeCommit(deps, viewer, input);
    commits[isRepeated ? 'repeated' : 'stored'] += 1;
    return committed;
  } catch (error) {
    const isStale = error instanceof ChatError && (error.reason === 'STALE_EPOCH' || error.reason === 'REKEY');
    commits[isStale ? 'stale' : 'refused'] += 1;
    throw error;
  }
}

async function storeCommit(
  deps: Deps,
  viewer: Viewer,
  input: CommitInput,
): Promise<Committed & { isRepeated: boolean }> {
  checkCommit(deps, input);
  take(deps, commitPerPerson, viewer);
  const { database, config } = deps;
  const { conversationId, deviceId, generation, epoch, removedDeviceIds } = input;
  const addedIds = input.addedDeviceIds.filter((id) => id !== deviceId);
  // Commits of one conversation run one after another, because they need the same lock.
  return conversationQueue.of(deps).run(conversationId, () =>
    database.sql.transaction(async (sql) => {
      const conversation = await lockForCommit(sql, conversationId);
      const state = await readCommitState(sql, {
        viewerId: viewer.userId,
        conversationId,
        counterpartId: conversation?.directKey ? otherOf(conversation.directKey, viewer.userId) : null,
        deviceId,
        generation,
        epoch,
        commit: input.commit,
        addedIds,
        sealedForIds: input.sealedKeys.map(({ userId }) => userId),
      });
      if (!state.isActive) throw sessionEnded();
      if (!conversation || !(state.isMember || isPublic(conversation))) throw notFound(CONVERSATION, 'Conversation');
      if (!state.isMember) throw sendRefused(null, CONVERSATION);
      if (!isEncrypted(conversation)) throw notEncrypted(CONVERSATION);
      if (!state.ownsDevice) throw notFound('input.deviceId', 'Device');
      const commit = {
        id: state.repeatedId ?? newId(),
        conversationId,
        generation,
        epoch,
        deviceId,
        commit: input.commit,
      };
      const info = commitInfoOf(commit);
      if (state.repeatedId !== null) return { conversation, commit: info, isRepeated: true };
      if (!state.isReachable) throw recipientUnreachable(CONVERSATION);
      const isReset = generation === conversation.groupGeneration + 1 && epoch === 0 && conversation.groupEpoch > 0;
      if (!isReset && (generation !== conversation.groupGeneration || epoch !== conversation.groupEpoch)) {
        throw staleEpoch(conversation);
      }
      const joining = checkMembers(input, addedIds, state, { isReset, max: config.encryptedDevicesMax });
      const changed = {
        ...conversation,
        changeSeq: conversation.changeSeq + 1,
        groupGeneration: generation,
        groupEpoch: epoch + 1,
      };
      const change = commitChange({ conversationId, changeSeq: changed.changeSeq }, info, viewer.userId);
      const { groupInfo, sealedKeys } = input;
      const stored = { commit, change, groupInfo, joining, removedIds: isReset ? null : removedDeviceIds, sealedKeys };
      announceAfterCommit(sql, changesCommitted, change);
      await sql.finish(storingCommit(stored), 'storingCommit');
      return { conversation: changed, commit: info, isRepeated: false };
    }),
  );
}

/** Checks what needs no state. */
function checkCommit({ config }: Deps, input: CommitInput): void {
  const { commit, groupInfo, welcomes, sealedKeys, addedDeviceIds, removedDeviceIds, deviceId } = input;
  if (input.generation < 1) throw badInput('input.generation', 'Generations begin with 1.');
  if (input.epoch < 0) throw badInput('input.epoch', 'Epochs begin with 0.');
  checkBytes(config, commit, 'groupCommitMaxBytes', 'input.commit');
  checkBytes(config, groupInfo, 'groupCommitMaxBytes', 'input.groupInfo');
  checkList(addedDeviceIds, config.encryptedAddsMax + 1, 'input.addedDeviceIds', 'encryptedAddsMax');
  checkList(removedDeviceIds, config.encryptedDevicesMax, 'input.removedDeviceIds', 'encryptedDevicesMax');
  const own = removedDeviceIds.indexOf(deviceId);
  if (own >= 0) throw badInput(`input.removedDeviceIds.${own}`, 'A device cannot remove itself.');
  checkList(
    welcomes.map((each) => each.deviceId),
    config.encryptedAddsMax,
    'input.welcomes',
    'encryptedAddsMax',
  );
  for (const [index, each] of welcomes.entries()) {
    checkBytes(config, each.welcome, 'groupCommitMaxBytes', `input.welcomes.${index}.welcome`);
    if (each.deviceId === deviceId || !addedDeviceIds.includes(each.deviceId)) {
      throw badInput(`input.welcomes.${index}.deviceId`, 'A welcome is for a device that this commit adds.');
    }
  }
  const size = welcomes.reduce((sum, { welcome }) => sum + welcome.length, commit.length + groupInfo.length);
  if (size > config.groupCommitMaxBytes) {
    const message = `A commit, its group info and its welcomes can have at most ${config.groupCommitMaxBytes} bytes together.`;
    throw badInput(welcomes.length > 0 ? 'input.welcomes' : 'input.groupInfo', message, 'groupCommitMaxBytes');
  }
  checkList(
    sealedKeys.map(({ userId, epoch }) => `${userId} ${epoch}`),
    config.sealedKeysMax,
    'input.sealedKeys',
    'sealedKeysMax',
  );
  for (const [index, { sealed, epoch }] of sealedKeys.entries()) {
    checkBytes(config, sealed, 'encryptionKeyMaxBytes', `input.sealedKeys.${index}.sealed`);
    if (epoch < 0 || epoch > input.epoch + 1) {
      throw badInput(`input.sealedKeys.${index}.epoch`, 'The key of an epoch that has not begun cannot be sealed.');
    }
  }
}

/** Checks the devices and users that a commit names. Returns the devices that are added to the group or begin it. */
function checkMembers(
  { deviceId, welcomes, sealedKeys, removedDeviceIds, addedDeviceIds }: CommitInput,
  addedIds: readonly string[],
  { inGroup, addable, memberIds }: CommitState,
  { isReset, max }: { isReset: boolean; max: number },
): StoredCommit['joining'] {
  const before = new Map(isReset ? [] : inGroup.map((each) => [each.deviceId, each]));
  for (const [index, id] of removedDeviceIds.entries()) {
    if (!before.has(id)) throw notFound(`input.removedDeviceIds.${index}`, 'Device in the group');
  }
  const removed = new Set(removedDeviceIds);
  const userOf = new Map(addable.map((each) => [each.deviceId, each.userId]));
  for (const id of addedIds) {
    const field = `input.addedDeviceIds.${addedDeviceIds.indexOf(id)}`;
    if (!userOf.has(id)) throw notFound(field, 'Device');
    if (before.has(id) && !removed.has(id)) throw badInput(field, 'This device is in the group already.');
  }
  const members = new Set(memberIds);
  const stranger = sealedKeys.findIndex(({ userId }) => !members.has(userId));
  if (stranger >= 0) throw notFound(`input.sealedKeys.${stranger}.userId`, 'Member');
  // A device that is not in the group yet adds itself, and cannot remove others in the same commit.
  const own = before.get(deviceId);
  const isInside = own !== undefined && !addedDeviceIds.includes(deviceId);
  if (isInside && inGroup.some((each) => each.leaving && !removed.has(each.deviceId))) throw rekeyDue();
  const joins = [...addedIds, ...(isInside ? [] : [deviceId])];
  const after = new Set([...[...before.keys()].filter((id) => !removed.has(id)), ...joins]);
  if (after.size > max) {
    throw limitReached('encryptedDevicesMax', `The group can have at most ${max} devices.`, 'input.addedDeviceIds');
  }
  const welcomeOf = new Map(welcomes.map((each) => [each.deviceId, each.welcome]));
  return joins.flatMap((id) => {
    const userId = userOf.get(id);
    return userId === undefined ? [] : [{ deviceId: id, userId, welcome: welcomeOf.get(id) }];
  });
}

/**
 * Stores keys of epochs that the viewer has sealed for their own account, in place of earlier ones: after they have set up or
 * replaced the keys of the account.
 * @throws {ChatError} BAD_USER_INPUT; NOT_FOUND or FORBIDDEN of `input.conversationId`; CONFLICT with the reason NOT_ENCRYPTED.
 */
export async function setSealedKeys(
  { config, database }: Deps,
  viewer: Viewer,
  { conversationId, sealedKeys }: { conversationId: string; sealedKeys: readonly SealedKeyRow[] },
): Promise<Conversation> {
  const field = 'input.sealedKeys';
  const names = sealedKeys.map(({ generation, epoch }) => `${generation} ${epoch}`);
  checkList(names, config.sealedKeysMax, field, 'sealedKeysMax');
  for (const [index, { sealed }] of sealedKeys.entries()) {
    checkBytes(config, sealed, 'encryptionKeyMaxBytes', `${field}.${index}.sealed`);
  }
  const { userId } = viewer;
  return database.transaction(async (tx) => {
    await requireActiveViewer(tx, viewer);
    const membership = await lockMembershipShared(tx, conversationId, userId);
    const conversation = await tx.conversation.findUnique({ where: { id: conversationId } });
    if (!conversation || !(canRead(membership) || isPublic(conversation))) throw notFound(CONVERSATION, 'Conversation');
    if (!canRead(membership)) throw sendRefused(null, CONVERSATION);
    if (!isEncrypted(conversation)) throw notEncrypted(CONVERSATION);
    const { groupGeneration, groupEpoch } = conversation;
    const wrong = sealedKeys.findIndex(
      ({ generation, epoch }) =>
        generation < 1 ||
        epoch < 0 ||
        generation > groupGeneration ||
        (generation === groupGeneration && epoch > groupEpoch),
    );
    if (wrong >= 0) throw badInput(`${field}.${wrong}.epoch`, 'This epoch has not begun.');
    await storeOwnSealedKeys(tx, { conversationId, userId }, sealedKeys);
    return conversation;
  });
}

/** The devices in the group of a conversation, also those that must leave it, oldest first. */
export const devicesInGroup = ({ database }: Deps, conversationId: string): Promise<Device[]> =>
  findDevicesInGroup(database.sql, conversationId);

/** The devices that the next commit must remove from the group of a conversation. */
export const devicesToRemove = ({ database }: Deps, conversationId: string): Promise<Device[]> =>
  findDevicesToRemove(database.sql, conversationId);

/** The devices of members that the next commit may add, oldest first, as many as a group can have. */
export const devicesToAdd = ({ database, config }: Deps, conversationId: string): Promise<Device[]> =>
  findDevicesToAdd(database.sql, conversationId, config.encryptedDevicesMax);

/** The welcome for a device of the viewer; null if there is none. */
export const welcomeOf = (
  { database }: Deps,
  { userId }: Viewer,
  conversationId: string,
  deviceId: string,
): Promise<Uint8Array | null> => findWelcome(database.db, { conversationId, userId, deviceId });

/**
 * A page of the commits of a conversation, oldest first.
 * @throws {ChatError} BAD_USER_INPUT of the page's arguments.
 */
export const listCommits = (
  { config, database }: Deps,
  conversationId: string,
  args: PageArgs,
): Promise<Page<GroupCommit>> =>
  readPage(args, config, {
    name: `group-commits:${conversationId}`,
    keys: ['int', 'int'],
    read: ({ from, size }) => findCommits(database.db, conversationId, from, size + 1),
    keysetOf: ({ generation, epoch }) => [generation, epoch],
  });

/**
 * A page of the keys that are sealed for the viewer in a conversation, the newest first.
 * @throws {ChatError} BAD_USER_INPUT of the page's arguments.
 */
export const listSealedKeys = (
  { config, database }: Deps,
  { userId }: Viewer,
  conversationId: string,
  args: PageArgs,
): Promise<Page<SealedKeyRow>> =>
  readPage(args, config, {
    name: `sealed-keys:${conversationId}:${userId}`,
    keys: ['int', 'int'],
    read: ({ from, size }) => findSealedKeys(database.db, { conversationId, userId }, from, size + 1),
    keysetOf: ({ generation, epoch }) => [generation, epoch],
  });
