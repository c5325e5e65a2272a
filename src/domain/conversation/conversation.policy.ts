import type { Conversation, Membership, Prisma, User } from '../../generated/prisma/client.js';

/** Conversations that exist for this person: their own, and public groups. To anyone else they do not exist. */
export const visibleTo = (userId: string) =>
  ({
    OR: [{ visibility: 'PUBLIC' }, { memberships: { some: { userId } } }],
  }) satisfies Prisma.ConversationWhereInput;

/** Anyone may see that it exists, and join it. */
export const isPublic = ({ visibility }: Pick<Conversation, 'visibility'>): boolean => visibility === 'PUBLIC';

/** What is said in a conversation is for its members. */
export const canRead = <Own extends Membership>(membership: Own | null | undefined): membership is Own =>
  membership != null;

/** Members may write; to a person who is gone nobody can. */
export const canSend = (
  membership: Membership | null | undefined,
  counterpart: Pick<User, 'deletedAt'> | null | undefined,
): boolean => canRead(membership) && counterpart?.deletedAt == null;
