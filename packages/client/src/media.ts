import { onLive } from './connection.js';
import { contextOf, once } from './context.js';
import type { Attachment, Message } from './conversation.js';
import { ParleyError, toError } from './errors.js';
import { createFiles } from './files.js';
import {
  CancelUploadDocument,
  ConversationAttachmentsDocument,
  MediaTokenDocument,
  OneAttachmentDocument,
} from './generated/media.js';
import type { AttachmentKind, ConversationAttachmentsQuery } from './generated/types.js';
import type { LocationRemoval } from './location.js';
import { newId, type OutboxEntry } from './outbox.js';
import type { Parley } from './parley.js';
import { pause } from './pause.js';
import { type FileSecret, sealingOf } from './sealing.js';
import type { Readable } from './state.js';
import { type Entity, noStorage } from './storage.js';
import { uploadFile } from './upload.js';

export type { Attachment } from './conversation.js';
export type { AttachmentKind } from './generated/types.js';
export { type LocationRemoval, withoutLocation } from './location.js';
export { type UploadOptions, uploadFile } from './upload.js';

/** The properties of a file in addition to its content. */
export interface FileDetails {
  /** The kind as which it is sent. The default depends on the type of the file: see `kindOf`. */
  kind?: AttachmentKind;
  /** The default is the name of a `File`. */
  filename?: string;
  /** A description for people who cannot see the image. */
  altText?: string;
  /**
   * To display it while it is being uploaded: its size in pixels, its length, and the loudness of a recording. With 64 peaks from 0
   * to 100, others see the loudness as well if the server cannot decode the recording.
   */
  width?: number;
  height?: number;
  durationMs?: number;
  waveform?: readonly number[];
  /** Whether coordinates were found in a photo that is sent as a `FILE`, and removed: see `withoutLocation`. */
  location?: LocationRemoval['location'];
}

/** A file on its way to the server. */
export interface PendingUpload extends FileDetails {
  id: string;
  conversationId: string;
  kind: AttachmentKind;
  filename: string;
  contentType: string;
  byteSize: number;
  /**
   * - `uploading`: it is being uploaded, or waits for the connection or for other files.
   * - `paused`: until `resume` is called.
   * - `failed`: because of `error`, until `resume` is called.
   * - `uploaded`: the server has received it.
   */
  state: 'uploading' | 'paused' | 'failed' | 'uploaded';
  error?: { code: string; message: string; field?: string | undefined; limit?: string | undefined } | undefined;
  /** How many bytes have been sent. */
  sentBytes: number;
  /** The message in the outbox to which it belongs. Without one, it belongs to the draft of the conversation. */
  clientMessageId?: string | undefined;
}

/** How an upload is stored. */
interface Stored extends Omit<PendingUpload, 'sentBytes'> {
  /** The key of the upload on the server. Another content or kind needs another one. */
  key: string;
  order: number;
  sha256: string | undefined;
  /** With what it is decrypted, in encrypted conversations. */
  secret?: FileSecret | undefined;
  attachmentId?: string | undefined;
  /** When the server deletes it, unless a message contains it. */
  expiresAt?: string | undefined;
}

/** An attachment of a conversation, and the message that contains it. */
export interface ConversationAttachment {
  attachment: Attachment;
  message: { id: string; seq: number; createdAt: string; sender: Edge['message']['sender'] };
}
type Edge = NonNullable<NonNullable<ConversationAttachmentsQuery['conversation']>['attachments']>['edges'][number];

export interface AttachmentPage {
  items: readonly ConversationAttachment[];
  /** The cursor for the next page; undefined if this is the last one. */
  after: string | undefined;
}

/** Files: those that are being sent, and those of messages. */
export interface Media {
  /** The files of the draft of a conversation, in order. They remain on this device, also after a page reload. */
  draft(conversationId: string): Readable<readonly PendingUpload[]>;
  /** The files of a message in the outbox, in order. */
  ofMessage(clientMessageId: string): Readable<readonly PendingUpload[]>;
  /** A file on its way; undefined when a message of the server contains it, or when it was removed. */
  upload(id: string): Readable<PendingUpload | undefined>;
  /** The content of a file on its way. */
  file(id: string): Promise<Blob | undefined>;
  /** The content of an attachment that was uploaded by this page, to show it until the server has processed it. */
  ownFile(attachmentId: string): Blob | undefined;
  /** Adds a file to the draft of a conversation, and begins to upload it. Resolves with its id when it is stored here. */
  add(conversationId: string, file: Blob, details?: FileDetails): Promise<string>;
  /**
   * Changes the description or the kind of a file of a draft. With another kind it is uploaded again, because the server
   * processes it differently.
   */
  update(id: string, change: Pick<FileDetails, 'altText' | 'kind'>): Promise<void>;
  pause(id: string): Promise<void>;
  /** Continues after a pause or a failure. */
  resume(id: string): Promise<void>;
  /** Removes a file, and cancels its upload. */
  remove(id: string): Promise<void>;
  /**
   * Sends a message with the files of the draft. It is sent when all of them have been uploaded, also after a page reload. Later
   * messages do not wait for it. Resolves with its key, like `send` of a conversation.
   */
  send(conversationId: string, text?: string, options?: { replyToId?: string | undefined }): Promise<string>;
  /** The token of `attachmentUrl`; undefined until it is known. It is renewed every twelve hours. */
  readonly token: Readable<string | undefined>;
  /**
   * The URL of an attachment, or of a variant of it, for `<img>`, `<video>`, `<audio>` and `<a>`. Undefined if it cannot be
   * opened: it is not READY or has no such variant, or the `token` is not known yet.
   */
  attachmentUrl(attachment: Attachment, variant?: 'preview' | 'thumbnail' | 'poster'): string | undefined;
  /**
   * A page of the attachments of a conversation, newest first. On the server, those of encrypted messages have the kind `FILE`:
   * ask for it as well, and look at the `kind` of the result.
   */
  attachments(
    conversationId: string,
    options?: { kind?: AttachmentKind; first?: number; after?: string | undefined },
  ): Promise<AttachmentPage>;
  /**
   * Calls the listener when files of a conversation were sent, processed or deleted: load the pages again then. It can also be
   * called without such a change. Returns a function that ends this.
   */
  onAttachmentsChanged(conversationId: string, listener: () => void): () => void;
}

/** How many files are uploaded at the same time. */
const AT_ONCE = 2;
/** Up to this size, the hash of a file is sent as well. Browsers can only compute it of a file in memory. */
const HASHED_MAX_BYTES = 8 * 1_024 * 1_024;
/** When another token is fetched, in milliseconds. It is accepted for at least 24 hours. */
const TOKEN_AGE_MAX = 12 * 3_600_000;
const TOKEN_CHECKED_EVERY = 600_000;
/** How long before it is deleted an upload is replaced by another one, in milliseconds. */
const EXPIRY_MARGIN = 5 * 60_000;
/** The interval at which the client checks whether a file of a draft was rejected, in milliseconds. */
const CHECKED_AFTER = [1_000, 3_000, 10_000, 30_000];
/** Stored files that belong to no upload are removed after this time, in milliseconds. */
const ORPHAN_AGE = 3_600_000;
/** How many own files are kept in memory to show them. */
const OWN_FILES_MAX = 50;
const PAGE = 30;
/** The number of peaks of a waveform that the server accepts. */
const PEAKS = 64;

/** The prefix of the keys of uploads. What begins with `outbox` survives a new snapshot. */
const UPLOAD = 'outbox-upload:';
const TOKEN = 'mediaToken';
const LIST = '~uploads';

const kinds: readonly [AttachmentKind, RegExp][] = [
  ['IMAGE', /^image\/(jpeg|png|webp|gif|avif)$/],
  ['VIDEO', /^video\/(mp4|quicktime|webm|x-matroska)$/],
  ['AUDIO', /^audio\/(mpeg|mp3|mp4|x-m4a|ogg|webm|wav|x-wav)$/],
];

/** The kind as which a file is sent, according to its type: `FILE` if the server cannot show it. */
export function kindOf({ type }: Pick<Blob, 'type'>): AttachmentKind {
  const [essence = ''] = type.split(';');
  return kinds.find(([, pattern]) => pattern.test(essence))?.[0] ?? 'FILE';
}

/** The result; undefined if it fails. */
const quietly = <T>(promise: Promise<T> | undefined): Promise<T | undefined> | undefined =>
  promise?.catch(() => undefined);

/** Whether two states of an upload send the same file with the same description. */
const isSame = (one: Stored, other: Stored) => one.key === other.key && one.altText === other.altText;

const describe = ({ code, message, field, limit }: ParleyError) => ({ code, message, field, limit });

/**
 * The files of a client; calls with the same client return the same object. Call it right after `createParley`, or at the
 * latest when a file is to be sent or shown: uploads and messages with files wait until the tab that synchronizes has done so.
 */
export const mediaOf: (parley: Parley) => Media = once((parley): Media => {
  const { store, session, request, outbox, url, isLeader } = contextOf(parley);
  const { state } = store;
  /** The uploads that are running in this tab, by their ids, as they were at the beginning. */
  const running = new Map<string, { begun: Stored; abort: AbortController; isPlain: boolean }>();
  const files = new Map<string, Blob>();
  const ownFiles = new Map<string, Blob>();
  /** The encrypted files, by the keys of their uploads. */
  const sealedFiles = new Map<string, Blob>();
  let isLeading = false;
  const database = createFiles(`parley:${url}`);
  /** Undefined if the client keeps nothing on this device. */
  const stored = () => (store.storage === noStorage ? undefined : database);

  const get = (id: string) => state.get<Stored>(`${UPLOAD}${id}`);
  const set = (id: string, upload: Stored | undefined) => ({ [`${UPLOAD}${id}`]: upload });
  const all = () =>
    (state.get<readonly string[]>(LIST) ?? [])
      .flatMap((id) => get(id) ?? [])
      .sort((one, other) => one.order - other.order);

  /** Changes an upload, unless it is not the one that was `begun` any more. */
  async function save(id: string, change: Partial<Stored>, begun?: Stored): Promise<void> {
    const upload = get(id);
    if (upload && (!begun || isSame(upload, begun))) await store.commit({ set: set(id, { ...upload, ...change }) });
  }

  // ── the list of uploads ──

  const ids = new Set<string>();
  function collect(keys: Iterable<string>): void {
    let isChanged = false;
    for (const key of keys) {
      if (!key.startsWith(UPLOAD)) continue;
      const id = key.slice(UPLOAD.length);
      const upload = get(id);
      if (upload) {
        ids.add(id);
        keepOwn(upload.attachmentId, files.get(id));
      } else {
        ids.delete(id);
        forget(id);
      }
      isChanged = true;
    }
    if (isChanged) state.set(LIST, [...ids]);
  }

  function keepOwn(attachmentId: string | undefined, file: Blob | undefined): void {
    if (!attachmentId || !file) return;
    ownFiles.set(attachmentId, file);
    for (const oldest of [...ownFiles.keys()].slice(0, -OWN_FILES_MAX)) ownFiles.delete(oldest);
  }

  /** Whether a file has to be encrypted before it is uploaded. */
  const isUnsealed = ({ conversationId, secret }: Stored) => store.isEncrypted(conversationId) && !secret;

  function forget(id: string): void {
    files.delete(id);
    if (sealedFiles.size > 0) {
      const kept = new Set(all().map(({ key }) => key));
      for (const key of sealedFiles.keys()) if (!kept.has(key)) sealedFiles.delete(key);
    }
    state.set(`~file:${id}`, undefined);
    void quietly(stored()?.delete(id));
  }

  async function fileOf(id: string): Promise<Blob | undefined> {
    const here = files.get(id) ?? state.get<Blob>(`~file:${id}`);
    if (here) return here;
    const found = await quietly(stored()?.get(id));
    if (found) files.set(id, found);
    return found;
  }

  // ── uploading, in the tab that synchronizes ──

  function work(): void {
    for (const [id, { begun, abort, isPlain }] of running) {
      const upload = get(id);
      const isCurrent = upload && isSame(upload, begun) && upload.state === 'uploading';
      // The conversation can have been encrypted in the meantime.
      if (!isCurrent || (isPlain && isUnsealed(upload))) abort.abort();
    }
    for (const upload of all()) {
      const { id, clientMessageId } = upload;
      // The message is on the server, or was discarded.
      if (clientMessageId !== undefined && !state.get(`outbox:${clientMessageId}`)) void discard(upload);
      else if (store.isEncrypted(upload.conversationId) && !sealingOf(state)) continue;
      else if (upload.state === 'uploading' && !running.has(id) && running.size < AT_ONCE) void run(upload);
    }
    for (const entry of outbox.entries()) if (entry.uploads) settle(entry, entry.uploads);
  }

  async function run(begun: Stored): Promise<void> {
    const { id, key, conversationId } = begun;
    const abort = new AbortController();
    const isEncrypted = store.isEncrypted(conversationId);
    running.set(id, { begun, abort, isPlain: !isEncrypted });
    const { signal } = abort;
    try {
      const file = await fileOf(id);
      if (!file) throw new ParleyError('FILE_UNREADABLE', 'The file is not on this device any more.');
      const sealed = sealedFiles.get(key);
      if (isEncrypted && !(sealed && begun.secret)) {
        await seal(begun, file);
        return;
      }
      const attachment = await uploadFile({
        ...(isEncrypted && sealed
          ? { file: sealed, kind: 'FILE', filename: 'file' }
          : { file, ...describeFile(begun) }),
        ...{ request, url, signal, clientUploadId: key },
        failuresMax: Number.POSITIVE_INFINITY,
        onCreated(attachmentId, expiresAt) {
          if (get(id)?.key === key) void save(id, { attachmentId, expiresAt }, begun);
          // It was removed in the meantime.
          else cancel(attachmentId);
        },
        onProgress: (sentBytes) => store.share({ [`~sent:${id}`]: sentBytes }),
      });
      await save(id, { state: 'uploaded', attachmentId: attachment.id }, begun);
      void check(id, key);
    } catch (thrown) {
      if (!signal.aborted) await fail(id, key, toError(thrown));
    } finally {
      running.delete(id);
      if (isLeading) work();
    }
  }

  /** What the server receives about a file that is not encrypted. */
  function describeFile({ kind, filename, altText, sha256, waveform }: Stored) {
    // Another number of peaks is for the display on this device only.
    return { kind, filename, altText, sha256, waveform: waveform?.length === PEAKS ? waveform : undefined };
  }

  /** Encrypts a file, and begins to upload the result, which has a key of its own because its bytes are others. */
  async function seal(begun: Stored, file: Blob): Promise<void> {
    const { kind, filename, altText, width, height, durationMs, waveform, contentType } = begun;
    const about = { kind, name: filename, mimeType: contentType, altText, width, height, durationMs, waveform };
    const { blob, secret } = await (sealingOf(state)?.encryptFile(file, about) ??
      Promise.reject(new ParleyError('UNAVAILABLE', 'The conversation is encrypted.')));
    const key = newId();
    sealedFiles.set(key, blob);
    await save(begun.id, { key, secret, attachmentId: undefined, expiresAt: undefined }, begun);
  }

  async function fail(id: string, key: string, error: ParleyError): Promise<void> {
    const upload = get(id);
    if (upload?.key !== key) return;
    const change = set(id, { ...upload, state: 'failed', error: describe(error) });
    const entryKey = `outbox:${upload.clientMessageId}`;
    const entry = state.get<OutboxEntry>(entryKey);
    await store.commit({ set: { ...change, ...(entry && { [entryKey]: { ...entry, error: describe(error) } }) } });
  }

  /** Looks up whether a file of a draft was rejected: there are no events of attachments without a message. */
  async function check(id: string, key: string): Promise<void> {
    for (const delay of CHECKED_AFTER) {
      await pause(delay);
      const upload = get(id);
      if (!isLeading || upload?.key !== key || upload.clientMessageId !== undefined || !upload.attachmentId) return;
      const found = await quietly(request(OneAttachmentDocument, { id: upload.attachmentId }));
      const { state: outcome } = (found?.node ?? {}) as Partial<Attachment>;
      if (!isLeading) return;
      if (outcome === 'REJECTED') await fail(id, key, new ParleyError(outcome, 'The server has rejected this file.'));
      if (outcome !== 'PROCESSING') return;
    }
  }

  /** Lets a message be sent whose uploads are complete. */
  function settle(entry: OutboxEntry, uploadIds: readonly string[]): void {
    const entryKey = `outbox:${entry.clientMessageId}`;
    const uploads = uploadIds.map(get);
    const known = uploads.flatMap((upload) => upload ?? []);
    const changes: Record<string, unknown> = {};
    const { error, attachmentIds } = entry;
    if (error) {
      if (!attachmentIds || !error.field?.startsWith('input.attachmentIds')) return;
      // The server does not have them any more, for example: `retry` uploads them again.
      for (const each of known) Object.assign(changes, set(each.id, { ...renewed(each), state: 'failed', error }));
      changes[entryKey] = { ...entry, attachmentIds: undefined };
    } else if (!attachmentIds) {
      if (known.length < uploads.length) {
        const missing = new ParleyError('FILE_UNREADABLE', 'A file is not on this device any more.');
        changes[entryKey] = { ...entry, error: describe(missing) };
      }
      const again = known.filter(
        (each) => each.state === 'failed' || (each.state === 'uploaded' && (isExpired(each) || isUnsealed(each))),
      );
      for (const each of again) {
        if (each.attachmentId && isUnsealed(each)) cancel(each.attachmentId);
        const next =
          each.state === 'failed' ? { ...each, state: 'uploading' as const, error: undefined } : renewed(each);
        Object.assign(changes, set(each.id, next));
      }
      const isComplete = known.length === uploads.length && again.length === 0;
      if (isComplete && known.every((each) => each.state === 'uploaded')) {
        changes[entryKey] = { ...entry, attachmentIds: known.map(({ attachmentId }) => attachmentId) };
      }
    }
    if (Object.keys(changes).length > 0) void store.commit({ set: changes });
  }

  const isExpired = ({ expiresAt = '' }: Stored) => Date.parse(expiresAt) - EXPIRY_MARGIN < Date.now();
  /** An upload that begins again. */
  const renewed = (upload: Stored): Stored => ({
    ...upload,
    ...{ key: newId(), secret: undefined, state: 'uploading', error: undefined },
    ...{ attachmentId: undefined, expiresAt: undefined },
  });

  /** Removes an upload whose message is not in the outbox any more, and cancels it if it was not sent. */
  async function discard({ id, attachmentId, state: reached }: Stored): Promise<void> {
    await store.commit({ set: set(id, undefined) });
    if (attachmentId && reached !== 'uploaded') cancel(attachmentId);
  }

  /** Without a connection, the server deletes it after some time. */
  function cancel(attachmentId: string): void {
    void quietly(request(CancelUploadDocument, { input: { attachmentId } }));
  }

  async function removeOrphans(): Promise<void> {
    for (const key of (await quietly(stored()?.ids())) ?? []) {
      const isOld = Number.parseInt(key, 36) < Date.now() - ORPHAN_AGE;
      if (isOld && !get(key)) forget(key);
    }
  }

  // ── the token ──

  const known = () => state.get<{ token: string; at: number; session: string }>(TOKEN);
  let tokenTimer: ReturnType<typeof setInterval> | undefined;
  let isFetching = false;
  /** A token is valid in its session only. */
  const currentSession = () => sessionOf(session.accessToken());

  /** Fetches a token if there is none for this session or if it is old. Other tabs receive it. */
  async function renewToken(): Promise<void> {
    const current = currentSession();
    const last = known();
    const isKnown = last?.session === current && Date.now() - last.at < TOKEN_AGE_MAX;
    if (!isLeading || isFetching || isKnown) return;
    isFetching = true;
    try {
      const { viewer } = await request(MediaTokenDocument, {});
      const value = viewer && { token: viewer.mediaToken, at: Date.now(), session: current };
      if (value) await store.commit({ set: { [TOKEN]: value } });
    } catch {
      // It is fetched when the connection is live again, or with the next check.
    } finally {
      isFetching = false;
    }
  }

  const token = state.derive(() => (known()?.session === currentSession() ? known()?.token : undefined));

  // ── which tab does this ──

  function begin(): void {
    void removeOrphans();
    void renewToken();
    tokenTimer = setInterval(() => void renewToken(), TOKEN_CHECKED_EVERY);
    for (const { id, key, state: reached } of all()) if (reached === 'uploaded') void check(id, key);
    work();
  }

  function end(): void {
    clearInterval(tokenTimer);
    for (const { abort } of running.values()) abort.abort();
    database.close();
  }

  function onChange(changed: ReadonlySet<string>): void {
    collect(changed);
    const isNext = isLeader() && session.accessToken() !== undefined;
    if (isNext !== isLeading) {
      isLeading = isNext;
      if (isNext) begin();
      else end();
    } else if (isLeading && [...changed].some((key) => /^(outbox|~sealing)/.test(key))) work();
    if (['session', '~session', TOKEN].some((key) => changed.has(key))) void renewToken();
  }

  collect([...state.keys()]);
  onChange(new Set());
  state.onChange(onChange);
  onLive(state, () => void renewToken());

  // ── what others use ──

  const lists = new Map<string, Readable<readonly PendingUpload[]>>();
  const uploads = new Map<string, Readable<PendingUpload | undefined>>();

  function upload(id: string): Readable<PendingUpload | undefined> {
    let readable = uploads.get(id);
    if (!readable) {
      readable = state.derive(() => {
        const found = get(id);
        if (!found) return undefined;
        const { key: _key, order: _order, sha256: _hash, ...known } = found;
        const { secret: _secret, attachmentId: _id, expiresAt: _at, ...rest } = known;
        const sentBytes = rest.state === 'uploaded' ? rest.byteSize : (state.get<number>(`~sent:${id}`) ?? 0);
        return { ...rest, sentBytes };
      });
      uploads.set(id, readable);
    }
    return readable;
  }

  function listOf(name: string, isIn: (upload: Stored) => boolean): Readable<readonly PendingUpload[]> {
    let readable = lists.get(name);
    if (!readable) {
      let last: readonly PendingUpload[] = [];
      readable = state.derive(() => {
        const next = all()
          .filter(isIn)
          .flatMap(({ id }) => upload(id).value ?? []);
        if (next.length !== last.length || next.some((each, index) => each !== last[index])) last = next;
        return last;
      });
      lists.set(name, readable);
    }
    return readable;
  }

  /** The messages whose attachments have been listed. */
  const listed = new Set<string>();

  /** The files of a message and their states, as a text that can be compared. */
  function describeFiles(message: Entity | undefined): string {
    const attachments = (message?.['attachments'] ?? []) as Attachment[];
    return attachments.map((each) => `${each.id} ${each.state}`).join();
  }

  return {
    draft: (id) => listOf(`draft:${id}`, (each) => each.conversationId === id && each.clientMessageId === undefined),
    ofMessage: (id) => listOf(`message:${id}`, (each) => each.clientMessageId === id),
    upload,
    file: fileOf,
    ownFile: (attachmentId) => ownFiles.get(attachmentId),
    async add(conversationId, file, details = {}) {
      const id = `${Date.now().toString(36)}-${newId()}`;
      const filename = details.filename ?? ((file as Partial<File>).name || 'file');
      files.set(id, file);
      try {
        await stored()?.put(id, file);
      } catch {
        // The disk is full: the file can be uploaded as long as this page is open.
        store.share({ [`~file:${id}`]: file });
      }
      const last = all().at(-1)?.order ?? 0;
      const added: Stored = {
        ...details,
        ...{ id, conversationId, filename, state: 'uploading', key: newId() },
        kind: details.kind ?? kindOf(file),
        contentType: file.type,
        byteSize: file.size,
        order: Math.max(Date.now(), last + 1),
        sha256: await hashOf(file),
      };
      await store.commit({ set: set(id, added) });
      return id;
    },
    async update(id, change) {
      const found = get(id);
      if (!found || found.clientMessageId !== undefined) return;
      const isKept = (change.kind ?? found.kind) === found.kind && found.error === undefined;
      if (isKept) {
        // The upload continues, or begins and ends without sending anything.
        const reached = found.state === 'paused' ? 'paused' : 'uploading';
        const secret = found.secret && { ...found.secret, ...change };
        await save(id, { ...change, secret, state: reached });
        return;
      }
      await store.commit({ set: set(id, { ...renewed(found), ...change }) });
      if (found.attachmentId) cancel(found.attachmentId);
    },
    async pause(id) {
      if (get(id)?.state === 'uploading') await save(id, { state: 'paused' });
    },
    async resume(id) {
      const { state: reached, clientMessageId } = get(id) ?? {};
      if (reached !== 'paused' && reached !== 'failed') return;
      await save(id, { state: 'uploading', error: undefined });
      if (clientMessageId !== undefined) await outbox.retry(clientMessageId);
    },
    async remove(id) {
      const found = get(id);
      if (!found) return;
      const entryKey = `outbox:${found.clientMessageId}`;
      const entry = state.get<OutboxEntry>(entryKey);
      const changes = set(id, undefined) as Record<string, unknown>;
      if (entry) {
        const rest = entry.uploads?.filter((each) => each !== id) ?? [];
        const isEmpty = rest.length === 0 && entry.text === '';
        // Without an error, the message is sent when the others are complete.
        const next = {
          ...entry,
          error: undefined,
          uploads: rest.length > 0 ? rest : undefined,
          attachmentIds: undefined,
        };
        changes[entryKey] = isEmpty ? undefined : next;
      }
      await store.commit({ set: changes });
      if (found.attachmentId) cancel(found.attachmentId);
    },
    send(conversationId, text = '', { replyToId } = {}) {
      const found = all().filter((each) => each.conversationId === conversationId && !each.clientMessageId);
      const content = {
        conversationId,
        text,
        replyToId,
        ...(found.length > 0 && { uploads: found.map(({ id }) => id) }),
      };
      const clientMessageId = newId();
      const changes = found.map((each) => {
        const more = each.state === 'uploaded' ? {} : ({ state: 'uploading', error: undefined } as const);
        return set(each.id, { ...each, ...more, clientMessageId });
      });
      return outbox.add(content, Object.assign({}, ...changes), clientMessageId);
    },
    token,
    attachmentUrl({ state: reached, path, variants }, variant) {
      const found = variant === undefined ? path : variants.find(({ name }) => name === variant)?.path;
      const current = token.value;
      if (reached !== 'READY' || found === undefined || current === undefined) return undefined;
      const opened = new URL(found, url);
      opened.searchParams.set('t', current);
      return opened.href;
    },
    async attachments(id, { kind, first = PAGE, after } = {}) {
      const { conversation } = await request(ConversationAttachmentsDocument, { id, kind, first, after });
      const { edges = [], pageInfo } = conversation?.attachments ?? {};
      for (const { message } of edges) listed.add(message.id);
      if (store.isEncrypted(id) && edges.length > 0) {
        await quietly(sealingOf(state)?.load([...new Set(edges.map(({ message }) => message.id))]));
      }
      return {
        items: edges.flatMap(({ node, message: { id: messageId, seq, createdAt, sender } }) => {
          const message = store.read<Message>(messageId);
          const opened = message?.attachments?.find((each) => each.id === node.id && each.secret !== undefined);
          // Without its content, nothing is known about a file of an encrypted message.
          if (message?.protection !== undefined && !opened) return [];
          const { state: reached, path } = node;
          const attachment: Attachment = opened ? { ...opened, state: reached, path } : node;
          return { attachment, message: { id: messageId, seq, createdAt, sender } };
        }),
        after: pageInfo?.hasNextPage ? (pageInfo.endCursor ?? undefined) : undefined,
      };
    },
    onAttachmentsChanged(id, listener) {
      const known = new Map<string, string>();
      return state.onChange((changed) => {
        let isChanged = false;
        for (const key of changed) {
          const entity = state.get<Entity>(key);
          const isHere = entity?.__typename === 'Message' && entity.conversationId === id;
          if (!isHere && (entity || !listed.has(key))) continue;
          const before = known.get(key) ?? (listed.has(key) ? undefined : '');
          const after = describeFiles(entity);
          known.set(key, after);
          isChanged ||= after !== before;
        }
        if (isChanged) listener();
      });
    },
  };
});

/** The hash of a small file; undefined on pages that are not a secure context. */
async function hashOf(file: Blob): Promise<string | undefined> {
  if (file.size > HASHED_MAX_BYTES || !globalThis.crypto?.subtle) return undefined;
  try {
    const hash = await crypto.subtle.digest('SHA-256', await file.arrayBuffer());
    return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  } catch {
    // The file cannot be read, which the upload reports.
    return undefined;
  }
}

/** Identifies the session of an access token, if the token contains it. */
function sessionOf(accessToken: string | undefined): string {
  try {
    const [, claims = ''] = (accessToken ?? '').split('.');
    const { sid, sub } = JSON.parse(atob(claims.replace(/-/g, '+').replace(/_/g, '/')));
    return `${sid ?? sub}`;
  } catch {
    return '';
  }
}
