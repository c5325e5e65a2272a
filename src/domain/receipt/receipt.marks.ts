import { defineService } from '../../platform/service.js';
import { createGroupCommit, type GroupCommit } from '../../realtime/group-commit.js';
import { watermarkOf } from './receipt.events.js';
import { type Move, type Moved, moveMarks } from './receipt.store.js';

/**
 * Moves marks in batches: several moves of one user within a moment become one write and one event. Resolves after the
 * commit; with undefined if the user is not a member.
 */
export type Marks = GroupCommit<Move, Moved | undefined>;

/** The maximum number of concurrent statements: while one waits for the disk, the next one is assembled. */
const SHARED_MAX = 2;

export const receiptMarks = defineService(
  'receipt marks',
  ({ database, feed }): Marks =>
    createGroupCommit<Move, Moved | undefined>({
      sharedMax: database.mode === 'embedded' ? 1 : SHARED_MAX,
      singleKeyMax: 1,
      async commit(moves) {
        const moved = await moveMarks(database.sql, moves);
        const announced = new Set<string>();
        for (const each of moved) {
          if (!each?.hasMoved || announced.has(each.membership.id)) continue;
          announced.add(each.membership.id);
          feed.announceWatermark(watermarkOf(each.mark));
        }
        return moved.map((result) => ({ result }));
      },
    }),
);

export const keyOfMark = ({ conversationId, userId }: Pick<Move, 'conversationId' | 'userId'>) =>
  `${conversationId} ${userId}`;
