import type { Config } from '../../infra/config/config.js';
import { type ChangeKind, type ChangeRow, watermarkRow } from '../../realtime/change.js';
import { hasReceipts } from './receipt.policy.js';
import { findAdvancedMarks, findMarkStates, findMissedMarks, type Mark, type MarkState } from './receipt.store.js';

export const MARK_MOVED = 'MARK_MOVED';

/** Marks never decrease, so their sum increases whenever one of them moves. */
const versionOf = ({ deliveredSeq, readSeq }: Mark) => deliveredSeq + readSeq;

export const watermarkOf = (mark: Mark): ChangeRow =>
  watermarkRow({
    conversationId: mark.conversationId,
    type: MARK_MOVED,
    subjectId: mark.userId,
    changeSeq: versionOf(mark),
  });

export function markChanges({ receiptMaxMembers }: Pick<Config, 'receiptMaxMembers'>): ChangeKind<MarkState> {
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
    watermark: {
      async advancedSince(db, snapshot) {
        return (await findAdvancedMarks(db, snapshot)).map((row) => watermarkRow({ ...row, type: MARK_MOVED }));
      },
      async missedSince(db, snapshot, query) {
        const missed = await findMissedMarks(db, snapshot, query, receiptMaxMembers);
        return missed.map((moves) => ({ ...moves, type: MARK_MOVED }));
      },
      versionOf: ({ membership }) => versionOf(membership.mark),
      changeSeqOf: ({ conversation }) => conversation.changeSeq,
      onlyFor: ({ data: { conversation, membership } }) =>
        hasReceipts(conversation.memberCount, receiptMaxMembers) && membership.mark.shownReadSeq === null
          ? undefined
          : membership.userId,
    },
  };
}
