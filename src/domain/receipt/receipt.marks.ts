import { defineService } from '../../platform/service.js';
import { createGroupCommit, type GroupCommit } from '../../realtime/group-commit.js';
import { markMoved } from './receipt.events.js';
import { type Move, type Moved, moveMarks } from './receipt.store.js';

/**
 * Moves marks, many in one statement: what one person says several times within a moment is one write and one event.
 * Resolves when it is committed; with undefined for who is no member.
 */
export type Marks = GroupCommit<Move, Moved | undefined>;

/** Most statements at once: while one waits for the disk, another is put together. */
const SHARED_MAX = 2;

export const receiptMarks = defineService(
  'receipt marks',
  ({ database, feed }): Marks =>
    createGroupCommit<Move, Moved | undefined>({
      sharedMax: database.footing === 'embedded' ? 1 : SHARED_MAX,
      aloneMax: 1,
      async commit(moves) {
        const moved = await moveMarks(database.sql, moves);
        const told = new Set<string>();
        for (const each of moved) {
          if (!each?.hasMoved || told.has(each.membership.id)) continue;
          told.add(each.membership.id);
          feed.announceMove(markMoved(each.mark));
        }
        return moved.map((result) => ({ result }));
      },
    }),
);

export const keyOfMark = ({ conversationId, userId }: Pick<Move, 'conversationId' | 'userId'>) =>
  `${conversationId} ${userId}`;
