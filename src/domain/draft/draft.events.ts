import type { Draft } from '../../generated/prisma/client.js';
import type { Db, Tx } from '../../infra/database/database.js';
import type { ChangeKind, ChangeRow } from '../../realtime/change.js';
import { recordPersonalChanges } from '../../realtime/personal-log.js';
import { reviveDates } from '../../realtime/wire.js';

export const DRAFT_SAVED = 'DRAFT_SAVED';
export const DRAFT_DELETED = 'DRAFT_DELETED';

/** The data of a change of a draft. `subjectId` of its row is the membership, which has at most one draft. */
export interface DraftChanged {
  /** The draft after the change; deleted, it is empty. Null if the membership has ended. */
  draft: Draft | null;
}

/** A draft as it is after its deletion. */
export const emptied = (
  { id, conversationId, userId }: { id: string; conversationId: string; userId: string },
  deletedAt: Date,
): Draft => ({ membershipId: id, conversationId, userId, text: '', replyToSeq: null, updatedAt: deletedAt });

/** Records a change of a draft, for all devices of its author. */
export const recordDraftChange = (
  tx: Tx,
  type: typeof DRAFT_SAVED | typeof DRAFT_DELETED,
  { membershipId, userId }: { membershipId: string; userId: string },
  data: DraftChanged,
): void => recordPersonalChanges(tx, [{ userId, type, subjectId: membershipId, actorId: userId, data }]);

/** To be incremented whenever the data sent between nodes changes. */
const VERSION = 1;

export const draftChanges: ChangeKind<DraftChanged> = {
  types: [DRAFT_SAVED, DRAFT_DELETED],
  encode: (data) => ({ v: VERSION, ...data }),
  decode(json) {
    const { v, ...data } = json as { v: number } & DraftChanged;
    if (v !== VERSION) return undefined;
    if (data.draft) reviveDates(data.draft, 'updatedAt');
    return data;
  },
  load: loadDraftChanges,
};

async function loadDraftChanges(db: Db, rows: readonly ChangeRow[]): Promise<(DraftChanged | null)[]> {
  const memberships = await db.membership.findMany({
    where: { id: { in: rows.flatMap(({ subjectId }) => subjectId ?? []) } },
    include: { draft: true },
  });
  const byId = new Map(memberships.map((membership) => [membership.id, membership]));
  return rows.map(({ type, subjectId, committedAt }) => {
    const membership = byId.get(subjectId ?? '');
    // A draft that was deleted since has a later change.
    if (type === DRAFT_SAVED) return membership?.draft ? { draft: membership.draft } : null;
    return { draft: membership ? emptied(membership, new Date(committedAt ?? Date.now())) : null };
  });
}
