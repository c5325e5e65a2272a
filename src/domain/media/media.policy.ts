import { badInput, ChatError, notFound } from '../../core/errors.js';
import type { AttachmentState } from '../../generated/prisma/client.js';

/** The properties that decide whether an upload can be sent in a message, or become a picture. */
export interface Usable {
  uploaderId: string;
  state: AttachmentState;
  /** Whether a message contains it, or it is the picture of a user or group. */
  isUsed: boolean;
  hasExpired: boolean;
}

/**
 * Checks that the user can use an upload.
 * @param field the input field for errors.
 * @throws {ChatError} NOT_FOUND; CONFLICT: it is used already; BAD_USER_INPUT: it is not complete, or was rejected.
 */
export function requireUsable(upload: Usable | undefined, { userId }: { userId: string }, field: string): void {
  if (upload?.uploaderId !== userId || upload.hasExpired) throw notFound(field, 'Attachment');
  if (upload.isUsed) throw new ChatError('CONFLICT', 'This upload is already used.', { field });
  if (upload.state === 'UPLOADING') throw badInput(field, 'Call `completeUpload` first.');
  if (upload.state === 'REJECTED') throw badInput(field, 'This file was rejected.');
}
