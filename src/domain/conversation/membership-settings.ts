import type { Membership } from '../../generated/prisma/client.js';
import type { ChangeKind } from '../../realtime/change.js';

/**
 * The type of a change of the settings of a membership, in the member's personal log. `subjectId` is the conversation,
 * and `data` the membership after the change.
 */
export const MEMBERSHIP_SETTINGS = 'MEMBERSHIP_SETTINGS';

export const membershipSettingsChanges: ChangeKind<Membership> = {
  types: [MEMBERSHIP_SETTINGS],
  // Not encoded: each node reads the row, because nodes of other versions know other settings.
  encode: () => null,
  decode: () => undefined,
  async load(db, rows) {
    const memberships = await db.membership.findMany({
      where: { OR: rows.map(({ conversationId: userId, subjectId }) => ({ userId, conversationId: subjectId ?? '' })) },
    });
    const bySubject = new Map(memberships.map((each) => [`${each.userId} ${each.conversationId}`, each]));
    return rows.map(({ conversationId: userId, subjectId }) => bySubject.get(`${userId} ${subjectId}`) ?? null);
  },
};
