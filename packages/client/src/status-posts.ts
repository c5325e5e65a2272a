import { pauseUntilLive } from './connection.js';
import type { Context } from './context.js';
import { isTemporary, ParleyError, toError } from './errors.js';
import { PostStatusDocument } from './generated/statuses.js';
import type { PostStatusMutation, StatusAudienceInput } from './generated/types.js';
import { type FileDetails, kindOf, type Media, type PendingUpload } from './media.js';
import { newId } from './outbox.js';
import { retryDelay } from './pause.js';
import type { Request } from './request.js';
import type { Readable } from './state.js';

/** What a status shows: a text, an image or a video, or both. */
export interface NewStatus {
  text?: string | undefined;
  /** How the text is to be displayed: a name that clients agree on, such as that of a background. */
  style?: string | undefined;
  /** An image or a video. */
  file?: Blob | undefined;
  fileDetails?: FileDetails | undefined;
  /** Who can see it. The default is the audience that the user has set. */
  audience?: StatusAudienceInput | undefined;
}

/** A status of the user that the server has not confirmed yet. */
export interface PendingStatus {
  clientStatusId: string;
  text: string | undefined;
  style: string | undefined;
  audience: StatusAudienceInput | undefined;
  /** Its file with the progress of its upload. */
  upload: PendingUpload | undefined;
  /** When it was written, on the clock of this device. */
  createdAt: string;
  /** Why the upload or the server has failed. It is kept until `retry` or `discard` is called. */
  error: { code: string; message: string; field?: string | undefined; limit?: string | undefined } | undefined;
  /** Whether `retry` can succeed: not if the server has deleted the status because of its file. */
  canRetry: boolean;
}

/** How a status is stored until the server has confirmed it. */
interface Stored extends Omit<PendingStatus, 'upload' | 'canRetry'> {
  order: number;
  uploadId: string | undefined;
  isRejected?: boolean;
}

/** The prefix of the keys. What begins with `outbox` survives a new snapshot. */
const PREFIX = 'outbox-status:';
const UPLOAD = 'outbox-upload:';

/**
 * The statuses on their way to the server. Like messages, they are stored on this device before the first attempt, and posted
 * with the same key until the server has answered.
 * @param onPosted returns what the result of the server changes.
 */
export function createStatusPosts(
  { store }: Context,
  media: Media,
  request: Request,
  onPosted: (status: NonNullable<PostStatusMutation['postStatus']>['status']) => Record<string, unknown>,
) {
  const { state } = store;
  let currentRun = 0;
  let isRunning = false;
  let isBusy = false;

  const get = (id: string) => state.get<Stored>(`${PREFIX}${id}`);
  const save = (id: string, entry: Stored | undefined) => store.commit({ set: { [`${PREFIX}${id}`]: entry } });
  const uploadOf = ({ uploadId }: Stored) =>
    state.get<PendingUpload & { attachmentId?: string }>(`${UPLOAD}${uploadId}`);

  const ids = new Set<string>();
  function collect(keys: Iterable<string>): void {
    let isChanged = false;
    for (const key of keys) {
      if (!key.startsWith(PREFIX)) continue;
      const id = key.slice(PREFIX.length);
      if (state.get(key)) ids.add(id);
      else ids.delete(id);
      isChanged = true;
    }
    if (isChanged) state.set('~status-posts', [...ids]);
  }
  const all = () =>
    (state.get<readonly string[]>('~status-posts') ?? [])
      .flatMap((id) => get(id) ?? [])
      .sort((one, other) => one.order - other.order);

  collect([...state.keys()]);
  state.onChange((changed) => {
    collect(changed);
    if (isRunning && [...changed].some((key) => key.startsWith(PREFIX) || key.startsWith(UPLOAD))) void work();
  });

  /** Posts what is complete, one after another. */
  async function work(): Promise<void> {
    if (isBusy) return;
    isBusy = true;
    const run = currentRun;
    for (let failures = 0; run === currentRun; ) {
      await settle();
      const next = all().find((each) => !each.error && (!each.uploadId || uploadOf(each)?.state === 'uploaded'));
      if (!next || run !== currentRun) break;
      const failure = await send(next, run);
      failures = failure ? failures + 1 : 0;
      if (failure && run === currentRun) await pauseUntilLive(state, failure.retryAfter ?? retryDelay(failures));
    }
    isBusy = false;
    // It was stopped and started again in between.
    if (isRunning && run !== currentRun) void work();
  }

  /** Lets statuses fail whose files have failed. */
  async function settle(): Promise<void> {
    for (const entry of all()) {
      if (entry.error || entry.uploadId === undefined) continue;
      const upload = uploadOf(entry);
      if (!upload) {
        const error = { code: 'FILE_UNREADABLE', message: 'The file is not on this device any more.' };
        await save(entry.clientStatusId, { ...entry, error, isRejected: true });
      } else if (upload.state === 'failed') await save(entry.clientStatusId, { ...entry, error: upload.error });
    }
  }

  /** Posts a status. Returns the error if it has to be sent again. */
  async function send(entry: Stored, run: number): Promise<ParleyError | undefined> {
    const { clientStatusId, text, style, audience, uploadId } = entry;
    const attachmentId = uploadOf(entry)?.attachmentId;
    try {
      const { postStatus } = await request(PostStatusDocument, {
        input: { clientStatusId, text, style, audience, attachmentId },
      });
      if (!postStatus) throw new ParleyError('INTERNAL_SERVER_ERROR', 'The operation failed.');
      const done = { [`${PREFIX}${clientStatusId}`]: undefined, [`${UPLOAD}${uploadId}`]: undefined };
      await store.commit({ set: { ...done, ...onPosted(postStatus.status) } });
      return undefined;
    } catch (thrown) {
      const error = toError(thrown);
      if (isTemporary(error)) return error;
      const { code, message, field, limit } = error;
      // It may have been discarded in the meantime.
      if (run !== currentRun || !get(clientStatusId)) return undefined;
      const described = { code, message, field, limit };
      const upload = uploadOf(entry);
      // The server does not have the file any more, for example: `retry` uploads it again.
      const isOfFile = upload && field?.startsWith('input.attachmentId');
      const failed = isOfFile ? { [`${UPLOAD}${uploadId}`]: { ...upload, state: 'failed', error: described } } : {};
      await store.commit({ set: { ...failed, [`${PREFIX}${clientStatusId}`]: { ...entry, error: described } } });
      return undefined;
    }
  }

  const pending: Readable<readonly PendingStatus[]> = state.derive(() =>
    all().map(({ order: _order, uploadId, isRejected, ...rest }) => ({
      ...rest,
      upload: uploadId === undefined ? undefined : media.upload(uploadId).value,
      canRetry: !isRejected,
    })),
  );

  return {
    pending,
    async add({ text, style, file, fileDetails, audience }: NewStatus): Promise<string> {
      const clientStatusId = newId();
      const kind = file && (fileDetails?.kind ?? kindOf(file));
      if (kind && kind !== 'IMAGE' && kind !== 'VIDEO') {
        throw new ParleyError('BAD_USER_INPUT', 'A status can show an image or a video.');
      }
      const uploadId = file && (await media.add(`status:${clientStatusId}`, file, fileDetails));
      const order = Math.max(Date.now(), ...all().map((each) => each.order + 1));
      const createdAt = new Date().toISOString();
      const error = undefined;
      await save(clientStatusId, { clientStatusId, text, style, audience, uploadId, createdAt, order, error });
      return clientStatusId;
    },
    async retry(clientStatusId: string): Promise<void> {
      const entry = get(clientStatusId);
      if (!entry?.error || entry.isRejected) return;
      // With another key, because the server may have rejected the file.
      if (entry.uploadId !== undefined && uploadOf(entry)?.state === 'failed') await media.update(entry.uploadId, {});
      await save(clientStatusId, { ...entry, error: undefined });
    },
    async discard(clientStatusId: string): Promise<void> {
      const uploadId = get(clientStatusId)?.uploadId;
      await save(clientStatusId, undefined);
      if (uploadId !== undefined) await media.remove(uploadId);
    },
    /** Keeps a status that the server has deleted because of its file, so that the user can be shown the reason. */
    async reject(id: string, { text, style, createdAt }: Pick<Stored, 'text' | 'style' | 'createdAt'>): Promise<void> {
      const error = { code: 'REJECTED', message: 'The server has rejected this file.' };
      const rest = { audience: undefined, uploadId: undefined, order: Date.parse(createdAt), isRejected: true };
      await save(id, { clientStatusId: id, text, style, createdAt, error, ...rest });
    },
    /** Posts what is waiting, and what is added later. Of all tabs, only the leader does it. */
    start(): void {
      isRunning = true;
      void work();
    },
    stop(): void {
      isRunning = false;
      currentRun += 1;
    },
  };
}
