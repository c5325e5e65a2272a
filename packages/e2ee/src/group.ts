import {
  type Api,
  type ApiConversation,
  type ApiDevice,
  type ApiGroup,
  type CommitGroupInput,
  codeOf,
  createProgress,
  isRejection,
} from './api.js';
import { type Bytes, concat, equal, fromBase64Url, toBase64Url, utf8 } from './bytes.js';
import { encode, Reader } from './codec.js';
import { type DeviceKeeper, isAbsent, type OwnDevice } from './device.js';
import { encodeHeads, type ListHead, readHeads } from './device-list.js';
import { E2eeError } from './errors.js';
import type { Certificate } from './identity.js';
import { memoryLocks } from './locks.js';
import type { Mls, MlsCommit, MlsView } from './mls.js';
import { type Epoch, openEpochKey, SEALED_MAX, sealEpochKey } from './recovery.js';
import type { E2eeStorage } from './storage.js';
import type { Trust } from './trust.js';

/** The group of a conversation on this device. Every write increases `revision`. */
interface GroupRecord {
  revision: number;
  generation: number;
  epoch: number;
  /** The state of MLS; undefined while the device is not in the group. */
  state: Bytes | undefined;
  /**
   * The position after the last processed commit. Undefined after the device has joined: the commits before it are not read. An
   * empty text is the beginning.
   */
  cursor: string | undefined;
  /** The users who have no device in the group, for whose accounts the key of the epoch was sealed. */
  sealedFor: string[];
  /** When this device last renewed its keys, in milliseconds since 1970. */
  renewedAt: number;
  /** How many messages this device has encrypted since then. */
  sent: number;
  /** The last epoch for which this device has encrypted a message. It never encrypts one for an earlier one. */
  used?: Position;
  /** Whether the server has gone back to before `used`, so that only a later generation may be used. */
  isRolledBack?: boolean;
  /** A commit whose answer is missing, with what it makes of the group. */
  pending: PendingCommit | undefined;
}

/** An epoch of a conversation. */
export interface Position {
  generation: number;
  epoch: number;
}

const isBefore = (one: Position, other: Position): boolean =>
  one.generation < other.generation || (one.generation === other.generation && one.epoch < other.epoch);

interface PendingCommit {
  input: CommitGroupInput;
  state: Bytes;
  sealedFor: string[];
  renews: boolean;
}

/** Who takes part in a conversation, as this device knows it. The first answer of the server counts. */
interface People {
  isDirect: boolean;
  /** The other user of a direct conversation. */
  counterpartId: string | undefined;
  /** The other users who could read it when this device has last processed its group; undefined before. */
  readerIds: string[] | undefined;
}

/** What `advance` has to reach. */
export interface Goal {
  /** Whether devices must be removed and may be added, and keys renewed: before a message is sent. */
  duties?: boolean;
  /** Whether the state has to be compared with that of the server, because something could not be opened. */
  compare?: boolean;
  /** Whether the group has to be started again. */
  reset?: boolean;
}

/** A group at its current epoch, ready to send. */
export interface CurrentGroup {
  generation: number;
  epoch: number;
  epochKey: Bytes;
  /** Those of the devices that can read it. */
  certificates: Certificate[];
}

const RENEW_AFTER = 7 * 86_400_000;
const RENEW_AFTER_MESSAGES = 1_000;
/** How many times the group may change while this device tries to reach its current state. */
const ATTEMPTS_MAX = 40;
/** How long devices that could not be added are not tried again, in milliseconds. */
const SKIP_FOR = 600_000;
/** A sender compares its history of the group with that of the server after this time, in milliseconds. */
const COMPARE_AFTER = 600_000;
/** How soon sealed keys are read again, after they did not contain a key, in milliseconds. */
const HISTORY_AGAIN_AFTER = 1_000;
const ADDS_MAX = 64;
/** All welcomes of a commit together; each contains the tree. The other devices join by themselves. */
const WELCOME_BYTES_MAX = 96 * 1_024;
/** Of how many users a commit states which list of devices its sender has seen. The next commit states those of the next users. */
const HEADS_MAX = 32;
/** How soon the list of a user is read again to find a device that was not in it, in milliseconds. */
const LISTS_AGAIN_AFTER = 60_000;
/** As much of a signature key as is stored for each member of an epoch. */
const MEMBER_BYTES = 16;
/** About what the tree needs for a member. */
const LEAF_BYTES = 500;

const groupIdOf = (conversationId: string, generation: number): Bytes => utf8(`parley:${generation}:${conversationId}`);

/** The account of a member. */
interface Account {
  userId: string;
  historyKeys: Bytes[];
  /** Whether a device of the user is in the group. */
  isInside: boolean;
}

const waitingOf = (accounts: readonly Account[]) =>
  accounts.filter((each) => !each.isInside).map((each) => each.userId);

/** What a commit states. */
interface Note {
  /** The users without a device in the group for whom it seals the key of its epoch. */
  waiting: string[];
  /** Which lists of devices its sender has seen. */
  heads: ListHead[];
}

const NOTE = 1;

const encodeNote = ({ waiting, heads }: Note): Bytes =>
  concat(encode({ u8: NOTE }, { u32: waiting.length }, ...waiting), encodeHeads(heads));

function readNote(note: Uint8Array): Note {
  const reader = new Reader(note);
  const read: Note = { waiting: [], heads: [] };
  try {
    // Another implementation states something else.
    if (reader.u8() !== NOTE) return read;
    for (let count = reader.u32(); count > 0; count--) read.waiting.push(reader.text());
    read.heads = readHeads(reader);
  } catch {
    // A member whose note is not complete states less.
  }
  return read;
}

const peopleKey = (conversationId: string) => `people:${conversationId}`;
const groupKey = (conversationId: string) => `group:${conversationId}`;
const epochName = (conversationId: string, generation: number, epoch: number) =>
  `key:${conversationId}:${generation}:${epoch}`;

const membersName = (conversationId: string, generation: number, epoch: number) =>
  `members:${conversationId}:${generation}:${epoch}`;
const floorKey = (conversationId: string) => `forgotten:${conversationId}`;

/** Whether commits are only listed, to find the first one that the device has to process. */
const isSkimming = (cursor: string | undefined) => cursor === undefined;

/** Another tab has changed the group in the meantime. */
class Outdated extends Error {}

interface Parts {
  storage: E2eeStorage;
  api: Api;
  mls: Mls;
  trust: Trust;
  keeper: DeviceKeeper;
  now: () => number;
  onMemberAdded: (conversationId: string, userId: string) => void;
  /** Runs one function at a time for each conversation, in all tabs. */
  exclusively: <T>(conversationId: string, work: () => Promise<T>) => Promise<T>;
}

/**
 * The groups of this device. A commit is stored before it is published, published until it is answered, and takes effect when the
 * server has accepted it.
 */
export function createGroups({ storage, api, mls, trust, keeper, now, onMemberAdded, exclusively }: Parts) {
  /** Keys by their names. They never change, so that other tabs cannot make them wrong. */
  const cached = new Map<string, Promise<Bytes[]>>();
  const skipped = new Map<string, number>();
  const comparedAt = new Map<string, number>();
  const loading = new Map<string, Promise<void>>();
  /** Conversations whose sealed keys were read to their end: in which epoch of the group, and when. */
  const historyRead = new Map<string, { readAt: string; time: number }>();
  const historyQueue = memoryLocks();
  /** Until when the lists are not read again because of a device that is not in them. */
  const awaited = new Map<string, number>();
  /** In which epoch, and with which lists, all devices of a group were found in the lists. */
  const listedAt = new Map<string, string>();
  /** How many devices a commit adds, after one with more was too large. */
  const addsMax = new Map<string, number>();
  /** Who was in an epoch, as far as this device was in it. */
  const rosters = new Map<string, Promise<Bytes[] | undefined>>();

  /** For which epoch of each conversation it was checked who can read it. */
  const checkedAt = new Map<string, string>();

  const read = async (id: string) => (await storage.get(groupKey(id))) as GroupRecord | undefined;
  const readPeople = async (id: string) => (await storage.get(peopleKey(id))) as People | undefined;

  /** Which users can take part in a conversation, whatever the server adds: in a direct one, two. */
  async function participantsOf(id: string, device: OwnDevice): Promise<(userId: string) => boolean> {
    const people = await readPeople(id);
    return (userId) => !people?.isDirect || userId === device.userId || userId === people.counterpartId;
  }

  /** The users who can read the current epoch: those of the devices, and those for whose accounts its key was sealed. */
  const readersOf = async (record: GroupRecord): Promise<Set<string>> =>
    new Set([...(await certificatesOf(record.state as Bytes)).map(({ userId }) => userId), ...record.sealedFor]);

  /** Reports users who can read a group and could not before. */
  async function reportAdded(id: string, record: GroupRecord): Promise<void> {
    const { generation, epoch, renewedAt } = record;
    const position = `${generation}:${epoch}:${renewedAt}`;
    const people = await readPeople(id);
    if (!people || checkedAt.get(id) === position) return;
    const { userId: ownId } = await keeper.require();
    const readerIds = [...(await readersOf(record))].filter((userId) => userId !== ownId);
    const added = people.readerIds && readerIds.filter((userId) => !people.readerIds?.includes(userId));
    await storage.write({ [peopleKey(id)]: { ...people, readerIds } satisfies People });
    checkedAt.set(id, position);
    for (const userId of added ?? []) if (userId !== people.counterpartId) onMemberAdded(id, userId);
  }

  /** The certificate of a device; undefined if it is not valid, or belongs to another user. */
  const validCertificate = (...given: Parameters<Trust['certificateOf']>): Promise<Certificate | undefined> =>
    trust.certificateOf(...given).catch((error) => {
      if (!(error instanceof E2eeError)) throw error;
      return undefined;
    });

  async function certificatesOf(state: Bytes): Promise<Certificate[]> {
    const { members } = mls.view(state);
    return Promise.all(members.map(({ identity, signatureKey }) => trust.certificateOf(identity, signatureKey)));
  }

  /** Writes the group and, in the same transaction, more. */
  async function write(
    id: string,
    before: GroupRecord | undefined,
    after: Omit<GroupRecord, 'revision'>,
    more: Record<string, unknown> = {},
  ): Promise<GroupRecord> {
    const record = { ...after, revision: (before?.revision ?? 0) + 1 };
    const guard = { key: groupKey(id), revision: before?.revision };
    if (!(await storage.write({ ...more, [groupKey(id)]: record }, guard))) throw new Outdated();
    return record;
  }

  const exportKey = (state: Bytes, generation: number, epoch: number) =>
    mls.exportSecret(state, 'parley content 1', encode({ u32: generation }, { u64: epoch }), 32);

  /** The stored keys of an epoch with one more. After a fork, an epoch can have several. */
  async function withKey(name: string, key: Bytes): Promise<Record<string, Bytes[]>> {
    const known = ((await storage.get(name)) as Bytes[] | undefined) ?? [];
    const keys = known.some((each) => equal(each, key)) ? known : [key, ...known];
    cached.delete(name);
    return { [name]: keys };
  }

  /** What is stored of an epoch that this device has entered: its key, and who is in it. */
  async function entered(id: string, state: Bytes, generation: number) {
    const { epoch, members } = mls.view(state);
    const key = await exportKey(state, generation, epoch);
    const name = membersName(id, generation, epoch);
    const roster = ((await storage.get(name)) as Bytes[] | undefined) ?? [];
    for (const { signatureKey } of members) {
      const member = signatureKey.slice(0, MEMBER_BYTES);
      if (!roster.some((each) => equal(each, member))) roster.push(member);
    }
    rosters.delete(name);
    return { epoch, keys: { ...(await withKey(epochName(id, generation, epoch), key)), [name]: roster } };
  }

  /**
   * Brings the group to the state of the server, joins it if this device is not in it, and performs the duties if `goal` demands
   * it. Call it under the lock of the conversation.
   */
  async function advance(id: string, goal: Goal): Promise<GroupRecord> {
    let mustRejoin = false;
    let mustCompare = goal.compare ?? false;
    let mustReset = goal.reset ?? false;
    let lastError: unknown;
    const isNew = createProgress();
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const device = await keeper.require();
      let record = await read(id);
      if (record?.pending) {
        lastError = await publish(id, record, record.pending);
        if (lastError === undefined) mustRejoin = false;
        continue;
      }
      let remote: ApiGroup;
      try {
        remote = await fetchGroup(id, device, record, goal.duties ?? false);
      } catch (error) {
        if (!record?.cursor || codeOf(error) !== 'BAD_USER_INPUT') throw error;
        // The server had returned a position that it does not accept.
        lastError = error;
        await write(id, record, { ...record, cursor: undefined });
        continue;
      }
      // After the server was restored from a backup, and if it lies, the group can be one that has members of former times.
      const { used } = record ?? {};
      const isRolledBack =
        used !== undefined &&
        (isBefore(remote, used) || (record?.isRolledBack === true && remote.generation <= used.generation));
      if (!record?.state || record.generation !== remote.generation || mustRejoin || isRolledBack || mustReset) {
        await enter(id, device, record && { ...record, isRolledBack }, {
          mustRejoin,
          mustBegin: isRolledBack || mustReset,
        });
        mustCompare = false;
        mustReset = false;
        continue;
      }
      const position = record.cursor;
      try {
        record = await catchUp(id, record, remote);
      } catch (error) {
        if (!(error instanceof E2eeError) || error.code !== 'INVALID_COMMIT') throw error;
        // The other members follow the server's commits; so does this device, as a new one.
        lastError = error;
        mustRejoin = true;
        continue;
      }
      if (record.cursor !== position && (isSkimming(position) || remote.commits.pageInfo.hasNextPage)) {
        if (isNew(record.cursor)) attempt -= 1;
        continue;
      }
      if (!record.state) continue;
      if (record.epoch !== remote.epoch) {
        // The server has commits that it did not deliver, or was restored from a backup.
        mustRejoin = true;
        continue;
      }
      if (remote.devicesToRemove?.some((each) => each.id === device.id)) {
        // Its session has ended, or its user has removed it.
        await keeper.open(true);
        continue;
      }
      // After the server was restored from a backup, another group can have the same epoch.
      mustCompare ||=
        goal.duties === true &&
        (now() - (comparedAt.get(id) ?? Number.NEGATIVE_INFINITY) > COMPARE_AFTER ||
          (remote.devicesToRemove ?? []).length > 0);
      let unknown: Bytes[] = [];
      let mustRenew = false;
      if (mustCompare) {
        mustCompare = false;
        comparedAt.set(id, now());
        const compared = await compare(id, device, record);
        if (compared.hasOtherId) {
          await keeper.open(true);
          continue;
        }
        if (compared.hasForked) {
          mustRejoin = true;
          continue;
        }
        ({ unknown, mustRenew } = compared);
      }
      if (goal.duties) unknown = [...unknown, ...(await unlistedOf(id, device, record, remote))];
      if (goal.duties && (await performDuties(id, device, record, remote, unknown, mustRenew))) continue;
      return record;
    }
    throw new E2eeError('INVALID_COMMIT', 'The group changes too often, or its state cannot be reached.', {
      cause: lastError,
    });
  }

  async function fetchGroup(
    id: string,
    device: OwnDevice,
    record: GroupRecord | undefined,
    duties: boolean,
  ): Promise<ApiGroup> {
    const content = !isSkimming(record?.cursor);
    const after = record?.cursor || undefined;
    const people = (await readPeople(id)) === undefined;
    const node = await api.group(id, { deviceId: device.id, after, duties, content, people });
    const group = await requireGroup(id, node);
    if (people) {
      const known: People = {
        isDirect: node?.kind === 'DIRECT',
        counterpartId: node?.counterpart?.id,
        readerIds: undefined,
      };
      await storage.write({ [peopleKey(id)]: known });
    }
    return group;
  }

  const whole = async (id: string, device: OwnDevice): Promise<ApiGroup> =>
    requireGroup(id, await api.group(id, { deviceId: device.id, whole: true, duties: true, content: false }));

  async function requireGroup(id: string, node: ApiConversation | undefined): Promise<ApiGroup> {
    if (node?.encryptionGroup) return node.encryptionGroup;
    if (node?.encryption === 'NONE') {
      if (await read(id)) {
        throw new E2eeError('DOWNGRADED', 'The server states that the conversation is not encrypted any more.');
      }
      throw new E2eeError('NOT_ENCRYPTED', 'The conversation is not encrypted.');
    }
    throw new E2eeError('NOT_A_MEMBER', 'The viewer is not a member of the conversation.');
  }

  /**
   * Publishes the stored commit, again and again with the same bytes.
   * @returns why the server has rejected it, so that another commit has to be made; undefined if it was accepted.
   */
  async function publish(id: string, record: GroupRecord, pending: PendingCommit): Promise<unknown> {
    const { input, state, renews, sealedFor } = pending;
    const rest = { ...record, pending: undefined };
    try {
      await api.commitGroup(input);
    } catch (error) {
      if (!isRejection(error)) throw error;
      await write(id, record, rest);
      // The group can contain users who are not members.
      comparedAt.delete(id);
      const isOfOthers = /^input\.(sealedKeys|addedDeviceIds|removedDeviceIds)/.test(String(fieldOf(error)));
      if (isAbsent(error) && !isOfOthers) {
        throw new E2eeError('NOT_A_MEMBER', 'This device cannot change the group.', { cause: error });
      }
      if (/^input\.(welcomes|groupInfo)$/.test(String(fieldOf(error)))) {
        const { length } = input.welcomes;
        if (length === 0) throw new E2eeError('TOO_LARGE', 'The group is too large.', { cause: error });
        // The others are added by the next commits, or join by themselves.
        addsMax.set(id, Math.floor(length / 2));
        for (const each of input.addedDeviceIds) skipped.delete(each);
        return error;
      }
      // The group has too many devices, for example.
      if (['BAD_USER_INPUT', 'FORBIDDEN'].includes(codeOf(error) ?? '')) throw error;
      return error;
    }
    const { generation } = input;
    const epoch = input.epoch + 1;
    const renewed = renews ? { renewedAt: now(), sent: 0 } : {};
    const { keys } = await entered(id, state, generation);
    // The commit itself is in the list of commits; what it began from may be in another generation.
    const cursor = generation === record.generation ? record.cursor : undefined;
    await write(id, record, { ...rest, ...renewed, generation, epoch, state, cursor, sealedFor }, keys);
    return undefined;
  }

  /** Applies the commits of a page. The state is stored once, after all of them. */
  async function catchUp(id: string, record: GroupRecord, { commits }: ApiGroup): Promise<GroupRecord> {
    const { generation } = record;
    let { state, epoch, cursor, sealedFor } = record;
    let keys: Record<string, Bytes[]> = {};
    const heads = new Map<string, ListHead>();
    for (const { cursor: position, node } of commits.edges) {
      const isNext = node.generation === generation && node.epoch === epoch && state !== undefined;
      if (isNext && node.commit === undefined) {
        cursor ??= '';
        break;
      }
      cursor = position;
      if (!isNext) continue;
      const bytes = fromBase64Url(node.commit as string);
      const header = mls.headerOf(bytes);
      if (header.epoch !== epoch) throw new E2eeError('INVALID_COMMIT', 'It is of another epoch.');
      state = await mls.process(state as Bytes, bytes);
      if (!state) break;
      const made = await entered(id, state, generation);
      const note = readNote(header.note);
      sealedFor = note.waiting;
      for (const head of note.heads) heads.set(`${head.userId} ${head.version} ${toBase64Url(head.hash)}`, head);
      epoch = made.epoch;
      keys = { ...keys, ...made.keys };
    }
    if (cursor === record.cursor) return record;
    await learnHeads(id, [...heads.values()]);
    return write(id, record, { ...record, state, epoch, cursor, sealedFor }, keys);
  }

  /** Compares the lists of devices that other members have seen with those that the server shows to this device. */
  async function learnHeads(id: string, heads: readonly ListHead[]): Promise<void> {
    const later: ListHead[] = [];
    for (const head of heads) if (await trust.learnHead(head)) later.push(head);
    if (later.length > 0) await readLists(id);
    for (const head of later) await trust.learnHead(head, true);
  }

  /** Reads the accounts of the members, and stores the lists of their devices. */
  async function readLists(id: string) {
    const accounts = await api.accounts(id);
    for (const { id: userId, deviceList } of accounts) {
      if (deviceList) await trust.learnList(fromBase64Url(deviceList), userId);
    }
    return accounts;
  }

  /** The signature keys of members that are not in the latest lists of their accounts, for example because their user has removed them. */
  async function unlistedOf(id: string, device: OwnDevice, record: GroupRecord, remote: ApiGroup): Promise<Bytes[]> {
    const { generation, epoch } = record;
    const waiting = (remote.devicesToAdd ?? []).map((each) => each.id).join();
    const position = () => `${generation}:${epoch}:${trust.listsRevision()}:${waiting}`;
    if (listedAt.get(id) === position()) return [];
    const certificates = await certificatesOf(record.state as Bytes);
    for (const { certificate, signatureKey, user } of remote.devicesToAdd ?? []) {
      const added = await validCertificate(fromBase64Url(certificate), fromBase64Url(signatureKey), user.id);
      if (added) certificates.push(added);
    }
    const find = async () => {
      const unlisted: Bytes[] = [];
      for (const certificate of certificates) {
        const { signatureKey } = certificate;
        if (!equal(signatureKey, device.mls.signatureKey) && !(await trust.isListed(certificate)))
          unlisted.push(signatureKey);
      }
      return unlisted;
    };
    let unlisted = await find();
    if (unlisted.some((key) => (awaited.get(toBase64Url(key)) ?? 0) < now())) {
      for (const key of unlisted) awaited.set(toBase64Url(key), now() + LISTS_AGAIN_AFTER);
      await readLists(id);
      unlisted = await find();
    }
    const { members } = mls.view(record.state as Bytes);
    const inside = unlisted.filter((key) => members.some(({ signatureKey }) => equal(signatureKey, key)));
    if (inside.length === 0) listedAt.set(id, position());
    return inside;
  }

  /** Starts the group, or joins it: with a Welcome, or by a commit of this device. */
  async function enter(
    id: string,
    device: OwnDevice,
    record: GroupRecord | undefined,
    { mustRejoin, mustBegin }: { mustRejoin: boolean; mustBegin: boolean },
  ) {
    const remote = await whole(id, device);
    const { generation, groupInfo } = remote;
    const fresh = {
      generation,
      epoch: 0,
      cursor: undefined,
      sealedFor: [],
      renewedAt: now(),
      sent: 0,
      pending: undefined,
    };
    const base: Omit<GroupRecord, 'revision'> = {
      ...fresh,
      ...(record && { ...record, generation: record.generation }),
      // The position can be wrong, which is why commits are missing.
      ...(mustRejoin && { cursor: undefined }),
      state: undefined,
    };
    /** Makes the first commit of a generation. */
    const begin = async (first: number) => {
      const state = await mls.createGroup(groupIdOf(id, first), device.mls);
      const pending = await prepare(id, device, { ...base, generation: first, epoch: 0, state }, remote, {});
      await write(id, record, { ...base, pending });
    };
    if (groupInfo == null) return begin(generation);
    if (mustBegin) return begin(generation + 1);
    if (!mustRejoin && remote.welcome != null) {
      const joined = await keeper.joinByWelcome(fromBase64Url(remote.welcome), device);
      if (joined && belongs(mls.view(joined.state).groupId, id, generation)) {
        const { epoch, keys } = await entered(id, joined.state, generation);
        if (epoch <= remote.epoch && epoch > (record?.generation === generation ? record.epoch : -1)) {
          const used = Object.fromEntries(joined.used.map((key) => [key, undefined]));
          await write(id, record, { ...base, ...fresh, generation, epoch, state: joined.state }, { ...keys, ...used });
          return;
        }
      }
    }
    const joining = await joinExternally(id, device, remote, fromBase64Url(groupInfo)).catch((error) => {
      if (!(error instanceof E2eeError) || error.code !== 'INVALID_COMMIT') throw error;
      return undefined;
    });
    // Nobody can join the group, for example because a member has stored something else. It starts again without its devices.
    if (!joining) return begin(generation + 1);
    const { view, accounts, made } = joining;
    const pending = await pendingOf(id, device, { generation, epoch: view.epoch }, made, accounts, {
      added: [device.id],
      removed: [],
      welcomes: [],
      renews: true,
    });
    await write(id, record, { ...base, pending });
  }

  /** @throws E2eeError `INVALID_COMMIT` if the stored group info is not that of the current epoch. */
  async function joinExternally(id: string, device: OwnDevice, remote: ApiGroup, groupInfo: Bytes) {
    const view = mls.viewOfGroupInfo(groupInfo);
    if (!belongs(view.groupId, id, remote.generation) || view.epoch !== remote.epoch) {
      throw new E2eeError('INVALID_COMMIT', 'The server has sent another group.');
    }
    const unknown = await unknownOf(device, view, remote);
    const accounts = await recipientsOf(id, device, view, remote, unknown);
    const note = await noteFor(device, view, accounts);
    return { view, accounts, made: await mls.joinExternally(groupInfo, device.mls, note) };
  }

  /** The authenticated data of a commit that begins from the epoch of `view`. */
  async function noteFor({ userId }: OwnDevice, { epoch }: MlsView, accounts: readonly Account[]): Promise<Bytes> {
    const others = accounts.map((each) => each.userId).filter((each) => each !== userId);
    const from = (epoch * (HEADS_MAX - 1)) % Math.max(others.length, 1);
    const chosen = [...others.slice(from), ...others.slice(0, from)].slice(0, HEADS_MAX - 1);
    return encodeNote({ waiting: waitingOf(accounts), heads: await trust.headsOf([userId, ...chosen]) });
  }

  const belongs = (groupId: Uint8Array, id: string, generation: number) => equal(groupId, groupIdOf(id, generation));

  /**
   * Compares the group with that of the server.
   * @returns whether this device has another id on the server than it was given, with which it would write what nobody can open; whether
   *   the group has another history; the signature keys of unknown members: see `unknownOf`; and whether another commit is
   *   necessary, because nobody can join with the stored group info, or because a member has removed devices without the knowledge of
   *   the server, whose users do not have the key of the epoch.
   */
  async function compare(
    id: string,
    device: OwnDevice,
    { generation, epoch, state, sealedFor }: GroupRecord,
  ): Promise<{ hasOtherId: boolean; hasForked: boolean; unknown: Bytes[]; mustRenew: boolean }> {
    const remote = await whole(id, device);
    // It has changed in the meantime, and is compared after the next commit.
    if (remote.generation !== generation || remote.epoch !== epoch || remote.groupInfo == null) {
      return { hasOtherId: false, hasForked: false, unknown: [], mustRenew: false };
    }
    const ownKey = toBase64Url(device.mls.signatureKey);
    const hasOtherId = remote.devices?.some((each) => each.signatureKey === ownKey && each.id !== device.id) ?? false;
    const own = mls.view(state as Bytes);
    const unknown = await unknownOf(device, own, remote);
    let other: MlsView;
    try {
      other = mls.viewOfGroupInfo(fromBase64Url(remote.groupInfo));
    } catch (error) {
      if (!(error instanceof E2eeError)) throw error;
      return { hasOtherId, hasForked: false, unknown, mustRenew: true };
    }
    const mayTakePart = await participantsOf(id, device);
    const readers = [...(await certificatesOf(state as Bytes)).map(({ userId }) => userId), ...sealedFor];
    return {
      hasOtherId,
      hasForked: !equal(own.transcriptHash, other.transcriptHash) || other.epoch !== own.epoch,
      unknown,
      mustRenew: (remote.devices ?? []).some(({ user }) => !readers.includes(user.id) && mayTakePart(user.id)),
    };
  }

  /**
   * The signature keys in the group that the server does not list as devices of the user whom the certificate names. A member could
   * have added such a key to remain in the group after their own devices are removed.
   */
  async function unknownOf(device: OwnDevice, { members }: MlsView, { devices = [] }: ApiGroup): Promise<Bytes[]> {
    const owners = new Map(devices.map(({ signatureKey, user }) => [signatureKey, user.id]));
    const unknown: Bytes[] = [];
    for (const { identity, signatureKey } of members) {
      if (equal(signatureKey, device.mls.signatureKey)) continue;
      const owner = await validCertificate(identity, signatureKey, owners.get(toBase64Url(signatureKey)) ?? '');
      if (!owner) unknown.push(signatureKey);
    }
    return unknown;
  }

  /** Stores a commit if the group needs one. */
  async function performDuties(
    id: string,
    device: OwnDevice,
    record: GroupRecord,
    remote: ApiGroup,
    unknown: readonly Bytes[],
    isDemanded: boolean,
  ): Promise<boolean> {
    const mustRenew = isDemanded || record.sent >= RENEW_AFTER_MESSAGES || now() - record.renewedAt >= RENEW_AFTER;
    const { devicesToAdd = [], devicesToRemove = [] } = remote;
    if (!mustRenew && devicesToAdd.length + devicesToRemove.length + unknown.length === 0) return false;
    const view = mls.view(record.state as Bytes);
    // Devices that cannot be added join by themselves. Until then, their users need the key of the epoch.
    const waiting = waitingOf(await accountsOf(id, device, view, remote, unknown));
    const mustSeal = waiting.some((userId) => !record.sealedFor.includes(userId));
    const pending = await prepare(id, device, record, remote, { mustRenew: mustRenew || mustSeal, unknown });
    if (!pending) return false;
    await write(id, record, { ...record, pending });
    return true;
  }

  /** A commit that removes and adds devices; undefined if there is nothing to do. */
  async function prepare(
    id: string,
    device: OwnDevice,
    record: Pick<GroupRecord, 'generation' | 'epoch'> & { state: Bytes | undefined },
    remote: ApiGroup,
    { mustRenew = false, unknown = [] }: { mustRenew?: boolean; unknown?: readonly Bytes[] },
  ): Promise<PendingCommit | undefined> {
    const state = record.state as Bytes;
    const view = mls.view(state);
    const { members, canAdd } = view;
    const isMember = (key: Uint8Array) => members.some(({ signatureKey }) => equal(signatureKey, key));
    const removing = record.epoch === 0 ? [] : (remote.devicesToRemove ?? []);
    const candidates = (remote.devicesToAdd ?? []).filter(
      (each) => each.id !== device.id && !isMember(fromBase64Url(each.signatureKey)),
    );
    const added = canAdd ? await claim(id, device, state, candidates, members.length) : [];
    if (added.length + removing.length + unknown.length === 0 && !mustRenew && record.epoch > 0) return undefined;
    const leaving = removing.map(({ signatureKey }) => fromBase64Url(signatureKey)).filter(isMember);
    const remove = [...leaving, ...unknown];
    const addedIds = added.map((each) => each.device.user.id);
    const accounts = (await recipientsOf(id, device, view, remote, unknown)).map((each) =>
      addedIds.includes(each.userId) ? { ...each, isInside: true } : each,
    );
    const changes = { add: added.map(({ keyPackage }) => keyPackage), remove };
    const made = await mls.commit(state, changes, await noteFor(device, view, accounts));
    return pendingOf(id, device, record, made, accounts, {
      added: added.map((each) => each.device.id),
      removed: [...new Set(removing.map((each) => each.id))],
      welcomes: made.welcomes,
      renews: remove.length > 0 || added.length === 0,
    });
  }

  /** Key packages of devices, as far as they have any and their certificates are valid. */
  async function claim(id: string, own: OwnDevice, state: Bytes, devices: ApiDevice[], memberCount: number) {
    const mayTakePart = await participantsOf(id, own);
    let max = addsMax.get(id) ?? ADDS_MAX;
    while (max > 1 && max * (max + memberCount) * LEAF_BYTES > WELCOME_BYTES_MAX) max -= 1;
    const wanted = devices
      .filter((each) => (skipped.get(each.id) ?? 0) < now() && mayTakePart(each.user.id))
      .slice(0, max);
    if (wanted.length === 0) return [];
    // Those that are added leave the list of the server; the others join by themselves.
    for (const each of wanted) skipped.set(each.id, now() + SKIP_FOR);
    const claimed = await api
      .claimKeyPackages({ conversationId: id, deviceIds: [...new Set(wanted.map((each) => each.id))] })
      .catch((error) => {
        if (isRejection(error) || ['RATE_LIMITED', 'INVALID_ANSWER'].includes(codeOf(error) ?? '')) return [];
        throw error;
      });
    const usable: { device: ApiDevice; keyPackage: Bytes }[] = [];
    for (const { device: given, keyPackage } of claimed) {
      // The server could answer with a device of anybody else.
      const device = wanted.find((each) => each.id === given.id);
      if (!device) continue;
      const bytes = fromBase64Url(keyPackage);
      try {
        const { identity, signatureKey, notBefore, notAfter } = mls.readKeyPackage(bytes);
        const certificate = await trust.certificateOf(identity, signatureKey, device.user.id);
        if (!(await trust.mayReceive(certificate))) continue;
        const isRight =
          equal(signatureKey, fromBase64Url(device.signatureKey)) && (await mls.canAddKeyPackage(state, bytes));
        const time = Date.now();
        // The server can name a device twice.
        const isAdded = usable.some((each) => each.device.signatureKey === device.signatureKey);
        if (isRight && !isAdded && notBefore <= time && time < notAfter) usable.push({ device, keyPackage: bytes });
      } catch (error) {
        if (!(error instanceof E2eeError)) throw error;
        // A device with an invalid certificate or key package is not added.
      }
    }
    return usable;
  }

  async function pendingOf(
    id: string,
    device: OwnDevice,
    { generation, epoch }: { generation: number; epoch: number },
    made: MlsCommit,
    accounts: readonly Account[],
    { added, removed, welcomes, renews }: { added: string[]; removed: string[]; welcomes: Bytes[]; renews: boolean },
  ): Promise<PendingCommit> {
    const epochKey = await exportKey(made.state, generation, epoch + 1);
    const input: CommitGroupInput = {
      conversationId: id,
      deviceId: device.id,
      generation,
      epoch,
      commit: toBase64Url(made.commit),
      groupInfo: toBase64Url(made.groupInfo),
      welcomes: welcomes.map((welcome, index) => ({ deviceId: added[index] as string, welcome: toBase64Url(welcome) })),
      sealedKeys: await sealFor({ conversationId: id, generation, epoch: epoch + 1 }, epochKey, accounts),
      addedDeviceIds: added,
      removedDeviceIds: removed,
    };
    return { input, state: made.state, renews, sealedFor: waitingOf(accounts) };
  }

  /** The accounts of the members, as far as they may receive keys, with their history keys. */
  async function accountsOf(
    id: string,
    device: OwnDevice,
    { members }: MlsView,
    { devicesToRemove = [], devicesToAdd = [] }: ApiGroup,
    unknown: readonly Bytes[],
  ): Promise<Account[]> {
    const leaving = [...devicesToRemove.map(({ signatureKey }) => signatureKey), ...unknown.map(toBase64Url)];
    const leaves = [
      ...members
        .filter(({ signatureKey }) => !leaving.includes(toBase64Url(signatureKey)))
        .map((each) => ({ ...each, isInside: true, ownerId: undefined })),
      ...devicesToAdd.map(({ certificate, signatureKey, user }) => ({
        identity: fromBase64Url(certificate),
        signatureKey: fromBase64Url(signatureKey),
        isInside: false,
        ownerId: user.id,
      })),
    ];
    const mayTakePart = await participantsOf(id, device);
    const accounts = new Map<string, Account>();
    for (const { identity, signatureKey, isInside, ownerId } of leaves) {
      const certificate = await validCertificate(identity, signatureKey, ownerId);
      if (!certificate || !mayTakePart(certificate.userId) || !(await trust.mayReceive(certificate))) continue;
      const { userId } = certificate;
      // A certificate remains when the user has replaced the history key.
      const historyKey = (await trust.listOf(certificate))?.historyKey ?? certificate.historyKey;
      const account = accounts.get(userId) ?? { userId, historyKeys: [], isInside: false };
      account.isInside ||= isInside;
      if (!account.historyKeys.some((key) => equal(key, historyKey))) account.historyKeys.push(historyKey);
      accounts.set(userId, account);
    }
    return [...accounts.values()];
  }

  /** The accounts for which a commit seals its key: also those of members who are signed out on all devices. */
  async function recipientsOf(
    id: string,
    device: OwnDevice,
    view: MlsView,
    remote: ApiGroup,
    unknown: readonly Bytes[],
  ): Promise<Account[]> {
    const stated = await readLists(id);
    const accounts = await accountsOf(id, device, view, remote, unknown);
    const mayTakePart = await participantsOf(id, device);
    for (const { id: userId, identityKey, historyKey, historyKeySignature } of stated) {
      if (!identityKey || !historyKey || !historyKeySignature || !mayTakePart(userId)) continue;
      const owner = { userId, identityKey: fromBase64Url(identityKey) };
      const signature = fromBase64Url(historyKeySignature);
      const key = await trust.historyKeyFor(owner, fromBase64Url(historyKey), signature);
      if (!key) continue;
      const account = accounts.find((each) => each.userId === userId);
      if (!account) accounts.push({ userId, historyKeys: [key], isInside: false });
      else if (!account.historyKeys.some((each) => equal(each, key))) account.historyKeys.unshift(key);
    }
    return accounts;
  }

  /** Seals the key of an epoch for the account of every member, so that their later devices can read it. */
  const sealFor = (epoch: Epoch, epochKey: Bytes, accounts: readonly Account[]) =>
    Promise.all(
      accounts.map(async ({ userId, historyKeys }) => ({
        userId,
        epoch: epoch.epoch,
        sealed: toBase64Url(await sealEpochKey(historyKeys.slice(0, SEALED_MAX), epoch, epochKey)),
      })),
    );

  const synchronize = <T>(id: string, goal: Goal, then: (record: GroupRecord) => Promise<T>): Promise<T> =>
    exclusively(id, async () => {
      for (;;) {
        try {
          const record = await advance(id, goal);
          await reportAdded(id, record);
          return await then(record);
        } catch (error) {
          if (!(error instanceof Outdated)) throw error;
        }
      }
    });

  /** Reads the keys that were sealed for this account until the one of an epoch is found. */
  async function readHistory(id: string, generation: number, epoch: number): Promise<void> {
    const account = await keeper.account();
    const record = await read(id);
    const readAt = `${record?.generation}:${record?.epoch}`;
    const last = historyRead.get(id);
    // The keys of earlier epochs were forgotten.
    const floor = (await storage.get(floorKey(id))) as Position | undefined;
    if (!account || (last?.readAt === readAt && now() - last.time < HISTORY_AGAIN_AFTER)) return;
    const isNew = createProgress();
    for (let after: string | undefined; ; ) {
      const page = await api.sealedKeys(id, after);
      let found: Record<string, Bytes[]> = {};
      for (const { node, cursor } of page?.edges ?? []) {
        after = cursor;
        const place = { conversationId: id, generation: node.generation, epoch: node.epoch };
        if (floor && isBefore(node, floor)) continue;
        const key = await openEpochKey(account, place, fromBase64Url(node.sealed));
        if (key) found = { ...found, ...(await withKey(epochName(id, node.generation, node.epoch), key)) };
      }
      await storage.write(found);
      if (epochName(id, generation, epoch) in found) return;
      if (!page?.pageInfo.hasNextPage || !isNew(after)) break;
    }
    historyRead.set(id, { readAt, time: now() });
  }

  function storedKeys(id: string, generation: number, epoch: number, isFresh = false): Promise<Bytes[]> {
    const name = epochName(id, generation, epoch);
    const known = isFresh ? undefined : cached.get(name);
    if (known) return known;
    const reading = storage.get(name).then((keys) => (keys as Bytes[] | undefined) ?? []);
    cached.set(name, reading);
    // Only results that were found are cached.
    const forget = () => {
      if (cached.get(name) === reading) cached.delete(name);
    };
    reading.then((keys) => keys.length === 0 && forget(), forget);
    return reading;
  }

  /** Gets the keys of an epoch from the group or from sealed keys. */
  async function loadKeys(id: string, generation: number, epoch: number, compare: boolean): Promise<void> {
    const record = await read(id);
    const isAhead = !record?.state || generation > record.generation || epoch > record.epoch;
    if (isAhead || compare) {
      await synchronize(id, { compare }, async () => {}).catch((error) => {
        // Former members, and removed devices, can read what they could read before.
        if (!(error instanceof E2eeError) || !['NOT_A_MEMBER', 'NOT_SET_UP'].includes(error.code)) throw error;
      });
    }
    // The messages of a page can have many keys, which the same sealed keys contain.
    await historyQueue.run(id, async () => {
      if (compare || (await storedKeys(id, generation, epoch)).length === 0) await readHistory(id, generation, epoch);
    });
  }

  return {
    /** Brings the group of a conversation to its current state, and joins it if necessary. */
    synchronize: (id: string, goal: Goal = {}): Promise<void> => synchronize(id, goal, async () => {}),

    /**
     * Calls `make` with the current group, after the commits that a sender has to make first, and stores what it returns. Nothing else changes the
     * group in the meantime.
     */
    send: <T>(id: string, make: (group: CurrentGroup) => Promise<{ result: T; changes: Record<string, unknown> }>) =>
      synchronize(id, { duties: true }, async (record) => {
        const { generation, epoch } = record;
        const state = record.state as Bytes;
        const certificates = await certificatesOf(state);
        const mayTakePart = await participantsOf(id, await keeper.require());
        const stranger = certificates.find(({ userId }) => !mayTakePart(userId));
        if (stranger) {
          const message = `The group contains a device of the user ${stranger.userId}.`;
          throw new E2eeError('UNEXPECTED_MEMBER', message);
        }
        const epochKey = await exportKey(state, generation, epoch);
        const { result, changes } = await make({ generation, epoch, epochKey, certificates });
        await write(id, record, { ...record, sent: record.sent + 1, used: { generation, epoch } }, changes);
        return result;
      }),

    /**
     * The keys of an epoch that this device has or can get; usually one.
     * @param isRetry whether none of those that were returned before was the right one.
     */
    async keysOf(id: string, generation: number, epoch: number, isRetry = false): Promise<Bytes[]> {
      const stored = await storedKeys(id, generation, epoch);
      if (stored.length > 0 && !isRetry) return stored;
      // The messages of a page need the same key.
      const name = `${epochName(id, generation, epoch)}:${isRetry}`;
      let load = loading.get(name);
      if (!load) {
        load = loadKeys(id, generation, epoch, isRetry).finally(() => loading.delete(name));
        loading.set(name, load);
      }
      await load;
      return storedKeys(id, generation, epoch, true);
    },

    /**
     * Whether a device was in the group in an epoch; undefined if this device was not, and cannot judge it. A former member who has
     * the key of an epoch could otherwise write into it.
     */
    async wasMember(id: string, { generation, epoch }: Position, signatureKey: Bytes): Promise<boolean | undefined> {
      const name = membersName(id, generation, epoch);
      let reading = rosters.get(name);
      if (!reading) {
        reading = storage.get(name) as Promise<Bytes[] | undefined>;
        rosters.set(name, reading);
        reading.catch(() => rosters.delete(name));
      }
      const contains = (found: Bytes[] | undefined) =>
        found?.some((each) => equal(each, signatureKey.subarray(0, MEMBER_BYTES)));
      // Another tab can have seen the epoch, or more members after a fork.
      return contains(await reading) || contains((await storage.get(name)) as Bytes[] | undefined);
    },

    /** Starts the group again, with the next generation. */
    reset: (id: string): Promise<void> => synchronize(id, { reset: true }, async () => {}),

    /** Deletes the keys of all epochs before this one from this device, which then does not fetch them again. */
    forgetBefore: (id: string, position: Position): Promise<void> =>
      exclusively(id, async () => {
        const changes: Record<string, unknown> = {};
        for (const kind of ['key', 'members']) {
          for (const name of (await storage.list(`${kind}:${id}:`)).keys()) {
            const [generation, epoch] = name.split(':').slice(-2).map(Number) as [number, number];
            if (isBefore({ generation, epoch }, position)) changes[name] = undefined;
          }
        }
        const floor = (await storage.get(floorKey(id))) as Position | undefined;
        if (!floor || isBefore(floor, position)) changes[floorKey(id)] = position;
        await storage.write(changes);
        cached.clear();
        rosters.clear();
      }),

    /** Whether this device has seen that the conversation is encrypted. */
    isKnown: async (id: string): Promise<boolean> => (await read(id)) !== undefined,

    /** The devices that are in the group, as far as this device knows. */
    async members(id: string): Promise<Certificate[]> {
      const record = await read(id);
      return record?.state ? certificatesOf(record.state) : [];
    },
  };
}

const fieldOf = (error: unknown) => (error as { field?: string } | null)?.field;
