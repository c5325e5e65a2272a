import { Prisma } from '../../generated/prisma/client.js';
import type { AttachmentOwner } from '../media/media.owners.js';
import { recordStatusChange, STATUS_DELETED, STATUS_POSTED } from './status.events.js';
import { isTooLong } from './status.service.js';
import { deleteStatusRow, isVisibleTo } from './status.store.js';

/** The files of statuses: who can see a status can open its file. */
export const statusFiles: AttachmentOwner = {
  isVisibleTo: (userId) => Prisma.sql`
    EXISTS (SELECT FROM statuses status WHERE status.id = attachment.status_id AND ${isVisibleTo(userId)})`,
  async onDone({ config }, tx, attachment) {
    const { statusId, state, uploaderId: authorId } = attachment;
    if (statusId === null) return;
    const status = { id: statusId, authorId };
    if (state === 'READY' && !isTooLong(config, attachment)) return recordStatusChange(tx, STATUS_POSTED, status);
    // Without its file, or with a video that is too long, the status is not what its author wanted to show.
    if ((await deleteStatusRow(tx, authorId, statusId))?.isLive) recordStatusChange(tx, STATUS_DELETED, status);
  },
};
