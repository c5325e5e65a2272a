import type { Conversation, Membership, User } from '../../generated/prisma/client.js';
import type { Db } from '../../infra/database/database.js';
import type { Change, ChangeKind, ChangeRow } from '../../realtime/change.js';
import { reviveDates } from '../../realtime/wire.js';

/** The data of every change of a conversation or of its members: the rows after the change. */
export interface ConversationChanged {
  conversation: Conversation;
  /** For CONVERSATION_CREATED: the initial members. */
  memberIds: string[];
  /** The membership of the user who joined or changed; null for a user who left. */
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

/** To be incremented whenever the data sent between nodes changes, including the rows of users in it. */
const VERSION = 3;

/**
 * Creates a change with the number `conversation.changeSeq`. `subjectId` is the user it is about; null if it is about
 * all members. `endedMembershipId` is the membership that a `memberLeft` ended.
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
    // These columns are only used by the database.
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

/** The changes with which all initial members join. */
export const creationChanges: ChangeKind<ConversationChanged> = {
  ...conversationChanges,
  types: [created],
  joined: ({ data }) => data?.memberIds ?? [],
};

/** The changes with which a user joins. */
export const joinChanges: ChangeKind<ConversationChanged> = {
  ...conversationChanges,
  types: [memberJoined],
  joined: ({ subjectId }) => (subjectId === null ? [] : [subjectId]),
  historyFloor: ({ data }) => data.membership?.hiddenToSeq ?? 0,
};

/** The changes with which a user leaves. */
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
  // Users who joined later have a change of their own.
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
    // The user has left in the meantime, which a later change reports.
    if (!membership && (type === memberJoined || type === memberUpdated)) return null;
    const memberIds = type === created ? (membersOf.get(conversationId) ?? []) : [];
    return { conversation, memberIds, membership: type === memberLeft ? null : membership };
  });
}
