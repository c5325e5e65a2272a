import { onLive, pauseUntilLive } from './connection.js';
import { contextOf } from './context.js';
import type { Attachment } from './conversation.js';
import { isTemporary, ParleyError, toError } from './errors.js';
import { MembersByNameDocument, MessagesToOpenDocument, SenderDevicesDocument } from './generated/encryption.js';
import type { EncryptedInput } from './generated/types.js';
import { kindOf, mediaOf } from './media.js';
import type { OutboxEntry } from './outbox.js';
import type { Parley } from './parley.js';
import { retryDelay } from './pause.js';
import type { Request } from './request.js';
import type { FileSecret, Sealing } from './sealing.js';
import type { Entity } from './storage.js';
import { isSealedEmoji, type Opened, type Protection, proofOf, UNREADABLE } from './store.js';
import type { MessageEvent } from './sync.js';
import { parseText } from './text.js';

export type { FileSecret } from './sealing.js';
export type { Protection } from './store.js';

/** What an encrypted message contains. */
interface Content {
  text?: string;
  replyToId?: string;
  attachments?: Record<string, FileSecret>;
}

interface SealedMessage {
  id: string;
  clientMessageId: string | null;
  conversation: { id: string };
  sender: { id: string } | null;
  replyTo: { id: string } | null;
  editedAt: string | null;
  encrypted: {
    generation: number;
    epoch: number;
    content: string;
    device: { id: string; signatureKey: string; certificate: string; user: { id: string } };
  };
}

/** Encrypts and decrypts the emojis of reactions to a message. */
interface Reactions {
  seal(emoji: string): Promise<string>;
  open(sealed: string): Promise<string>;
  key(): Promise<Uint8Array>;
}

/** What this needs of the object that `openE2ee` of `@parley/e2ee` returns. */
export interface E2eeLike {
  conversation(id: string): {
    isEncrypted(): Promise<boolean>;
    synchronize(): Promise<void>;
    encrypt(
      clientMessageId: string,
      content: Content & { mentionedIds?: string[] },
      options?: { version?: number; reactionKey?: Uint8Array | undefined },
    ): Promise<EncryptedInput & { mentionedIds?: string[] }>;
    settled(clientMessageId: string, version?: number): Promise<void>;
    stale(clientMessageId: string, encrypted: EncryptedInput, error: unknown): Promise<boolean>;
    open(message: SealedMessage): Promise<{ content: Content; version: number; reactions: Reactions }>;
  };
}

/** The functions of `@parley/e2ee` that encrypt files. */
export interface FileEncryption {
  encryptAttachment(file: Blob, about?: { name?: string }): Promise<{ blob: Blob; secret: FileSecret }>;
  decryptAttachment(blob: Blob, secret: FileSecret): Promise<Blob>;
}

/** The encryption of a client. */
export interface ParleyEncryption {
  /**
   * Tries to open messages again that could not be opened, for example after a changed identity was accepted.
   * @param conversationId only those of this conversation.
   */
  reopen(conversationId?: string): void;
  /**
   * Downloads and decrypts the file of an attachment that has a `secret`.
   * @param onProgress called with the number of bytes that were received.
   * @throws ParleyError with the code `TAMPERED` if it is not the file that was sent, or with that of the download.
   */
  file(
    attachment: Attachment,
    options?: { signal?: AbortSignal; onProgress?: (receivedBytes: number) => void },
  ): Promise<Blob>;
  /** Ends this. Messages that were not sent wait until `encryptParley` is called again. */
  close(): void;
}

/** The `protection` of a message as it is stored. */
interface Stored extends Opened {
  version?: number;
  content?: Content;
}

/** How many messages are opened at once. */
const AT_ONCE = 50;
/** After how many milliseconds a tab opens messages that the tab that synchronizes has not opened. */
const OTHERS_DELAY = 1_500;
/** How long a notification waits for the text of its message, in milliseconds. */
const NOTIFY_DELAY = 5_000;
/** How often a message is encrypted again because the group has changed, before it waits. */
const ATTEMPTS_MAX = 20;
/** How many of the newest messages are tried again without being asked for, because each attempt can need requests. */
const REOPENED_MAX = 50;
/** How many sent contents are kept until the server has returned them. */
const SENT_MAX = 200;
/** How many names of a text are looked up. */
const NAMES_MAX = 50;
/** Failures that can end by themselves, for example when another device has sealed a key for this one. */
const CURABLE = /^(KEY_UNAVAILABLE|IDENTITY_CHANGED|INVALID_CERTIFICATE)$/;
/** Failures for which this device or an answer of the server, and not the message, is the cause. */
const UNREADY = /^(NOT_SET_UP|CLOSED|UNSUPPORTED|INVALID_ANSWER)$/;
/** An error that lets `stale` remove the bytes of a message that the server has rejected. */
const DISCARD = { reason: 'STALE_EPOCH' };

/** An error of `@parley/e2ee` with its code. A device that is not ready can be so later. */
function errorOf(thrown: unknown): ParleyError {
  const { name, code = '', message } = (thrown ?? {}) as Partial<Error & { code: string }>;
  if (name !== 'E2eeError') return toError(thrown);
  // As the server refuses it.
  if (code === 'NOT_AN_EMOJI') {
    return new ParleyError('BAD_USER_INPUT', message ?? '', [{ message: '', extensions: { field: 'input.emoji' } }]);
  }
  return new ParleyError(UNREADY.test(code) ? 'UNAVAILABLE' : code, message ?? '');
}

/** The description of an attachment that its sender has encrypted, as far as it is valid. */
function describe(secret: FileSecret): Partial<Attachment> {
  const { name, mimeType, size, kind, altText, width, height, durationMs, waveform } = secret as FileSecret &
    Partial<Record<keyof Attachment, unknown>>;
  const number = (value: unknown) => (typeof value === 'number' && value > 0 && value < 1e9 ? Math.round(value) : null);
  const peaks = Array.isArray(waveform) ? waveform.slice(0, 64).map((peak) => number(peak) ?? 0) : null;
  return {
    kind: kind === 'FILE' ? kind : kindOf({ type: mimeType ?? '' }),
    filename: name ?? 'file',
    contentType: mimeType ?? 'application/octet-stream',
    byteSize: size,
    altText: typeof altText === 'string' ? altText : null,
    width: number(width),
    height: number(height),
    durationMs: number(durationMs),
    waveform: peaks,
  };
}

/** The attachments of an opened message: only those that its sender has encrypted. */
const shownFiles = (attachments: unknown, secrets: Record<string, FileSecret> = {}): unknown[] =>
  ((attachments ?? []) as Attachment[]).flatMap((attachment) => {
    const secret = Object.hasOwn(secrets, attachment.id) ? secrets[attachment.id] : undefined;
    return secret ? { ...attachment, ...describe(secret), variants: [], secret } : [];
  });

/**
 * Lets a client handle encrypted conversations like others: messages are encrypted before they are sent and opened when they
 * arrive, and files likewise. Call it in each tab when `e2ee` is set up; a later call replaces an earlier one.
 * @param e2ee what `openE2ee` of `@parley/e2ee` returns.
 * @param files the functions `encryptAttachment` and `decryptAttachment` of `@parley/e2ee`. Without them, no files can be sent
 *   or opened.
 */
export function encryptParley(parley: Parley, e2ee: E2eeLike, files?: FileEncryption): ParleyEncryption {
  const { store, request, sync, isLeader, outbox, url } = contextOf(parley);
  const { state } = store;
  const stops: (() => void)[] = [];
  let isClosed = false;

  // ── opening ──

  /** The messages to open, with the proofs of their current contents. */
  const wanted = new Map<string, string>();
  /** The messages that were tried since the page was loaded. */
  const tried = new Map<string, string>();
  /** Ids of messages of which the server was asked for more fields. */
  const asked = new Map<string, string>();
  /** What this device has sent, by the encrypted content. */
  const sent = new Map<string, Sent>();
  /** Which message has which key, to notice that one is shown twice. */
  const places = new Map<string, string>();
  /** Reactions that could not be opened since the page was loaded. A newer version of the client may open them. */
  const unreadable = new Set<string>();
  let isOpening = false;
  let failures = 0;

  const sealedOf = (id: string) => {
    const entity = state.get<Entity>(id);
    return entity?.__typename === 'Message' && entity['encrypted'] ? entity : undefined;
  };
  const refOf = (value: unknown) => (value as { __ref?: string } | null | undefined)?.__ref;
  const partOf = (value: unknown) => {
    const id = refOf(value);
    return id === undefined ? null : { id };
  };
  const contentOf = (entity: Entity) => (entity['encrypted'] as SealedMessage['encrypted']).content;
  const placeOf = (entity: Entity) =>
    JSON.stringify([entity.conversationId, refOf(entity['sender']), entity['clientMessageId']]);

  /** The encrypted emojis of reactions to an opened message that have not been opened. */
  function unopened(entity: Entity): string[] {
    const { protection, reactions, viewerReactions } = entity as Entity & {
      protection?: Stored;
      reactions?: { emoji: string }[];
      viewerReactions?: string[];
    };
    if (!protection?.content || protection.proof !== proofOf(entity)) return [];
    const all = new Set([...(reactions ?? []).map(({ emoji }) => emoji), ...(viewerReactions ?? [])]);
    return [...all].filter((emoji) => {
      const known = protection.emojis?.[emoji];
      return isSealedEmoji(emoji) && (known === undefined || (known === UNREADABLE && !unreadable.has(emoji)));
    });
  }

  /** Whether a message is where this device has sent it. Otherwise, what the server states of it is checked when it is opened. */
  const isAsSent = (entity: Entity, { conversationId, clientMessageId, content }: Sent): boolean =>
    entity.conversationId === conversationId &&
    entity['clientMessageId'] === clientMessageId &&
    entity['editedAt'] === null &&
    refOf(entity['sender']) === store.ownId() &&
    [undefined, content.replyToId].includes(refOf(entity['replyTo'])) &&
    isFirst(entity);

  /** Whether no other message was shown in the place of this one. */
  const isFirst = (entity: Entity): boolean => [undefined, entity.id].includes(places.get(placeOf(entity)));

  function scan(keys: Iterable<string>): void {
    const own: Entity[] = [];
    for (const id of keys) {
      const entity = sealedOf(id);
      if (!entity || entity.conversationId === undefined) continue;
      const proof = proofOf(entity);
      const stored = entity['protection'] as Stored | undefined;
      if (stored?.proof === proof && stored.content) {
        places.set(placeOf(entity), id);
        if (unopened(entity).length > 0) wanted.set(id, proof);
        // The server has processed a file.
        const attachments = shownFiles(entity['attachments'], stored.content.attachments);
        if (JSON.stringify(attachments) !== JSON.stringify(stored.shown['attachments'])) {
          const isWhole = (entity['attachments'] as Partial<Attachment>[]).every((each) => each.id !== undefined);
          if (isWhole) own.push(protectedAs(entity, { ...stored, shown: { ...stored.shown, attachments } }));
        }
        continue;
      }
      const known = sent.get(contentOf(entity));
      if (known && isAsSent(entity, known)) {
        places.set(placeOf(entity), id);
        own.push(openedAs(entity, known.content, 1));
      } else if (tried.get(id) !== proof) wanted.set(id, proof);
    }
    if (own.length > 0) save(own);
    if (wanted.size > 0) start();
  }

  const protectedAs = ({ id }: Entity, protection: Stored): Entity => ({ id, __typename: 'Message', protection });

  const openedAs = (entity: Entity, content: Content, version: number): Entity => {
    const shown = {
      text: content.text ?? null,
      protection: 'protected' satisfies Protection,
      attachments: shownFiles(entity['attachments'], content.attachments),
    };
    return protectedAs(entity, { proof: proofOf(entity), version, content, shown });
  };

  /** Adds the emojis of the reactions to an opened message. */
  async function withEmojis(entity: Entity, opened: Entity, { open: openEmoji }: Reactions): Promise<Entity> {
    const protection = opened['protection'] as Stored;
    const { proof, emojis } = (entity['protection'] ?? {}) as Partial<Stored>;
    // After an edit, all of them are opened with the key that the edit contains.
    const known = proof === protection.proof ? emojis : undefined;
    const left = unopened({ ...entity, protection: { ...protection, emojis: known } });
    if (left.length === 0 && !known) return opened;
    const found = await Promise.all(
      left.map(async (emoji) => {
        const result = await openEmoji(emoji).catch(() => UNREADABLE);
        if (result === UNREADABLE) unreadable.add(emoji);
        return [emoji, result] as const;
      }),
    );
    return protectedAs(entity, { ...protection, emojis: { ...known, ...Object.fromEntries(found) } });
  }

  /** Stores what was opened, like a response: the streams are more recent. */
  function save(put: Entity[]): void {
    void store.commit({ put }, store.now());
  }

  function start(): void {
    if (isOpening || isClosed) return;
    isOpening = true;
    if (isLeader()) queueMicrotask(() => void openWanted());
    else setTimeout(() => void openWanted(), OTHERS_DELAY);
  }

  async function openWanted(): Promise<void> {
    while (wanted.size > 0 && !isClosed) {
      // The newest ones are displayed.
      const batch = [...wanted]
        .flatMap(([id, proof]) => {
          const entity = sealedOf(id);
          const isOpen = (entity?.['protection'] as Stored | undefined)?.proof === proof && tried.get(id) === proof;
          if (entity && proofOf(entity) === proof && !(isOpen && unopened(entity).length === 0))
            return { entity, proof };
          wanted.delete(id);
          return [];
        })
        .sort((one, other) => Number(other.entity['seq']) - Number(one.entity['seq']))
        .slice(0, AT_ONCE);
      try {
        await complete(batch.map(({ entity }) => entity));
        const results = await Promise.allSettled(batch.map(({ entity }) => open(entity)));
        const put: Entity[] = [];
        let failure: unknown;
        for (const [index, result] of results.entries()) {
          const { entity, proof } = batch[index] as (typeof batch)[number];
          if (result.status === 'rejected') {
            failure = result.reason;
            continue;
          }
          if (wanted.get(entity.id) === proof) wanted.delete(entity.id);
          if (result.value && isCurrent(entity, proof)) {
            tried.set(entity.id, proof);
            put.push(result.value);
          }
        }
        if (put.length > 0) save(put);
        if (failure) throw failure;
        failures = 0;
      } catch {
        failures += 1;
        await pauseUntilLive(state, retryDelay(failures));
      }
    }
    isOpening = false;
  }

  const isCurrent = ({ id }: Entity, proof: string) => {
    const entity = sealedOf(id);
    return entity !== undefined && proofOf(entity) === proof;
  };

  /** Fetches what is missing to open messages: the certificates of devices, and fields that quotes and previews lack. */
  async function complete(entities: readonly Entity[]): Promise<void> {
    // What the server refuses to return is missing when the messages are opened.
    const fetch = (response: Promise<unknown>) =>
      store.receive(response).catch((error) => {
        if (isTemporary(toError(error))) throw error;
      });
    const isUnknown = (id: string) => state.get<Entity>(id)?.['certificate'] === undefined;
    const deviceIds = new Set(entities.map(deviceIdOf).filter(isUnknown));
    if (deviceIds.size > 0) await fetch(request(SenderDevicesDocument, { ids: [...deviceIds] }));
    const partial = entities.filter(
      (each) => each['clientMessageId'] === undefined && asked.get(each.id) !== contentOf(each),
    );
    if (partial.length === 0) return;
    await fetch(request(MessagesToOpenDocument, { ids: partial.map(({ id }) => id) }));
    for (const each of partial) asked.set(each.id, contentOf(each));
  }

  const deviceIdOf = (entity: Entity) => refOf((entity['encrypted'] as { device: unknown }).device) ?? '';

  /**
   * Opens a message.
   * @returns undefined if it has changed in the meantime.
   * @throws what can be different later.
   */
  async function open(given: Entity): Promise<Entity | undefined> {
    const entity = sealedOf(given.id);
    if (!entity || proofOf(entity) !== proofOf(given)) return undefined;
    try {
      const { content, version, reactions } = await openContent(entity);
      places.set(placeOf(entity), entity.id);
      return await withEmojis(entity, openedAs(entity, content, version), reactions);
    } catch (thrown) {
      const error = errorOf(thrown);
      if (isTemporary(error)) throw error;
      const shown = { protection: { error: error.code } satisfies Protection };
      return protectedAs(entity, { proof: proofOf(entity), shown });
    }
  }

  function openContent(entity: Entity) {
    const { signatureKey, certificate, user } = (state.get<Entity>(deviceIdOf(entity)) ?? {}) as Partial<
      Record<string, never>
    >;
    if (!certificate || entity['clientMessageId'] === undefined) throw named('KEY_UNAVAILABLE');
    if (!isFirst(entity)) throw named('TAMPERED');
    const message: SealedMessage = {
      id: entity.id,
      clientMessageId: entity['clientMessageId'] as string | null,
      conversation: { id: entity.conversationId as string },
      sender: partOf(entity['sender']),
      replyTo: partOf(entity['replyTo']),
      editedAt: (entity['editedAt'] ?? null) as string | null,
      encrypted: {
        ...(entity['encrypted'] as SealedMessage['encrypted']),
        device: {
          id: deviceIdOf(entity),
          signatureKey: `${signatureKey}`,
          certificate,
          user: { id: refOf(user) ?? '' },
        },
      },
    };
    return e2ee.conversation(message.conversation.id).open(message);
  }

  /** The reactions to a message, of which the server has possibly returned only a part. */
  async function reactionsTo(entity: Entity): Promise<Reactions> {
    await complete([entity]);
    return (await openContent(sealedOf(entity.id) ?? entity)).reactions;
  }

  const named = (code: string) => Object.assign(new Error(code), { name: 'E2eeError', code });

  function reopen(conversationId?: string, codes = /./, max = Number.POSITIVE_INFINITY): void {
    const again = [...tried.keys()].filter((id) => {
      const entity = sealedOf(id);
      const { shown } = (entity?.['protection'] ?? {}) as Partial<Stored>;
      const { error } = (shown?.['protection'] ?? {}) as { error?: string };
      return error && codes.test(error) && [undefined, entity?.conversationId].includes(conversationId);
    });
    const newest = again
      .sort((one, other) => Number(sealedOf(other)?.['seq']) - Number(sealedOf(one)?.['seq']))
      .slice(0, max);
    for (const id of newest) tried.delete(id);
    scan(newest);
  }

  // ── conversations ──

  /** Conversations of which it was asked whether this device has seen them encrypted. */
  const checked = new Set<string>();

  /** Remembers which conversations are encrypted, also if the store was deleted and the server states something else. */
  async function remember(keys: Iterable<string>): Promise<void> {
    const ids = [...keys].filter((key) => state.get<Entity>(key)?.__typename === 'Conversation' && !checked.has(key));
    for (const id of ids) checked.add(id);
    for (const id of ids.filter((each) => !store.isEncrypted(each))) {
      const isSeen = await e2ee
        .conversation(id)
        .isEncrypted()
        .catch(() => checked.delete(id) && false);
      if (isSeen) void store.commit({ put: [{ id, __typename: 'Conversation', encryption: 'END_TO_END' }] });
    }
  }

  // ── commits ──

  /** The conversations with commits that have not been processed, and whether there are more of them since this began. */
  const committed = new Map<string, boolean>();

  async function synchronize(id: string): Promise<void> {
    const isRunning = committed.has(id);
    committed.set(id, isRunning);
    if (isRunning) return;
    do {
      committed.set(id, false);
      // Sending and opening do the same, so a failure does no harm.
      await e2ee
        .conversation(id)
        .synchronize()
        .catch(() => {});
    } while (committed.get(id) && !isClosed);
    committed.delete(id);
    reopen(id, CURABLE, REOPENED_MAX);
  }

  const onEvents = (name: string, events: never[]) => {
    if (name !== 'messages') return;
    const ids = (events as MessageEvent[]).flatMap(({ commit }) => commit?.conversationId ?? []);
    for (const id of new Set(ids)) void synchronize(id);
  };

  // ── sending ──

  /** The users that a text mentions, as the server would find them. */
  async function mentionsIn(conversationId: string, text: string) {
    const runs = [...text.matchAll(/@([a-z0-9_.-]+)/gi)].map(([, run = '']) => run.toLowerCase());
    const prefixes = new Set(runs.map((run) => run.replace(/[_.-]+$/, '').replace(/[_.-]{2,}.*$/, '')));
    const members = new Map<string, string>();
    const lookUp = async (search: string) => {
      const { conversation } = await request(MembersByNameDocument, { id: conversationId, search });
      for (const { user } of conversation?.members?.nodes ?? []) members.set(user.username, user.id);
    };
    await Promise.all([...prefixes].filter(Boolean).slice(0, NAMES_MAX).map(lookUp));
    const found = new Set<string>();
    const visit = (node: unknown): void => {
      if (Array.isArray(node)) for (const each of node) visit(each);
      else if (typeof node === 'object' && node !== null) {
        const { type, username } = node as { type?: string; username?: string };
        if (type === 'mention' && username) found.add(username.toLowerCase());
        else for (const each of Object.values(node)) visit(each);
      }
    };
    visit(parseText(text, { mentions: [...members.keys()], mentionsEveryone: true }));
    const byName = new Map([...members].map(([username, id]) => [username.toLowerCase(), id]));
    return {
      mentionedIds: [...found].flatMap((username) => byName.get(username) ?? []),
      mentionsEveryone: found.has('everyone'),
    };
  }

  interface Input {
    conversationId?: string;
    clientMessageId?: string;
    messageId?: string;
    text?: string | null;
    replyToId?: string;
  }

  async function sealAndSend(
    ask: Request,
    document: never,
    message: Sent,
    { text: _, ...input }: Input,
  ): Promise<never> {
    const { conversationId, clientMessageId, content, version, reactionKey } = message;
    const conversation = e2ee.conversation(conversationId);
    const { mentionedIds, mentionsEveryone } = await mentionsIn(conversationId, content.text ?? '');
    for (let attempt = 1; ; attempt += 1) {
      const encrypted = await conversation.encrypt(
        clientMessageId,
        { ...content, mentionedIds },
        { version, reactionKey },
      );
      if (version === 1) sent.set(encrypted.content, message);
      for (const oldest of [...sent.keys()].slice(0, -SENT_MAX)) sent.delete(oldest);
      try {
        const data = await ask<never, object>(document, {
          input: { ...input, encrypted: { ...encrypted, mentionsEveryone } },
        });
        await conversation.settled(clientMessageId, version);
        return data;
      } catch (error) {
        const isStale = await conversation.stale(clientMessageId, encrypted, error);
        if (isStale && attempt < ATTEMPTS_MAX) continue;
        if (isStale) throw new ParleyError('UNAVAILABLE', 'The group has changed too often.');
        // The server has stored nothing, so that another content can have the same place.
        if (!isTemporary(toError(error))) await conversation.stale(clientMessageId, encrypted, DISCARD);
        throw error;
      }
    }
  }

  interface Sent {
    conversationId: string;
    clientMessageId: string;
    content: Content;
    version: number;
    reactionKey?: Uint8Array | undefined;
  }

  async function send(ask: Request, document: never, input: Input): Promise<never> {
    const { conversationId = '', clientMessageId = '', text, replyToId } = input;
    const uploads = state.get<OutboxEntry>(`outbox:${clientMessageId}`)?.uploads ?? [];
    const secrets = uploads.flatMap((id) => {
      const { attachmentId, secret } =
        state.get<{ attachmentId?: string; secret?: FileSecret }>(`outbox-upload:${id}`) ?? {};
      return attachmentId && secret ? [[attachmentId, secret] as const] : [];
    });
    const content: Content = {
      ...(text && { text }),
      ...(replyToId && { replyToId }),
      ...(secrets.length > 0 && { attachments: Object.fromEntries(secrets) }),
    };
    return sealAndSend(ask, document, { conversationId, clientMessageId, content, version: 1 }, input);
  }

  async function edit(ask: Request, document: never, input: Input): Promise<never> {
    const { messageId = '', text } = input;
    for (let attempt = 1; ; attempt += 1) {
      await opened(messageId);
      const entity = state.get<Entity>(messageId);
      const { protection } = store.read<{ protection?: Protection }>(messageId) ?? {};
      if (!entity?.conversationId || protection === 'opening') {
        throw new ParleyError('KEY_UNAVAILABLE', 'The message has not been opened.');
      }
      if (typeof protection === 'object') throw new ParleyError(protection.error, 'The message cannot be opened.');
      const { version = 1, content } = (protection ? entity['protection'] : {}) as Stored;
      const replyToId = content?.replyToId ?? refOf(entity['replyTo']);
      const next: Content = {
        ...(text && { text }),
        ...(replyToId && { replyToId }),
        ...(content?.attachments && { attachments: content.attachments }),
      };
      const { conversationId } = entity;
      const clientMessageId = (entity['clientMessageId'] ?? '') as string;
      const reactionKey = protection && (await (await reactionsTo(entity)).key());
      const data = await sealAndSend(
        ask,
        document,
        { conversationId, clientMessageId, content: next, version: version + 1, reactionKey },
        input,
      );
      // The bytes of an earlier attempt can have been sent, whose answer was lost.
      await store.receive(Promise.resolve(data), undefined, conversationId);
      await opened(messageId);
      const { text: shown } = store.read<{ text: string | null }>(messageId) ?? {};
      if ((shown ?? '') === (text ?? '') || attempt > 3) return data;
    }
  }

  function opened(messageId: string): Promise<void> {
    return new Promise((resolve) => {
      const check = () => {
        const message = store.read<{ protection?: Protection }>(messageId);
        if (message?.protection === 'opening' && !isClosed) return;
        stop();
        clearTimeout(timer);
        resolve();
      };
      const stop = state.onChange(check);
      const timer = setTimeout(() => {
        stop();
        resolve();
      }, NOTIFY_DELAY);
      check();
    });
  }

  const sealing: Sealing = {
    async request(ask, document, { input }) {
      try {
        const given = input as Input;
        return await (given.messageId === undefined ? send : edit)(ask, document as never, given);
      } catch (thrown) {
        throw errorOf(thrown);
      }
    },
    opened,
    async load(ids) {
      const missing = ids.filter((id) => state.get<Entity>(id)?.['clientMessageId'] === undefined);
      if (missing.length > 0) await store.receive(request(MessagesToOpenDocument, { ids: missing }));
      await Promise.all(ids.map(opened));
    },
    async emojis(messageId, emoji, isAdded) {
      try {
        if (state.get<Entity>(messageId)?.['encrypted'] === undefined) {
          await store.receive(request(MessagesToOpenDocument, { ids: [messageId] }));
        }
        const entity = sealedOf(messageId);
        if (!entity) return [emoji];
        const { seal, open: openEmoji } = await reactionsTo(entity);
        const sealed = await seal(emoji);
        const shown = await openEmoji(sealed);
        const current = sealedOf(messageId);
        const protection = current?.['protection'] as Stored | undefined;
        if (current && protection?.content && protection.proof === proofOf(entity)) {
          // The answer of the server is then shown without a delay.
          save([protectedAs(current, { ...protection, emojis: { ...protection.emojis, [sealed]: shown } })]);
        }
        // Reactions from before the message was encrypted, whose spelling can be another one.
        const earlier = ((entity['viewerReactions'] ?? []) as string[]).filter((each) => !isSealedEmoji(each));
        const equal = await Promise.all(earlier.map(async (each) => (await seal(each)) === sealed));
        const plain = earlier.filter((_, index) => equal[index]);
        if (isAdded) return plain.length > 0 ? [] : [sealed];
        return [...plain, sealed];
      } catch (thrown) {
        throw errorOf(thrown);
      }
    },
    encryptFile(file, about) {
      if (!files) throw new ParleyError('UNSUPPORTED', 'Files cannot be encrypted here.');
      return files.encryptAttachment(file, about);
    },
  };

  /** Entries that were sent as texts before this device knew of the encryption are sent again. */
  function retryRefused(keys: Iterable<string>): void {
    for (const key of keys) {
      const { conversationId, error, ...entry } =
        (key.startsWith('outbox:') && state.get<OutboxEntry>(key)) || ({} as OutboxEntry);
      if (error?.reason !== 'ENCRYPTED') continue;
      const put = [{ id: conversationId, __typename: 'Conversation', encryption: 'END_TO_END' }];
      void store.commit({ put, set: { [key]: { ...entry, conversationId, error: undefined } } });
    }
  }

  // ── files ──

  async function file(
    attachment: Attachment,
    { signal, onProgress }: { signal?: AbortSignal; onProgress?: (receivedBytes: number) => void } = {},
  ): Promise<Blob> {
    const { secret } = attachment;
    const address = mediaOf(parley).attachmentUrl(attachment);
    if (!files || !secret || !address) throw new ParleyError('NOT_FOUND', 'The file cannot be opened.');
    try {
      const response = await fetch(new URL(address, url), { signal: signal ?? null });
      if (!response.ok || !response.body) throw new ParleyError('NETWORK', `The HTTP status is ${response.status}.`);
      let received = 0;
      const counter = new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          received += chunk.length;
          onProgress?.(received);
          controller.enqueue(chunk);
        },
      });
      const blob = await new Response(response.body.pipeThrough(counter)).blob();
      return await files.decryptAttachment(blob, secret);
    } catch (thrown) {
      if (signal?.aborted) throw thrown;
      throw errorOf(thrown);
    }
  }

  function close(): void {
    if (isClosed) return;
    isClosed = true;
    for (const stop of stops) stop();
    const index = sync.listeners.indexOf(onEvents);
    if (index >= 0) sync.listeners.splice(index, 1);
    if (state.get('~sealing') === sealing) state.set('~sealing', undefined);
  }

  const user = state.get('me');
  stops.push(
    state.onChange((changed) => {
      // The keys belong to the user for whom they were opened.
      if (changed.has('me') && user !== undefined && state.get('me') !== user) return close();
      retryRefused(changed);
      void remember(changed);

      scan(changed);
    }),
    onLive(state, () => reopen(undefined, CURABLE, REOPENED_MAX)),
  );
  sync.listeners.push(onEvents);
  state.set('~sealing', sealing);
  // The outbox looks at them again.
  for (const entry of outbox.entries()) {
    const key = `outbox:${entry.clientMessageId}`;
    if (store.isEncrypted(entry.conversationId)) void store.commit({ set: { [key]: { ...entry } } });
  }
  retryRefused([...state.keys()]);
  void remember([...state.keys()]);

  scan([...state.keys()]);
  return { reopen: (conversationId) => reopen(conversationId), file, close };
}
