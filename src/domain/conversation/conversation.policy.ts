import { ChatError } from '../../core/errors.js';
import type { Conversation, Membership, Prisma } from '../../generated/prisma/client.js';

/** The conversations that are visible to a user: their own, and public groups. For everybody else they do not exist. */
export const visibleTo = (userId: string) =>
  ({
    OR: [{ visibility: 'PUBLIC' }, { memberships: { some: { userId } } }],
  }) satisfies Prisma.ConversationWhereInput;

/** Whether everybody can see and join the conversation. */
export const isPublic = ({ visibility }: Pick<Conversation, 'visibility'>): boolean => visibility === 'PUBLIC';

/** Whether the server cannot read the messages of the conversation. */
export const isEncrypted = ({ encryption }: Pick<Conversation, 'encryption'>): boolean => encryption !== 'NONE';

/** Only members can read messages. */
export const canRead = <Own extends Membership>(membership: Own | null | undefined): membership is Own =>
  membership != null;

/** The other user of a direct conversation. */
export interface Counterpart {
  /** They have an account, are not suspended, and neither of the two has blocked the other. */
  isReachable: boolean;
}

/** Converts the column of a statement; null means that there is no other user. */
export const counterpartOf = (isReachable: unknown): Counterpart | undefined =>
  typeof isReachable === 'boolean' ? { isReachable } : undefined;

/** Members can send messages, except to a user who cannot be reached, for whatever reason. */
export const canSend = (
  membership: Membership | null | undefined,
  counterpart: Counterpart | null | undefined,
): boolean => canRead(membership) && counterpart?.isReachable !== false;

/**
 * The error for messages to a user who cannot be reached. It does not reveal whether somebody was blocked or suspended,
 * or whether the account was deleted.
 * @param field the path of the argument that names the user, if there is one.
 */
export const recipientUnreachable = (field?: string): ChatError =>
  new ChatError(
    'FORBIDDEN',
    'You cannot send messages to this user. If you have blocked them, unblock them first. Otherwise they do not accept messages from you or are no longer active.',
    { ...(field !== undefined && { field }), reason: 'RECIPIENT_UNREACHABLE' },
  );

/** The error for a user who cannot send (see `canSend`), with a reason to which clients can react. */
export const sendRefused = (membership: Membership | null | undefined, field?: string): ChatError =>
  canRead(membership)
    ? recipientUnreachable(field)
    : new ChatError('FORBIDDEN', 'Only members can send messages in this conversation. Join the group first.', {
        ...(field !== undefined && { field }),
        reason: 'NOT_A_MEMBER',
      });
