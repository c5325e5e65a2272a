import { ChatError } from '../../core/errors.js';
import type { Conversation, Membership, Prisma } from '../../generated/prisma/client.js';

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

/** Of a direct conversation the person on the other side. */
export interface Counterpart {
  /** They have an account, are not suspended, and neither of the two has blocked the other. */
  isReachable: boolean;
}

/** From what a statement selects: null where there is nobody on the other side. */
export const counterpartOf = (isReachable: unknown): Counterpart | undefined =>
  typeof isReachable === 'boolean' ? { isReachable } : undefined;

/** Members may write; to a person who is not to be reached nobody can, whatever the reason. */
export const canSend = (
  membership: Membership | null | undefined,
  counterpart: Counterpart | null | undefined,
): boolean => canRead(membership) && counterpart?.isReachable !== false;

/**
 * Nobody can write to this person. Who has blocked whom, was suspended or has deleted their account cannot be told apart.
 * @param field the path from the argument, if it says who that is.
 */
export const recipientUnreachable = (field?: string): ChatError =>
  new ChatError(
    'FORBIDDEN',
    'You cannot send messages to this user. If you have blocked them, unblock them first. Otherwise they do not accept messages from you or are no longer active.',
    { ...(field !== undefined && { field }), reason: 'RECIPIENT_UNREACHABLE' },
  );

/** What somebody is told who cannot send (see `canSend`): why, and what would help. */
export const sendRefused = (membership: Membership | null | undefined, field?: string): ChatError =>
  canRead(membership)
    ? recipientUnreachable(field)
    : new ChatError('FORBIDDEN', 'Only members can send messages in this conversation. Join the group first.', {
        ...(field !== undefined && { field }),
        reason: 'NOT_A_MEMBER',
      });
