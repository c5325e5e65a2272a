import { createHash } from 'node:crypto';
import type { EncryptedInput, EncryptedMessage, Execute } from '../../../packages/e2ee/src/index.js';

/** An error as a client receives it. */
class Failure extends Error {
  constructor(
    readonly code: string,
    readonly reason?: string,
    readonly field?: string,
  ) {
    super(`${code} ${reason ?? ''} ${field ?? ''}`);
  }
}

interface Device {
  id: string;
  userId: string;
  signatureKey: string;
  certificate: string;
  isEnded: boolean;
  isSignedOut: boolean;
  packages: string[];
  known: Set<string>;
  lastResort: string | undefined;
}

interface Account {
  identityKey: string;
  historyKey: string;
  signature: string;
  vault: string;
  deviceList?: string | undefined;
  listVersion?: number | undefined;
}

interface Commit {
  generation: number;
  epoch: number;
  deviceId: string;
  commit: string;
}

interface SealedKey {
  userId: string;
  generation: number;
  epoch: number;
  sealed: string;
}

/** A stored message, with who could read it when it was sent. */
export interface StoredMessage extends EncryptedMessage {
  seq: number;
  encrypted: NonNullable<EncryptedMessage['encrypted']>;
  /** The input with which it was sent, to answer repeats. */
  sent: string;
}

interface Conversation {
  id: string;
  kind: 'DIRECT' | 'GROUP';
  members: Set<string>;
  isEncrypted: boolean;
  generation: number;
  epoch: number;
  groupInfo: string | null;
  /** Whether each device in the group has to be removed. */
  devices: Map<string, { welcome: string | undefined; isLeaving: boolean }>;
  commits: Commit[];
  sealed: SealedKey[];
  messages: StoredMessage[];
  /** How many devices the group can have. */
  devicesMax: number;
  /** How many welcomes fit into a commit. */
  welcomesMax: number;
  /** How many of the oldest commits were deleted. */
  trimmed: number;
}

/** The part of the API that encryption uses, in memory, with the rules of docs/ENCRYPTION.md. */
export function createFakeServer() {
  const devices = new Map<string, Device>();
  const accounts = new Map<string, Account>();
  const conversations = new Map<string, Conversation>();
  /** The operations that were executed. */
  const log: { userId: string; name: string; input: Record<string, unknown> }[] = [];
  let count = 0;
  const newId = (kind: string) => `${kind}-${++count}`;

  const describe = ({ id, userId, signatureKey, certificate }: Device) => ({
    id,
    signatureKey,
    certificate,
    user: { id: userId },
  });

  function deviceOf(id: string): Device {
    const device = devices.get(id);
    if (!device) throw new Failure('NOT_FOUND', undefined, 'input.deviceId');
    return device;
  }

  /** Marks the devices that the next commit has to remove. */
  function updateDuties(): void {
    for (const { members, devices: inGroup } of conversations.values()) {
      for (const [id, entry] of inGroup) {
        const device = deviceOf(id);
        entry.isLeaving = device.isEnded || device.isSignedOut || !members.has(device.userId);
      }
    }
  }

  function requireMember(id: string, userId: string): Conversation {
    const conversation = conversations.get(id);
    if (!conversation?.members.has(userId)) throw new Failure('NOT_FOUND', undefined, 'input.conversationId');
    return conversation;
  }

  function page<Item>(items: Item[], after: unknown, first: number) {
    if (after != null && !/^\d+$/.test(String(after))) throw new Failure('BAD_USER_INPUT', undefined, 'after');
    const start = after == null ? 0 : Number(after);
    const edges = items.slice(start, start + first).map((node, index) => ({ cursor: String(start + index + 1), node }));
    return { edges, pageInfo: { hasNextPage: start + first < items.length } };
  }

  function groupOf(userId: string, { id, deviceId, after }: Record<string, unknown>) {
    const conversation = conversations.get(id as string);
    if (!conversation?.members.has(userId)) return null;
    const { isEncrypted, generation, epoch, groupInfo, commits } = conversation;
    const [first, second] = conversation.members;
    const isDirect = conversation.kind === 'DIRECT';
    const people = {
      kind: conversation.kind,
      counterpart: isDirect ? { id: first === userId ? second : first } : null,
    };
    if (!isEncrypted) return { ...people, encryption: 'NONE', encryptionGroup: null };
    const all = [...devices.values()].filter(
      (each) => !each.isEnded && !each.isSignedOut && conversation.members.has(each.userId),
    );
    const encryptionGroup = {
      generation,
      epoch,
      groupInfo,
      welcome: conversation.devices.get(deviceId as string)?.welcome ?? null,
      devices: [...conversation.devices.keys()].map((key) => describe(deviceOf(key))),
      devicesToRemove: [...conversation.devices]
        .filter(([, each]) => each.isLeaving)
        .map(([key]) => describe(deviceOf(key))),
      devicesToAdd: all.filter((each) => !conversation.devices.has(each.id)).map(describe),
      commits: page(commits, Math.max(Number(after ?? 0), conversation.trimmed), 3),
      sealedKeys: page(conversation.sealed.filter((each) => each.userId === userId).reverse(), after, 5),
    };
    return { ...people, encryption: 'END_TO_END', encryptionGroup };
  }

  // biome-ignore lint/suspicious/noExplicitAny: the inputs of the operations, which have no types in common
  type Input = any;

  const operations: Record<string, (userId: string, input: Input, variables: Input) => unknown> = {
    E2eeAccount: (userId) => ({
      viewer: {
        id: `viewer-${userId}`,
        user: { id: userId, deviceList: accounts.get(userId)?.deviceList ?? null },
        devices: [...devices.values()].filter((each) => each.userId === userId && !each.isEnded && !each.isSignedOut),
        accountKeys: accounts.get(userId) ?? null,
      },
    }),
    E2eeGroup(userId, _input, variables) {
      const node = groupOf(userId, variables);
      if (!node?.encryptionGroup) return { node };
      const {
        groupInfo,
        welcome,
        devices: inGroup,
        devicesToAdd,
        devicesToRemove,
        commits,
        ...rest
      } = node.encryptionGroup;
      const edges = commits.edges.map(({ cursor, node: { commit, ...each } }) => ({
        cursor,
        node: variables.content ? { ...each, commit } : each,
      }));
      const group = {
        ...rest,
        commits: { ...commits, edges },
        ...(variables.whole && { groupInfo, welcome, devices: inGroup }),
        ...(variables.duties && { devicesToAdd, devicesToRemove }),
      };
      const { kind, counterpart, encryption } = node;
      const people = variables.people ? { kind, counterpart } : {};
      return { node: { ...people, encryption, encryptionGroup: group } };
    },
    E2eeSealedKeys: (userId, _input, variables) => ({ node: groupOf(userId, variables) }),
    E2eeMembers(userId, _input, { id, after }) {
      const { members } = requireMember(id, userId);
      const nodes = [...members].map((member) => {
        const {
          identityKey = null,
          historyKey = null,
          signature: historyKeySignature = null,
          deviceList = null,
        } = accounts.get(member) ?? {};
        return { user: { id: member, identityKey, historyKey, historyKeySignature, deviceList } };
      });
      return { node: { members: page(nodes, after, 2) } };
    },
    E2eeRegisterDevice(userId, { signatureKey, certificate }) {
      let device = [...devices.values()].find((each) => each.signatureKey === signatureKey);
      if (device && device.userId !== userId) throw new Failure('CONFLICT');
      if (device?.isEnded) throw new Failure('CONFLICT', 'DEVICE_REMOVED');
      if (!device) {
        const id = newId('device');
        device = {
          id,
          userId,
          signatureKey,
          certificate,
          isEnded: false,
          isSignedOut: false,
          packages: [],
          known: new Set(),
          lastResort: undefined,
        };
        devices.set(id, device);
      }
      device.isSignedOut = false;
      return { registerDevice: { device: { id: device.id } } };
    },
    E2eeSetAccountKeys(userId, { replaces, ...input }) {
      const stored = accounts.get(userId);
      const hash = stored
        ? createHash('sha256').update(Buffer.from(stored.vault, 'base64url')).digest('base64url')
        : '';
      const isRepeat = stored?.vault === input.vault;
      if (replaces !== undefined && replaces !== hash && !isRepeat) {
        throw new Failure('CONFLICT', 'ACCOUNT_KEYS_CHANGED', 'input.replaces');
      }
      if (!isRepeat) accounts.set(userId, { ...stored, ...input });
      return { setAccountKeys: { viewer: { id: `viewer-${userId}` } } };
    },
    E2eeSetDeviceList(userId, { version, deviceList }) {
      const stored = accounts.get(userId);
      if (!stored) throw new Failure('NOT_FOUND', undefined, 'input');
      const isRepeat = stored.deviceList === deviceList;
      if (!isRepeat && version <= (stored.listVersion ?? 0)) {
        throw new Failure('CONFLICT', 'STALE_DEVICE_LIST', 'input.version');
      }
      Object.assign(stored, { deviceList, listVersion: version });
      return { setDeviceList: { viewer: { id: `viewer-${userId}` } } };
    },
    E2eeRemoveDevice(userId, { deviceId }) {
      const device = deviceOf(deviceId);
      if (device.userId !== userId) throw new Failure('NOT_FOUND', undefined, 'input.deviceId');
      Object.assign(device, { isEnded: true, packages: [] });
      return { removeDevice: { viewer: { id: `viewer-${userId}` } } };
    },
    E2eePublishKeyPackages(userId, { deviceId, keyPackages, lastResort }) {
      const device = deviceOf(deviceId);
      if (device.userId !== userId || device.isEnded) throw new Failure('NOT_FOUND', undefined, 'input.deviceId');
      for (const each of keyPackages as string[]) {
        if (!device.known.has(each)) device.packages.push(each);
        device.known.add(each);
      }
      device.lastResort = lastResort ?? device.lastResort;
      if (device.packages.length > 100) throw new Failure('FORBIDDEN', undefined, 'input.keyPackages');
      return { publishKeyPackages: { remaining: device.packages.length } };
    },
    E2eeClaimKeyPackages(userId, { conversationId, deviceIds }) {
      const { members } = requireMember(conversationId, userId);
      const keyPackages = (deviceIds as string[]).flatMap((id) => {
        const device = deviceOf(id);
        if (device.isEnded || !members.has(device.userId)) throw new Failure('NOT_FOUND', undefined, 'input.deviceIds');
        const keyPackage = device.packages.shift() ?? device.lastResort;
        return keyPackage ? [{ device: describe(device), keyPackage }] : [];
      });
      return { claimKeyPackages: { keyPackages } };
    },
    E2eeEnable(userId, { conversationId }) {
      const conversation = requireMember(conversationId, userId);
      if (!conversation.isEncrypted) Object.assign(conversation, { isEncrypted: true, generation: 1 });
      return { enableEncryption: { conversation: { id: conversationId } } };
    },
    E2eeCommitGroup(userId, input) {
      const { conversationId, deviceId, generation, epoch, commit } = input;
      const conversation = requireMember(conversationId, userId);
      const device = deviceOf(deviceId);
      if (device.userId !== userId || device.isEnded) throw new Failure('NOT_FOUND', undefined, 'input.deviceId');
      const answer = { commitGroup: { commit: { id: createHash('sha256').update(commit).digest('hex') } } };
      const isRepeat = conversation.commits.some(
        (each) =>
          each.generation === generation &&
          each.epoch === epoch &&
          each.deviceId === deviceId &&
          each.commit === commit,
      );
      if (isRepeat) return answer;
      const isReset = generation === conversation.generation + 1 && epoch === 0 && conversation.epoch > 0;
      if (!isReset && (generation !== conversation.generation || epoch !== conversation.epoch))
        throw new Failure('CONFLICT', 'STALE_EPOCH');
      const { devices: inGroup, members } = conversation;
      if (isReset) {
        inGroup.clear();
        Object.assign(conversation, { generation, epoch });
      }
      const added = (input.addedDeviceIds as string[]).filter((id) => id !== deviceId);
      const removed = new Set<string>(input.removedDeviceIds);
      for (const id of removed) {
        if (!inGroup.has(id)) throw new Failure('NOT_FOUND', undefined, 'input.removedDeviceIds.0');
      }
      for (const id of added) {
        const each = deviceOf(id);
        if (each.isEnded || !members.has(each.userId))
          throw new Failure('NOT_FOUND', undefined, 'input.addedDeviceIds.0');
        if (inGroup.has(id)) throw new Failure('BAD_USER_INPUT', undefined, 'input.addedDeviceIds.0');
      }
      for (const each of input.sealedKeys) {
        if (!members.has(each.userId)) throw new Failure('NOT_FOUND', undefined, 'input.sealedKeys.0.userId');
      }
      const isInside = inGroup.has(deviceId) && !input.addedDeviceIds.includes(deviceId);
      if (isInside && [...inGroup].some(([id, { isLeaving }]) => isLeaving && !removed.has(id))) {
        throw new Failure('CONFLICT', 'REKEY');
      }
      const isJoining = isInside ? 0 : Number(!inGroup.has(deviceId));
      if (inGroup.size - removed.size + added.length + isJoining > conversation.devicesMax) {
        throw new Failure('FORBIDDEN', undefined, 'input.addedDeviceIds');
      }
      if (input.welcomes.length > conversation.welcomesMax) {
        throw new Failure(
          'BAD_USER_INPUT',
          undefined,
          input.welcomes.length > 0 ? 'input.welcomes' : 'input.groupInfo',
        );
      }
      for (const id of removed) inGroup.delete(id);
      for (const id of [...added, ...(isInside ? [] : [deviceId])]) {
        const welcome = input.welcomes.find((each: { deviceId: string }) => each.deviceId === id)?.welcome;
        inGroup.set(id, { welcome, isLeaving: false });
      }
      conversation.commits.push({ generation, epoch, deviceId, commit });
      conversation.epoch += 1;
      conversation.groupInfo = input.groupInfo;
      for (const each of input.sealedKeys) {
        const isSame = (one: SealedKey) =>
          one.userId === each.userId && one.generation === generation && one.epoch === each.epoch;
        if (!conversation.sealed.some(isSame)) conversation.sealed.push({ ...each, generation });
      }
      return answer;
    },
    E2eeSendMessage(userId, input) {
      const { conversationId, clientMessageId, replyToId } = input;
      const conversation = requireMember(conversationId, userId);
      const encrypted = input.encrypted as EncryptedInput;
      const sent = JSON.stringify(input);
      const stored = conversation.messages.find(
        (each) => each.clientMessageId === clientMessageId && each.sender?.id === userId,
      );
      if (stored && stored.sent !== sent) throw new Failure('CONFLICT', undefined, 'input.clientMessageId');
      if (stored) return { sendMessage: { message: stored } };
      checkSending(conversation, userId, encrypted);
      const message: StoredMessage = {
        id: newId('message'),
        seq: conversation.messages.length + 1,
        clientMessageId,
        conversation: { id: conversationId },
        sender: { id: userId },
        replyTo: replyToId ? { id: replyToId } : null,
        editedAt: null,
        encrypted: contentOf(encrypted),
        sent,
      };
      conversation.messages.push(message);
      return { sendMessage: { message } };
    },
    EditMessage(userId, { messageId, encrypted }) {
      const conversation = [...conversations.values()].find(({ messages }) =>
        messages.some(({ id }) => id === messageId),
      );
      const message = conversation?.messages.find(({ id }) => id === messageId);
      if (!conversation || message?.sender?.id !== userId) throw new Failure('NOT_FOUND');
      if (message.encrypted.content !== encrypted.content) {
        checkSending(conversation, userId, encrypted);
        Object.assign(message, { encrypted: contentOf(encrypted), editedAt: '2026-11-30T00:00:00Z' });
      }
      return { editMessage: { message } };
    },
  };

  const contentOf = ({ generation, epoch, content, deviceId }: EncryptedInput) => ({
    generation,
    epoch,
    content,
    device: describe(deviceOf(deviceId)),
  });

  function checkSending({ devices: inGroup, generation, epoch }: Conversation, userId: string, sent: EncryptedInput) {
    const own = inGroup.get(sent.deviceId);
    if (!own || own.isLeaving || deviceOf(sent.deviceId).userId !== userId) {
      throw new Failure('FORBIDDEN', 'DEVICE_NOT_IN_GROUP');
    }
    if (sent.generation !== generation || sent.epoch !== epoch) throw new Failure('CONFLICT', 'STALE_EPOCH');
    if ([...inGroup.values()].some(({ isLeaving }) => isLeaving)) throw new Failure('CONFLICT', 'REKEY');
  }

  return {
    devices,
    accounts,
    conversations,
    log,

    /** Executes operations as a user. */
    executeAs:
      (userId: string): Execute =>
      async (document, variables) => {
        const name = /(?:query|mutation) (\w+)/.exec(document)?.[1] ?? '';
        const input = (variables['input'] ?? {}) as Record<string, unknown>;
        const operation = operations[name];
        if (!operation) throw new Error(`There is no operation ${name}.`);
        log.push({ userId, name, input });
        updateDuties();
        const result = operation(userId, input, variables);
        updateDuties();
        // As over the network, nothing is shared with the caller.
        return structuredClone(result);
      },

    createConversation(members: string[], kind: Conversation['kind'] = 'GROUP'): Conversation {
      const id = newId('conversation');
      const conversation: Conversation = {
        id,
        kind,
        members: new Set(members),
        isEncrypted: false,
        generation: 0,
        epoch: 0,
        groupInfo: null,
        devices: new Map(),
        commits: [],
        sealed: [],
        messages: [],
        devicesMax: 300,
        welcomesMax: 64,
        trimmed: 0,
      };
      conversations.set(id, conversation);
      return conversation;
    },

    /** Ends a device with its session, until it is registered again. */
    endSession(id: string): void {
      deviceOf(id).isSignedOut = true;
      updateDuties();
    },

    /** Removes a device, as its user does on another one. */
    endDevice(id: string): void {
      deviceOf(id).isEnded = true;
      deviceOf(id).packages = [];
      updateDuties();
    },
  };
}
