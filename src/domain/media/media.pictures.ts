import { badInput } from '../../core/errors.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import type { Viewer } from '../../platform/viewer.js';
import { storedPicture, storedPictureOf } from '../user/picture.js';
import { requireUsable } from './media.policy.js';

/** The picture that a client wants a user or a group to have. */
export interface GivenPicture {
  /** A URL, which is to be checked; null removes the picture. Undefined if it is not to be changed, or is an upload. */
  url: string | null | undefined;
  attachmentId?: string;
  /** The stored form of the URL of an uploaded picture that the client has sent back. */
  sentBack?: string;
}

/** The input fields of a picture, for errors. */
interface Fields {
  urlField: string;
  attachmentField: string;
}

/**
 * Reads the two input fields of a picture, of which only one can have a value.
 * @throws {ChatError} BAD_USER_INPUT.
 */
export function readPicture(
  deps: Pick<Deps, 'secrets'>,
  url: string | null | undefined,
  attachmentId: string | null | undefined,
  { urlField, attachmentField }: Fields,
): GivenPicture {
  if (attachmentId == null) {
    const sentBack = url == null ? undefined : storedPictureOf(deps, url);
    if (sentBack !== undefined) return { url: undefined, sentBack };
    return { url: url === undefined ? attachmentId : url };
  }
  if (url != null) throw badInput(attachmentField, `Give either \`${urlField}\` or \`${attachmentField}\`.`);
  return { url: undefined, attachmentId };
}

/** Whose picture it is: one of the columns of attachments. */
type Owner = { avatarOf: string } | { imageOf: string };

/**
 * Prepares the change of the picture of a user or group, which the transaction has locked. A file that is still
 * PROCESSING becomes the picture when it is READY; a later change of the picture prevents that.
 * @param present what the column of the picture contains.
 * @param picture with a checked URL.
 * @returns what the column is to contain.
 * @throws {ChatError} of `attachmentField`: NOT_FOUND; CONFLICT: the upload is used already; BAD_USER_INPUT: it is not a
 *   complete image. BAD_USER_INPUT of `urlField`: it is the URL of an uploaded picture that was replaced.
 */
export async function takePicture(
  tx: Tx,
  viewer: Viewer,
  owner: Owner,
  present: string | null,
  { url, attachmentId, sentBack }: GivenPicture,
  { urlField, attachmentField }: Fields,
): Promise<string | null> {
  if (sentBack !== undefined && sentBack !== present) {
    throw badInput(urlField, 'This picture is no longer stored. Upload it again.');
  }
  if (attachmentId === undefined) {
    if (url === undefined) return present;
    await tx.attachment.deleteMany({ where: { ...owner, state: { not: 'READY' } } });
    return url;
  }
  await tx.$queryRaw`SELECT FROM attachments WHERE id = ${attachmentId}::uuid FOR UPDATE`;
  const upload = await tx.attachment.findUnique({ where: { id: attachmentId } });
  const { messageId, avatarOf, imageOf, statusId } = {
    ...{ messageId: null, avatarOf: null, imageOf: null, statusId: null },
    ...upload,
  };
  const isRetry = Object.values<string | null>(owner).includes(avatarOf ?? imageOf);
  const hasExpired = upload?.expiresAt != null && upload.expiresAt.getTime() < Date.now();
  const isUsed = !isRetry && (messageId ?? avatarOf ?? imageOf ?? statusId) !== null;
  requireUsable(upload ? { ...upload, isUsed, hasExpired } : undefined, viewer, attachmentField);
  if (upload?.kind !== 'IMAGE') throw badInput(attachmentField, 'A picture must be an upload of kind IMAGE.');
  await tx.attachment.deleteMany({ where: { ...owner, state: { not: 'READY' }, id: { not: attachmentId } } });
  await tx.attachment.update({ where: { id: attachmentId }, data: { ...owner, expiresAt: null } });
  return upload.state === 'READY' ? storedPicture(attachmentId) : present;
}
