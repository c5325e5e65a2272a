import type { Membership } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { ChangeKind } from '../../realtime/change.js';
import { recordPersonalChanges } from '../../realtime/personal-log.js';

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

/** Records that settings of a membership have changed which only the member sees, for all of their devices. */
export const recordMembershipSettings = (tx: Tx, membership: Membership): void =>
  recordPersonalChanges(tx, [
    {
      userId: membership.userId,
      type: MEMBERSHIP_SETTINGS,
      subjectId: membership.conversationId,
      actorId: membership.userId,
      data: membership,
    },
  ]);
