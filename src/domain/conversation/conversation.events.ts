import type { Db } from '../../infra/database.js';
import type { Change, ChangeKind, ChangeRow } from '../../realtime/change.js';

/** A conversation was made, with these members. */
export interface ConversationCreated {
  memberIds: string[];
}

const VERSION = 1;

export const conversationCreated = (
  conversationId: string,
  actorId: string,
  memberIds: string[],
): Change<ConversationCreated> => ({
  conversationId,
  changeSeq: 1,
  type: 'CONVERSATION_CREATED',
  messageId: null,
  subjectId: null,
  actorId,
  data: { memberIds },
});

export const conversationChanges: ChangeKind<ConversationCreated> = {
  types: ['CONVERSATION_CREATED'],
  encode: ({ memberIds }) => ({ v: VERSION, memberIds }),
  decode(json) {
    const { v, memberIds } = json as { v: number; memberIds: string[] };
    return v === VERSION ? { memberIds } : undefined;
  },
  async load(db: Db, rows: readonly ChangeRow[]) {
    const members = await db.membership.findMany({
      where: { conversationId: { in: rows.map((row) => row.conversationId) } },
      select: { conversationId: true, userId: true },
    });
    return rows.map(({ conversationId }) => ({
      memberIds: members.filter((member) => member.conversationId === conversationId).map((member) => member.userId),
    }));
  },
  joined: ({ data }) => data?.memberIds ?? [],
};
