import { createApi, type Execute, isStale, messageShape } from './api.js';
import { type Bytes, fromBase64Url, randomBytes, toBase64Url } from './bytes.js';
import { type Content, discloseContent, openContent, reactionKeyOf, sealContent, versionOf } from './content.js';
import { createDeviceKeeper } from './device.js';
import { E2eeError } from './errors.js';
import { createGroups } from './group.js';
import type { Certificate } from './identity.js';
import { defaultLocks, type E2eeLocks } from './locks.js';
import { createMls } from './mls.js';
import { type MessageReactions, messageReactions } from './reactions.js';
import { check } from './shape.js';
import type { E2eeStorage } from './storage.js';
import { createTrust, type TrustState } from './trust.js';

/** The settings of a client of encryption. */
export interface E2eeOptions {
  /**
   * Where the keys of this device are kept: `indexedDbStorage(name)`, or `memoryStorage()`. Use another one for each account and
   * server.
   */
  storage: E2eeStorage;
  /** Executes an operation on the server: `parley.request` of a client of `@parley/client`. */
  execute: Execute;
  /** The name of the locks; that of the storage. The default is `parley-e2ee`. */
  lockName?: string;
  /** Runs one writer at a time. The default are the Web Locks of the browser. */
  locks?: E2eeLocks;
  /** Called when a user has another identity key than before. Show it in the conversation. */
  onIdentityChanged?: (userId: string) => void;
  /**
   * Called when a user can read a group from now on who could not before. The server decides who is a member: show it in the
   * conversation. The other user of a direct conversation is not reported.
   */
  onMemberAdded?: (conversationId: string, userId: string) => void;
  /**
   * Called when the server shows different lists of a user's devices to different members, or shows an older list than another
   * member has seen. Nothing is encrypted for devices that are not in the latest list.
   */
  onDevicesDisputed?: (userId: string) => void;
  /** The current time, in milliseconds since 1970. */
  now?: () => number;
}

/** The input `encrypted` of the mutations `sendMessage` and `editMessage`. */
export interface EncryptedInput {
  generation: number;
  epoch: number;
  deviceId: string;
  content: string;
  mentionedIds?: string[];
}

/** What is encrypted. */
export interface OutgoingContent extends Content {
  /** The users that the text mentions. The server sees who they are, to notify them. */
  mentionedIds?: string[];
}

/** An encrypted message as the server returns it: the selection `encryptedMessageFields`. */
export interface EncryptedMessage {
  id: string;
  clientMessageId?: string | null;
  conversation: { id: string };
  sender?: { id: string } | null;
  replyTo?: { id: string } | null;
  editedAt?: string | null;
  encrypted?: {
    generation: number;
    epoch: number;
    content: string;
    device: { id: string; signatureKey: string; certificate: string; user: { id: string } };
  } | null;
}

/** The fields of a message that `open` needs, as the body of a GraphQL selection. */
export const encryptedMessageFields =
  'id clientMessageId conversation { id } sender { id } replyTo { id } editedAt encrypted { generation epoch content device { id signatureKey certificate user { id } } }';

/** A message that was opened, whose sender and place are verified. */
export interface OpenedMessage {
  content: Content;
  /** 1 for a message that was not edited. */
  version: number;
  /** The device that encrypted it. */
  sender: Certificate;
  /** Encrypts and decrypts the reactions to it. */
  reactions: MessageReactions;
}

/** What a reporter reveals to the server of one version of a message. */
export interface ReportDisclosure {
  /** The input `disclosure` of the mutation `reportMessage`. */
  disclosure: { generation: number; epoch: number; deviceId: string; content: string; messageKey: string };
  /** What the moderators will be able to read, for the user to confirm. */
  content: Content;
  version: number;
}

/** A conversation, as far as encryption is concerned. */
export interface E2eeConversation {
  /**
   * Whether this device has ever seen that the conversation is encrypted. Then never send plain text in it, whatever the server states
   * about the conversation.
   */
  isEncrypted(): Promise<boolean>;
  /** Encrypts the conversation from now on, which cannot be taken back. */
  enable(): Promise<void>;
  /**
   * Processes the commits that this device has not seen, and joins the group if it is not in it. Call it for events of the
   * type `COMMITTED`; messages are opened without it as well.
   */
  synchronize(): Promise<void>;
  /**
   * Encrypts a message. Calls with the same `clientMessageId` return the same bytes, also in other tabs and after a restart, until
   * `stale` has returned true or a week after `settled`. An edit has the `clientMessageId` of its message, the next `version`, and as
   * `reactionKey` what `reactions.key()` of the opened message returns; without it, the reactions so far become unreadable.
   * @throws E2eeError `IDENTITY_CHANGED`, `UNEXPECTED_MEMBER`, `NOT_A_MEMBER`, `NOT_ENCRYPTED`, `DOWNGRADED` or `TOO_LARGE`, or what
   *   `execute` throws.
   */
  encrypt(
    clientMessageId: string,
    content: OutgoingContent,
    options?: { version?: number | undefined; reactionKey?: Uint8Array | undefined },
  ): Promise<EncryptedInput>;
  /** Call it when the server has answered `sendMessage` or `editMessage`. */
  settled(clientMessageId: string, version?: number): Promise<void>;
  /**
   * Call it with what was sent and the error of the server. Returns whether the message has to be encrypted again, which
   * `encrypt` then does. In all other cases, send the same bytes again.
   */
  stale(clientMessageId: string, encrypted: EncryptedInput, error: unknown): Promise<boolean>;
  /** Encrypts and sends a message, as often as necessary. It throws what `execute` throws: then call it again. */
  send(
    content: OutgoingContent,
    options?: { clientMessageId?: string; attachmentIds?: string[] },
  ): Promise<{ id: string; seq: number }>;
  /**
   * Decrypts a message.
   * @throws E2eeError `KEY_UNAVAILABLE`, `TAMPERED`, `UNKNOWN_FORMAT`, `INVALID_CERTIFICATE` or `IDENTITY_CHANGED`, or what `execute` throws.
   */
  open(message: EncryptedMessage): Promise<OpenedMessage>;
  /**
   * Prepares a report of a message to the moderators of the server. It reveals this version of the message with the keys of its files,
   * and nothing of any other message. The message can have been edited or deleted on the server in the meantime.
   * @param message as it was received, with its `encrypted`.
   * @throws E2eeError `NOT_ENCRYPTED`, `KEY_UNAVAILABLE`, `TAMPERED` or `UNKNOWN_FORMAT`, or what `execute` throws.
   */
  report(message: EncryptedMessage): Promise<ReportDisclosure>;
  /**
   * Starts the group again with new keys, for the case that members cannot read each other although all of them are online. The others
   * join by themselves, and earlier messages remain readable.
   */
  reset(): Promise<void>;
  /**
   * Deletes the keys of all epochs before that of this message from this device, which cannot open earlier messages any more. Other
   * devices, and the sealed keys on the server, keep them: a new device of the user can open the messages.
   */
  forgetBefore(position: { generation: number; epoch: number }): Promise<void>;
  /** The certificates of the devices that are in the group, as far as this device knows. */
  members(): Promise<Certificate[]>;
}

/** The encryption of an account on this device. */
export interface E2ee {
  /**
   * Registers this device and publishes its key packages. Returns false if it has no keys yet: see `setUp`. Call it at every
   * start, and when the user has signed in again: the server ends a device together with its session.
   */
  start(): Promise<boolean>;
  /**
   * Creates the keys of the account and of this device. Show the `recoveryKey` to the user afterwards.
   * With `replaceIdentity`, the other devices of the user are removed.
   * @throws E2eeError `NOT_SET_UP` if the account has keys, also if another device has created them at the same time: call `recover`, or
   *   set `replaceIdentity`, which all other users see.
   */
  setUp(options?: { name?: string; replaceIdentity?: boolean }): Promise<void>;
  /**
   * Registers this device for an account that has keys. A device that has keys takes over those that another device has
   * replaced with `changeRecoveryKey`.
   */
  recover(recoveryKey: string, options?: { name?: string }): Promise<void>;
  /**
   * Makes another recovery key, for example because the former one was lost or seen by someone else. Any device of the user can do
   * so. The former one does not open the vault any more.
   * @param options with `rotateHistoryKey`: whether the keys of epochs are sealed for another key from now on, for example because a
   *   device was stolen. The other devices of the user get it with `recover` and the new words.
   * @throws E2eeError `NOT_SET_UP` if another device has replaced the history key: call `recover`; `IDENTITY_CHANGED` if one has
   *   replaced the identity.
   */
  changeRecoveryKey(options?: { rotateHistoryKey?: boolean }): Promise<void>;
  /** Removes a device of the user for good. Nobody encrypts for it any more, also if the server keeps it registered. */
  removeDevice(deviceId: string): Promise<void>;
  /** The recovery key that `setUp` or `changeRecoveryKey` has made; undefined after `forgetRecoveryKey`, and on other devices. */
  recoveryKey(): Promise<string | undefined>;
  /** Call it when the user has written down the recovery key. */
  forgetRecoveryKey(): Promise<void>;
  conversation(id: string): E2eeConversation;
  /** What is known of the identity of a user. */
  identity(userId: string): Promise<TrustState>;
  /** The 60 digits that the viewer and a user compare. */
  safetyNumber(userId: string): Promise<string>;
  /** Stores that the viewer and a user have compared the safety number, and that it was the same; with `false`, that they have not. */
  verifyIdentity(userId: string, isVerified?: boolean): Promise<void>;
  /**
   * Accepts a changed identity key of another user: the given one, such as that whose safety number the viewer has compared, or the
   * one that was seen last.
   * @throws E2eeError `IDENTITY_CHANGED` for the viewer. If the viewer has replaced the identity on another device, call `erase` and
   *   `recover` on this one.
   */
  acceptIdentity(userId: string, identityKey?: Uint8Array): Promise<void>;
  /** Deletes all keys of this device, for example when the user signs out. */
  erase(): Promise<void>;
  close(): void;
}

const SENDERS_MAX = 2_000;
/** How many messages are remembered, to notice that one is shown twice. */
const MESSAGES_MAX = 20_000;

/** Sets a value, and forgets the oldest one if there are too many. */
function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > MESSAGES_MAX) map.delete(map.keys().next().value as string);
}

/** How often, and in which period in milliseconds, messages of a conversation that cannot be opened may cause a comparison. */
const RETRIES_MAX = 3;
const RETRY_PERIOD = 600_000;
/** How often a message is encrypted again because the group has changed, before `send` gives up. */
const SENDS_MAX = 20;

interface OutgoingRecord {
  /** A random number: what another tab has encrypted again is not removed. */
  revision: number;
  conversationId: string;
  input: EncryptedInput;
  /** When the server has answered, in milliseconds since 1970. */
  settledAt: number | undefined;
}

/**
 * How long the bytes of a message are kept after the server has answered, in milliseconds: an outbox that has crashed before it has
 * stored the answer sends the message again.
 */
const KEPT_AFTER_ANSWER = 7 * 86_400_000;
const OUTGOING = 'outgoing:';

/** By what a sender has signed: the id of a message is what the server states. */
const versionKey = (conversationId: string, message: string) => `version:${conversationId}:${message}`;
const outgoingKey = (clientMessageId: string, version: number) => `${OUTGOING}${clientMessageId}:${version}`;

/** Opens the encryption of an account. Each tab can have its own object with the same storage. */
export async function openE2ee(options: E2eeOptions): Promise<E2ee> {
  const { storage, locks = defaultLocks(), lockName = 'parley-e2ee', now = Date.now } = options;
  const api = createApi(options.execute);
  let isClosed = false;
  let ownUserId: string | undefined;
  const trust = createTrust(storage, {
    ownUserId: () => ownUserId,
    onIdentityChanged: (userId) => options.onIdentityChanged?.(userId),
    onDevicesDisputed: (userId) => options.onDevicesDisputed?.(userId),
  });
  const mls = await createMls(async (identity, signatureKey) => {
    // Whether the viewer still wants to send to its user is asked when a message is encrypted.
    await trust.certificateOf(identity as Bytes, signatureKey);
    return true;
  });
  const keeper = createDeviceKeeper({ storage, locks, lockName, api, mls, trust, now });
  const groups = createGroups({
    storage,
    api,
    mls,
    trust,
    keeper,
    now,
    onMemberAdded: (...added) => options.onMemberAdded?.(...added),
    exclusively: (id, work) => locks.run(`${lockName}:${id}`, work),
  });
  /** The certificates of senders, which most messages have in common. */
  const senders = new Map<string, Promise<Certificate>>();
  /** Which message has which idempotency key, to notice that a message is shown twice. */
  const seen = new Map<string, string>();
  /** The highest version of each edited message that was opened, by conversations and messages. */
  const versions = new Map<string, Promise<Map<string, number>>>();

  /** The messages of each conversation that could not be opened, and for which the group was compared with that of the server. */
  const retries = new Map<string, { content: string; time: number }[]>();

  function requireOpen(): void {
    if (isClosed) throw new E2eeError('CLOSED', 'The encryption was closed.');
  }

  function senderOf({
    certificate,
    signatureKey,
    user,
  }: NonNullable<EncryptedMessage['encrypted']>['device']): Promise<Certificate> {
    const name = `${signatureKey} ${certificate} ${user.id}`;
    let reading = senders.get(name);
    if (!reading) {
      if (senders.size >= SENDERS_MAX) senders.clear();
      reading = trust.certificateOf(fromBase64Url(certificate), fromBase64Url(signatureKey), user.id);
      senders.set(name, reading);
      reading.catch(() => senders.delete(name));
    }
    return reading;
  }

  function versionsIn(conversationId: string): Promise<Map<string, number>> {
    let reading = versions.get(conversationId);
    if (!reading) {
      const prefix = versionKey(conversationId, '');
      reading = storage
        .list(prefix)
        .then((found) => new Map([...found].map(([key, version]) => [key.slice(prefix.length), version as number])));
      versions.set(conversationId, reading);
      reading.catch(() => versions.delete(conversationId));
    }
    return reading;
  }

  async function ready(): Promise<void> {
    requireOpen();
    ownUserId = (await keeper.require()).userId;
  }

  /** A device that the server has removed reads what it has keys for. */
  async function readable(): Promise<void> {
    requireOpen();
    ownUserId = (await keeper.userId()) ?? (await keeper.require()).userId;
  }

  async function begin(device: { userId: string }): Promise<void> {
    ownUserId = device.userId;
    const outgoing = (await storage.list(OUTGOING)) as Map<string, OutgoingRecord>;
    const old = [...outgoing].filter(
      ([, { settledAt }]) => settledAt !== undefined && settledAt + KEPT_AFTER_ANSWER < now(),
    );
    if (old.length > 0) await storage.write(Object.fromEntries(old.map(([key]) => [key, undefined])));
    await keeper.maintain();
  }

  function conversation(id: string): E2eeConversation {
    async function encrypt(
      clientMessageId: string,
      // The content can be that of the previous version, whose key was encrypted for it.
      { mentionedIds, reactionKey: _, ...content }: OutgoingContent,
      { version = 1, reactionKey }: { version?: number | undefined; reactionKey?: Uint8Array | undefined } = {},
    ): Promise<EncryptedInput> {
      await ready();
      const key = outgoingKey(clientMessageId, version);
      const stored = (await storage.get(key)) as OutgoingRecord | undefined;
      if (stored) return stored.input;
      return groups.send(id, async ({ generation, epoch, epochKey, certificates }) => {
        const device = await keeper.require();
        // Another tab can have encrypted it in the meantime.
        const other = (await storage.get(key)) as OutgoingRecord | undefined;
        if (other) return { result: other.input, changes: {} };
        for (const certificate of certificates) await trust.checkRecipient(certificate);
        const place = { conversationId: id, generation, epoch, deviceId: device.id, clientMessageId, version };
        const input: EncryptedInput = {
          generation,
          epoch,
          deviceId: device.id,
          content: toBase64Url(await sealContent(epochKey, device.contentKey, place, content, reactionKey)),
          ...(mentionedIds && { mentionedIds }),
        };
        const revision = new DataView(randomBytes(4).buffer).getUint32(0);
        const record: OutgoingRecord = { revision, conversationId: id, input, settledAt: undefined };
        return { result: input, changes: { [key]: record } };
      });
    }

    async function settled(clientMessageId: string, version = 1): Promise<void> {
      const key = outgoingKey(clientMessageId, version);
      const record = (await storage.get(key)) as OutgoingRecord | undefined;
      if (!record) return;
      const guard = { key, revision: record.revision };
      await storage.write({ [key]: { ...record, settledAt: now() } satisfies OutgoingRecord }, guard);
    }

    async function stale(clientMessageId: string, encrypted: EncryptedInput, error: unknown): Promise<boolean> {
      if (!isStale(error)) return false;
      const key = outgoingKey(clientMessageId, versionOf(fromBase64Url(encrypted.content)));
      const record = (await storage.get(key)) as OutgoingRecord | undefined;
      if (record?.input.content === encrypted.content) {
        await storage.write({ [key]: undefined }, { key, revision: record.revision });
      }
      return true;
    }

    const unavailable = () => new E2eeError('KEY_UNAVAILABLE', 'This device does not have the key of the message.');

    /** The place of a message, as the server states it. */
    function placeOf({ encrypted, clientMessageId }: EncryptedMessage) {
      const { generation, epoch, device } = encrypted as NonNullable<EncryptedMessage['encrypted']>;
      return { conversationId: id, generation, epoch, deviceId: device.id, clientMessageId: clientMessageId ?? '' };
    }

    /** Tries the keys of the epoch of a message. */
    async function tryKeys<Result>(message: EncryptedMessage, work: (epochKey: Bytes) => Promise<Result>) {
      const { generation, epoch } = placeOf(message);
      // The server can have been restored from a backup, so that the epoch was begun twice.
      for (const isRetry of [false, true]) {
        let failure: unknown = unavailable();
        for (const key of await groups.keysOf(id, generation, epoch, isRetry)) {
          try {
            const result = await work(key);
            if (isRetry) retries.delete(id);
            return result;
          } catch (error) {
            failure = error;
          }
        }
        const isOther = !(failure instanceof E2eeError) || failure.code !== 'TAMPERED';
        if (isRetry || isOther || !mayRetry(message)) throw failure;
      }
      throw unavailable();
    }

    /** The encrypted part of a message that has the form of the schema. */
    function encryptedOf(message: EncryptedMessage): NonNullable<EncryptedMessage['encrypted']> {
      if (!message.encrypted) throw new E2eeError('NOT_ENCRYPTED', 'The message is not encrypted.');
      check(message, messageShape, 'TAMPERED', 'The server has sent a message of another form.');
      return message.encrypted;
    }

    async function open(message: EncryptedMessage): Promise<OpenedMessage> {
      await readable();
      const encrypted = encryptedOf(message);
      const sender = await senderOf(encrypted.device);
      if (message.sender && message.sender.id !== sender.userId) {
        throw new E2eeError('TAMPERED', 'The device that encrypted the message is not one of its sender.');
      }
      await trust.checkSender(sender);
      const content = fromBase64Url(encrypted.content);
      const place = placeOf(message);
      const opened = await tryKeys(message, async (key) => {
        const result = await openContent(key, sender.contentKey, place, content);
        return { ...result, reactions: messageReactions(() => reactionKeyOf(key, content, result)) };
      });
      if ((await groups.wasMember(id, encrypted, sender.signatureKey)) === false) {
        throw new E2eeError('TAMPERED', 'The device was not in the group.');
      }
      await checkPlace(message, opened);
      return { ...opened, sender };
    }

    async function report(message: EncryptedMessage): Promise<ReportDisclosure> {
      await readable();
      const encrypted = encryptedOf(message);
      const { conversationId: _id, clientMessageId: _key, ...where } = placeOf(message);
      const bytes = fromBase64Url(encrypted.content);
      // A sender who has replaced the certificate of the device after the message was read must not prevent a report: the server has
      // the former certificates, and verifies the signature.
      const { content, version, messageKey } = await tryKeys(message, (key) =>
        discloseContent(key, placeOf(message), bytes),
      );
      const disclosure = { ...where, content: encrypted.content, messageKey: toBase64Url(messageKey) };
      return { disclosure, content, version };
    }

    /**
     * Whether the group may be compared with that of the server to open a message: it takes requests, and possibly a commit. Each
     * message can cause it once in a while, and all messages of a conversation together a few times.
     */
    function mayRetry({ encrypted }: EncryptedMessage): boolean {
      const content = encrypted?.content ?? '';
      const recent = (retries.get(id) ?? []).filter(({ time }) => now() - time < RETRY_PERIOD);
      if (recent.length >= RETRIES_MAX || recent.some((each) => each.content === content)) return false;
      retries.set(id, [...recent, { content, time: now() }]);
      return true;
    }

    /** Checks what the content says about the message, and what only several messages show. */
    async function checkPlace(
      message: EncryptedMessage,
      { content, version }: { content: Content; version: number },
    ): Promise<void> {
      const tampered = (what: string) => new E2eeError('TAMPERED', what);
      const { replyTo, editedAt, encrypted, clientMessageId } = message;
      if (replyTo && replyTo.id !== content.replyToId) {
        throw tampered('The message replies to another one than its sender wrote.');
      }
      if (editedAt && version < 2) throw tampered('The server has taken back an edit of the message.');
      const place = JSON.stringify([encrypted?.device.user.id, clientMessageId]);
      const key = `${id} ${place}`;
      const known = seen.get(key);
      if (known !== undefined && known !== message.id) throw tampered('The server shows the message twice.');
      remember(seen, key, message.id);
      const edited = await versionsIn(id);
      const latest = edited.get(place) ?? 1;
      if (version < latest) throw tampered('The server has taken back an edit of the message.');
      if (version === latest) return;
      edited.set(place, version);
      await storage.write({ [versionKey(id, place)]: version });
    }

    return {
      isEncrypted: () => groups.isKnown(id),
      async enable() {
        await ready();
        await api.enable(id);
        await groups.synchronize(id, { duties: true });
      },
      async synchronize() {
        await ready();
        await groups.synchronize(id);
      },
      encrypt,
      settled,
      stale,
      async send(content, { clientMessageId = toBase64Url(randomBytes(16)), attachmentIds } = {}) {
        for (let attempt = 1; ; attempt++) {
          const encrypted = await encrypt(clientMessageId, content);
          const { replyToId } = content;
          try {
            const input = { conversationId: id, clientMessageId, replyToId, attachmentIds, encrypted };
            const message = await api.sendMessage(input);
            await settled(clientMessageId);
            return message;
          } catch (error) {
            if ((await stale(clientMessageId, encrypted, error)) && attempt < SENDS_MAX) continue;
            throw error;
          }
        }
      },
      open,
      report,
      async reset() {
        await ready();
        await groups.reset(id);
      },
      async forgetBefore({ generation, epoch }) {
        requireOpen();
        await groups.forgetBefore(id, { generation, epoch });
      },
      members: () => groups.members(id),
    };
  }

  return {
    async start() {
      requireOpen();
      const device = await keeper.open(true);
      if (device) await begin(device);
      return device !== undefined;
    },
    async setUp({ name, replaceIdentity } = {}) {
      requireOpen();
      await begin(await keeper.setUp({ name, replaceIdentity }));
    },
    async recover(recoveryKey, { name } = {}) {
      requireOpen();
      await begin(await keeper.recover(recoveryKey, name));
    },
    changeRecoveryKey: keeper.changeRecoveryKey,
    removeDevice: keeper.removeDevice,
    recoveryKey: keeper.recoveryKey,
    forgetRecoveryKey: keeper.forgetRecoveryKey,
    conversation,
    identity: trust.state,
    safetyNumber: trust.safetyNumber,
    verifyIdentity: trust.verify,
    async acceptIdentity(userId, identityKey) {
      await ready();
      await trust.accept(userId, identityKey);
    },
    erase: keeper.erase,
    close() {
      isClosed = true;
      storage.close();
    },
  };
}
