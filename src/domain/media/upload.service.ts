import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { ChatError, limitReached, notFound } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import type { Tx } from '../../infra/database/database.js';
import { announceAfterCommit, defineAnnouncement } from '../../infra/database/unit-of-work.js';
import type { Part } from '../../infra/media/store.js';
import type { Deps } from '../../platform/deps.js';
import { checkInput, hashInput } from '../../platform/input.js';
import { definePersonRate, take } from '../../platform/rates.js';
import type { Viewer } from '../../platform/viewer.js';
import { clientKey, longText, name } from '../user/user.input.js';
import { lockCounts } from '../user/user.store.js';
import { completeDirectUpload, isDirect, resumeDirectUpload } from './direct-uploads.js';
import { requireMedia } from './media.files.js';
import { type Attachment, type AttachmentKind, readUsage } from './media.store.js';
import { partBytesOf, partsMissing, partsOf, restOf } from './upload.parts.js';

const uploadsPerPerson = definePersonRate(
  'You are uploading files too quickly. Try again in a moment.',
  ({ rateUploadPerPerson }) => rateUploadPerPerson,
);

/** Files wait to be processed. The items have no meaning. */
export const uploadsCompleted = defineAnnouncement<true>('uploads completed');

const ALT_TEXT_MAX = 1_000;
/** The number of peaks of a waveform, and the highest peak. */
const PEAKS = 64;
const PEAK_MAX = 100;
const SHA256_HEX = /^[0-9a-f]{64}$/i;

const uploadInput = z.object({
  clientUploadId: clientKey('A clientUploadId', 128),
  filename: z
    .string()
    // Some browsers and libraries send the path on the device.
    .overwrite((path) => path.replace(/^.*[\\/]/s, ''))
    .pipe(name('A file name', 255)),
  byteSize: z.number().min(1, 'A file must not be empty.'),
  sha256: z.string().regex(SHA256_HEX, 'A SHA-256 hash must have 64 hexadecimal digits.').nullish(),
  altText: longText('An alternative text', ALT_TEXT_MAX),
  waveform: z
    .array(z.number())
    .refine(
      (peaks) => peaks.length === PEAKS && peaks.every((peak) => peak >= 0 && peak <= PEAK_MAX),
      `A waveform must have ${PEAKS} peaks from 0 to ${PEAK_MAX}.`,
    )
    .nullish(),
});

/** An upload and the parts that are missing. */
export interface Upload {
  attachment: Attachment;
  missingParts: Part[];
}

/**
 * Begins an upload, or returns the current state of the upload that the viewer has begun with the same key, with another
 * alternative text if that has changed.
 * @throws {ChatError} BAD_USER_INPUT; PAYLOAD_TOO_LARGE with the field `input.byteSize`; FORBIDDEN if the viewer has
 *   too many open uploads, or with the field `input.byteSize` if their files would exceed the quota; CONFLICT with the
 *   field `input.clientUploadId` if it was used with another input, or with the field `input.altText` if that has changed
 *   after the upload was used; RATE_LIMITED; UNAVAILABLE: this server stores no files.
 */
export async function createUpload(
  deps: Deps,
  viewer: Viewer,
  input: z.input<typeof uploadInput> & { kind: AttachmentKind },
): Promise<Upload> {
  const store = requireMedia(deps);
  const { kind } = input;
  const { clientUploadId, filename, byteSize, sha256, altText = null, waveform } = checkInput(uploadInput, input);
  const { config, database } = deps;
  if (byteSize > config.attachmentMaxBytes) {
    throw new ChatError('PAYLOAD_TOO_LARGE', `A file can have at most ${config.attachmentMaxBytes} bytes.`, {
      field: 'input.byteSize',
      limit: 'attachmentMaxBytes',
    });
  }
  take(deps, uploadsPerPerson, viewer);
  const { userId: uploaderId } = viewer;
  const hash = sha256?.toLowerCase() ?? null;
  const inputHash = hashInput(kind, filename, String(byteSize), hash);
  const upload = await database.transaction(async (tx) => {
    // So that concurrent calls cannot exceed the limits together.
    await lockCounts(tx, 'uploads', [uploaderId]);
    const key = { uploaderId_clientUploadId: { uploaderId, clientUploadId } };
    const known = await tx.attachment.findUnique({ where: key });
    if (known) {
      if (Buffer.compare(known.inputHash, inputHash) !== 0) {
        throw new ChatError('CONFLICT', 'This clientUploadId has already been used with different input.', {
          field: 'input.clientUploadId',
        });
      }
      return { attachment: await describe(tx, known, altText), missingParts: await findMissing(tx, known) };
    }
    const usage = await readUsage(tx, uploaderId);
    if (usage.open >= config.uploadsOpenMax) {
      throw limitReached('uploadsOpenMax', `You can have at most ${config.uploadsOpenMax} uploads in progress.`);
    }
    if (usage.bytes + byteSize > config.mediaQuotaBytes) {
      throw new ChatError('FORBIDDEN', 'You have no storage left for this file. Delete messages with files first.', {
        field: 'input.byteSize',
      });
    }
    const attachment = await tx.attachment.create({
      data: {
        id: newId(),
        uploaderId,
        clientUploadId,
        inputHash,
        kind,
        filename,
        contentType: 'application/octet-stream',
        byteSize,
        sha256: hash === null ? null : new Uint8Array(Buffer.from(hash, 'hex')),
        partBytes: partBytesOf(byteSize, config, isDirect(store) ? store.uploads.partBytesMin : 0),
        storeKey: randomBytes(16).toString('hex'),
        altText,
        waveform: [...(waveform ?? [])],
        expiresAt: new Date(Date.now() + config.uploadTtlMs),
      },
    });
    return { attachment, missingParts: partsOf(attachment) };
  });
  return isDirect(store) ? resumeDirectUpload(deps, store, upload.attachment) : upload;
}

/**
 * Ends an upload of which all parts have been sent; the file is checked next. Idempotent.
 * @throws {ChatError} NOT_FOUND with the field `input.attachmentId`; CONFLICT with this field if parts are missing;
 *   UNAVAILABLE.
 */
export async function completeUpload(deps: Deps, viewer: Viewer, attachmentId: string): Promise<Attachment> {
  const store = requireMedia(deps);
  if (isDirect(store)) await completeDirectUpload(deps, store, viewer, attachmentId);
  return deps.database.transaction(async (tx) => {
    const attachment = await lockOwn(tx, viewer, attachmentId);
    if (attachment.state !== 'UPLOADING') return attachment;
    const missing = isDirect(store) ? [] : await findMissing(tx, attachment);
    if (missing.length > 0) throw partsMissing(missing);
    await tx.attachmentPart.deleteMany({ where: { attachmentId } });
    announceAfterCommit(tx, uploadsCompleted, true);
    return tx.attachment.update({ where: { id: attachmentId }, data: { state: 'PROCESSING' } });
  });
}

/**
 * Deletes an upload that is not used.
 * @throws {ChatError} NOT_FOUND with the field `input.attachmentId`; CONFLICT with this field if a message contains it,
 *   or it is a picture of a user or group.
 */
export async function cancelUpload(deps: Deps, viewer: Viewer, attachmentId: string): Promise<void> {
  await deps.database.transaction(async (tx) => {
    const { messageId, avatarOf, imageOf } = await lockOwn(tx, viewer, attachmentId);
    const field = 'input.attachmentId';
    if (messageId !== null) {
      throw new ChatError('CONFLICT', 'A message contains this file. Delete the message instead.', { field });
    }
    if ((avatarOf ?? imageOf) !== null) {
      throw new ChatError('CONFLICT', 'This is the picture of a user or group. Replace or remove it there.', { field });
    }
    await tx.attachment.delete({ where: { id: attachmentId } });
  });
}

/** Changes the alternative text of an upload that is not used. */
async function describe(tx: Tx, attachment: Attachment, altText: string | null): Promise<Attachment> {
  if (attachment.altText === altText) return attachment;
  const where = { id: attachment.id, messageId: null, avatarOf: null, imageOf: null };
  const { count } = await tx.attachment.updateMany({ where, data: { altText } });
  if (count > 0) return { ...attachment, altText };
  throw new ChatError(
    'CONFLICT',
    'This file is in a message or a picture already. Its description cannot be changed.',
    {
      field: 'input.altText',
    },
  );
}

/** Locks an upload of the viewer until the end of the transaction. */
async function lockOwn(tx: Tx, { userId }: Viewer, id: string): Promise<Attachment> {
  await tx.$queryRaw`SELECT FROM attachments WHERE id = ${id}::uuid FOR UPDATE`;
  const attachment = await tx.attachment.findUnique({ where: { id, uploaderId: userId } });
  if (!attachment) throw notFound('input.attachmentId', 'Attachment');
  return attachment;
}

/** What has not been received: parts, or the rest of a part. */
async function findMissing(tx: Tx, attachment: Attachment): Promise<Part[]> {
  if (attachment.state !== 'UPLOADING') return [];
  const rows = await tx.attachmentPart.findMany({ where: { attachmentId: attachment.id } });
  const received = new Map(rows.map(({ number, receivedBytes }) => [number, receivedBytes]));
  return partsOf(attachment).flatMap((part) => {
    const bytes = received.get(part.number);
    return bytes === null ? [] : restOf(part, bytes ?? 0);
  });
}
