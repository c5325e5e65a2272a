import type { Attachment, Prisma } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { defineExtensionPoint } from '../../platform/feature.js';

/** Objects other than messages and pictures that contain attachments, such as statuses (`attachments.status_id`). */
export interface AttachmentOwner {
  /** SQL for whether a user, given as an SQL expression, can see the row `attachment` because of its owner. */
  isVisibleTo(userId: Prisma.Sql): Prisma.Sql;
  /** Called in the transaction that stores the outcome of the processing of a file with an owner. */
  onDone(deps: Deps, tx: Tx, attachment: Attachment): Promise<void>;
}

export const attachmentOwners = defineExtensionPoint<AttachmentOwner>('attachment owners');
