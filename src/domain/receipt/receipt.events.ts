import type { Config } from '../../infra/config/config.js';
import { type ChangeKind, type ChangeRow, moveOf } from '../../realtime/change.js';
import { hasReceipts } from './receipt.policy.js';
import { findMarkStates, findMissedMoves, findMoved, type Mark, type MarkState } from './receipt.store.js';

export const MARK_MOVED = 'MARK_MOVED';

/** Both marks only grow, so their sum grows with each move of either. */
const versionOf = ({ deliveredSeq, readSeq }: Mark) => deliveredSeq + readSeq;

export const markMoved = (mark: Mark): ChangeRow =>
  moveOf({
    conversationId: mark.conversationId,
    type: MARK_MOVED,
    subjectId: mark.userId,
    changeSeq: versionOf(mark),
  });

export function markMoves({ receiptMaxMembers }: Pick<Config, 'receiptMaxMembers'>): ChangeKind<MarkState> {
  return {
    types: [MARK_MOVED],
    encode: () => null,
    decode: () => undefined,
    load: (db, rows) =>
      findMarkStates(
        db,
        rows.map(({ conversationId, subjectId }) => ({ conversationId, userId: subjectId ?? '' })),
        receiptMaxMembers,
      ),
    moving: {
      async movedSince(db, snapshot) {
        return (await findMoved(db, snapshot)).map((row) => moveOf({ ...row, type: MARK_MOVED }));
      },
      async missedSince(db, snapshot, audience) {
        const missed = await findMissedMoves(db, snapshot, audience, receiptMaxMembers);
        return missed.map((moves) => ({ ...moves, type: MARK_MOVED }));
      },
      versionOf: ({ membership }) => versionOf(membership.mark),
      positionOf: ({ conversation }) => conversation.changeSeq,
      onlyFor: ({ data: { conversation, membership } }) =>
        hasReceipts(conversation.memberCount, receiptMaxMembers) && membership.mark.shownReadSeq === null
          ? undefined
          : membership.userId,
    },
  };
}
