import type { SqlTransaction, Tx } from '../../infra/database/database.js';
import type { Change, ChangeKind } from '../../realtime/change.js';
import { changesWithoutData, recordPersonalChanges } from '../../realtime/personal-log.js';

/** In the personal log of the author, which every node observes: a status can be seen now, or was changed. */
export const STATUS_POSTED = 'STATUS_POSTED';
/** In the personal log of the author: a status was deleted. `subjectId` is the status. */
export const STATUS_DELETED = 'STATUS_DELETED';
/** Sent to the author and to the other devices of the viewer, and never stored. `subjectId` is the status. */
export const STATUS_VIEWED = 'STATUS_VIEWED';

export const statusTypes = [STATUS_POSTED, STATUS_DELETED] as const;
export type StatusChangeType = (typeof statusTypes)[number];

export const statusChanges = changesWithoutData(statusTypes);

/** Records a change of a status for all who may see it. */
export const recordStatusChange = (
  tx: Tx | SqlTransaction,
  type: StatusChangeType,
  status: { id: string; authorId: string },
): void =>
  recordPersonalChanges(tx, [
    { userId: status.authorId, type, subjectId: status.id, actorId: status.authorId, data: true },
  ]);

/** The notice that a status was viewed, for a user: its author, or the viewer. */
export const statusViewed = (userId: string, statusId: string): Change => ({
  conversationId: userId,
  changeSeq: 0,
  type: STATUS_VIEWED,
  messageId: null,
  subjectId: statusId,
  actorId: null,
  data: true,
});

export const statusViews: ChangeKind<true> = {
  types: [STATUS_VIEWED],
  isEphemeral: true,
  encode: (data) => data,
  decode: () => true,
  load: async (_db, rows) => rows.map(() => null),
};
