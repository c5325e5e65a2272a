import { ChatError, notFound } from '../../core/errors.js';
import {
  type DirectUploads,
  type MediaStore,
  type Part,
  type ReceivedPart,
  WrongParts,
} from '../../infra/media/store.js';
import type { Deps } from '../../platform/deps.js';
import type { Viewer } from '../../platform/viewer.js';
import type { Attachment } from './media.store.js';
import { partsMissing, partsOf } from './upload.parts.js';

// Clients send parts to the store themselves, so that only the store can report which ones it has received. No
// transaction is open during such a request.

/** A store whose uploads are direct. */
type DirectStore = MediaStore & { readonly uploads: DirectUploads };

export const isDirect = (store: MediaStore): store is DirectStore => store.uploads.receiver === 'STORE';

/**
 * Begins an upload at the store, or finds out which parts it has not received.
 * @throws {ChatError} UNAVAILABLE; NOT_FOUND if the upload was deleted in the meantime.
 */
export async function resumeDirectUpload(
  deps: Deps,
  store: DirectStore,
  attachment: Attachment,
): Promise<{ attachment: Attachment; missingParts: Part[] }> {
  if (attachment.state !== 'UPLOADING') return { attachment, missingParts: [] };
  const received = await findReceived(store, attachment);
  if (received) return { attachment, missingParts: missingOf(attachment, received) };
  if (await isComplete(store, attachment)) return { attachment, missingParts: [] };
  const begun = await begin(deps, store, attachment);
  return { attachment: begun, missingParts: partsOf(begun) };
}

/**
 * Completes an upload at the store, unless it is complete.
 * @throws {ChatError} NOT_FOUND or CONFLICT with the field `input.attachmentId`; UNAVAILABLE.
 */
export async function completeDirectUpload(
  { database: { db } }: Deps,
  store: DirectStore,
  { userId: uploaderId }: Viewer,
  id: string,
): Promise<void> {
  const find = () => db.attachment.findUnique({ where: { id, uploaderId } });
  const attachment = await find();
  if (!attachment) throw notFound('input.attachmentId', 'Attachment');
  if (attachment.state !== 'UPLOADING') return;
  const received = await findReceived(store, attachment);
  if (received) {
    const missing = missingOf(attachment, received);
    if (missing.length > 0) throw partsMissing(missing);
    try {
      await store.uploads.complete(attachment.storeKey, attachment.storeUploadId ?? '', received);
      if (await find()) return;
      // It was deleted before its object existed.
      await store.deleteAll(attachment.storeKey);
      throw notFound('input.attachmentId', 'Attachment');
    } catch (error) {
      if (!(error instanceof WrongParts)) throw error;
    }
  }
  // An earlier call has completed it, but was interrupted before this was stored.
  if (await isComplete(store, attachment)) return;
  // A simultaneous call has completed it, and it was processed in the meantime.
  if ((await find())?.state === 'UPLOADING') throw partsMissing(partsOf(attachment));
}

const findReceived = (
  { uploads }: DirectStore,
  { storeKey, storeUploadId }: Attachment,
): Promise<ReceivedPart[] | undefined> =>
  storeUploadId === null ? Promise.resolve(undefined) : uploads.received(storeKey, storeUploadId);

function missingOf(attachment: Attachment, received: readonly ReceivedPart[]): Part[] {
  const sizes = new Map(received.map(({ number, byteSize }) => [number, byteSize]));
  return partsOf(attachment).filter(({ number, byteSize }) => sizes.get(number) !== byteSize);
}

const isComplete = async (store: DirectStore, { storeKey, storeUploadId, byteSize }: Attachment): Promise<boolean> =>
  storeUploadId !== null && (await store.size(storeKey, 'upload')) === byteSize;

/** Begins an upload, unless a simultaneous call has begun it. */
async function begin({ database: { db } }: Deps, store: DirectStore, attachment: Attachment): Promise<Attachment> {
  const { id, storeKey, storeUploadId, partBytes } = attachment;
  const begun = await store.uploads.begin(storeKey);
  const { count } = await db.attachment.updateMany({
    where: { id, state: 'UPLOADING', storeUploadId },
    // It can be smaller if the files of this server were stored elsewhere when the upload was created.
    data: { storeUploadId: begun, partBytes: Math.max(partBytes, store.uploads.partBytesMin) },
  });
  const current = await db.attachment.findUnique({ where: { id } });
  if (count > 0 && current) return current;
  await store.uploads.abort(storeKey, begun);
  if (!current) throw new ChatError('NOT_FOUND', 'This upload was deleted in the meantime.');
  return current;
}
