import type { Conversation, Membership, User } from '../../generated/prisma/client.js';
import type { Db } from '../../infra/database/database.js';
import type { Change, ChangeKind, ChangeRow } from '../../realtime/change.js';
import { reviveDates } from '../../realtime/wire.js';

/** What every change of a conversation and of who is in it says: the rows as they are after it. */
export interface ConversationChanged {
  conversation: Conversation;
  /** Of CONVERSATION_CREATED: who was in it from the beginning. */
  memberIds: string[];
  /** Of who joined or changed; null of who left. */
  membership: (Membership & { user: User }) | null;
}

export const conversationChangeTypes = {
  created: 'CONVERSATION_CREATED',
  updated: 'CONVERSATION_UPDATED',
  memberJoined: 'MEMBER_JOINED',
  memberUpdated: 'MEMBER_UPDATED',
  memberLeft: 'MEMBER_LEFT',
} as const;
type Kind = keyof typeof conversationChangeTypes;

/** Raised whenever what is told between nodes grows or changes, the rows of people in it too. */
const VERSION = 2;

/**
 * A change numbered `conversation.changeSeq`. `subjectId` is whom it is about; null when it is all of them.
 * `endedMembershipId` is the membership that a `memberLeft` ended.
 */
export function conversationChanged(
  kind: Kind,
  actorId: string | null,
  subjectId: string | null,
  data: Pick<ConversationChanged, 'conversation'> & Partial<ConversationChanged>,
  endedMembershipId: string | null = null,
): Change<ConversationChanged> {
  const { conversation, memberIds = [], membership = null } = data;
  return {
    conversationId: conversation.id,
    changeSeq: conversation.changeSeq,
    type: conversationChangeTypes[kind],
    messageId: null,
    subjectId,
    membershipId: endedMembershipId,
    actorId,
    // Hashes serve only the row that they stand in.
    data: { conversation: { ...conversation, inputHash: null, searchWords: [] }, memberIds, membership },
  };
}

const { created, updated, memberJoined, memberUpdated, memberLeft } = conversationChangeTypes;

export const conversationChanges: ChangeKind<ConversationChanged> = {
  types: [updated, memberUpdated],
  encode: (data) => ({ v: VERSION, ...data }),
  decode(json) {
    const { v, ...data } = json as { v: number } & ConversationChanged;
    if (v !== VERSION) return undefined;
    reviveDates(data.conversation, 'createdAt', 'lastActivityAt');
    if (data.membership) {
      reviveDates(data.membership, 'joinedAt');
      reviveDates(data.membership.user, 'createdAt', 'deletedAt', 'suspendedAt');
    }
    return data;
  },
  load: loadChanges,
};

/** Those that bring in all who are in it from the beginning. */
export const creationChanges: ChangeKind<ConversationChanged> = {
  ...conversationChanges,
  types: [created],
  joined: ({ data }) => data?.memberIds ?? [],
};

/** Those that bring somebody in. */
export const joinChanges: ChangeKind<ConversationChanged> = {
  ...conversationChanges,
  types: [memberJoined],
  joined: ({ subjectId }) => (subjectId === null ? [] : [subjectId]),
  hiddenTo: ({ data }) => data.membership?.hiddenToSeq ?? 0,
};

/** Those after which somebody is out. */
export const leaveChanges: ChangeKind<ConversationChanged> = {
  ...conversationChanges,
  types: [memberLeft],
  left: ({ subjectId }) => (subjectId === null ? [] : [subjectId]),
};

async function loadChanges(db: Db, rows: readonly ChangeRow[]): Promise<(ConversationChanged | null)[]> {
  const ids = [...new Set(rows.map((row) => row.conversationId))];
  const creations = rows.filter((row) => row.type === created).map((row) => row.conversationId);
  const subjects = rows.filter((row) => row.subjectId !== null && row.type !== memberLeft);
  const pairs = await db.$queryRaw<{ id: string }[]>`
    SELECT memberships.id::text
    FROM unnest(${subjects.map((row) => row.conversationId)}::uuid[], ${subjects.map((row) => row.subjectId)}::uuid[])
         AS subject (conversation_id, user_id)
    JOIN memberships USING (conversation_id, user_id)`;
  const [conversations, members, joins, memberships] = await Promise.all([
    db.conversation.findMany({ where: { id: { in: ids } }, omit: { inputHash: true } }),
    db.membership.findMany({
      where: { conversationId: { in: creations } },
      select: { conversationId: true, userId: true },
    }),
    db.change.findMany({
      where: { conversationId: { in: creations }, type: memberJoined },
      select: { conversationId: true, subjectId: true },
    }),
    db.membership.findMany({ where: { id: { in: pairs.map(({ id }) => id) } }, include: { user: true } }),
  ]);
  const byId = new Map(conversations.map((conversation) => [conversation.id, { ...conversation, inputHash: null }]));
  // Who came later has a change of their own for that.
  const cameLater = new Set(joins.map(({ conversationId, subjectId }) => `${conversationId} ${subjectId}`));
  const bySubject = new Map(memberships.map((each) => [`${each.conversationId} ${each.userId}`, each]));
  const membersOf = new Map<string, string[]>(creations.map((id) => [id, []]));
  for (const { conversationId, userId } of members) {
    if (!cameLater.has(`${conversationId} ${userId}`)) membersOf.get(conversationId)?.push(userId);
  }
  return rows.map(({ conversationId, subjectId, type }) => {
    const conversation = byId.get(conversationId);
    if (!conversation) return null;
    const membership = bySubject.get(`${conversationId} ${subjectId}`) ?? null;
    // Who joined or changed and is gone again has a later change.
    if (!membership && (type === memberJoined || type === memberUpdated)) return null;
    const memberIds = type === created ? (membersOf.get(conversationId) ?? []) : [];
    return { conversation, memberIds, membership: type === memberLeft ? null : membership };
  });
}
