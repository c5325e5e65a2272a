import type { Membership, Message } from '../../generated/prisma/client.js';
import { canRead } from '../conversation/conversation.policy.js';

/**
 * Members can see the messages of their conversations, except those up to `hiddenToSeq`, which were sent before the
 * member joined. For everybody else, a message does not exist.
 */
export const canSee = <Own extends Membership>(
  { seq }: Pick<Message, 'seq'>,
  membership: Own | null | undefined,
): membership is Own => canRead(membership) && seq > membership.hiddenToSeq;

type MessageState = Pick<Message, 'kind' | 'senderId' | 'deletedAt'>;

const isOwn = (message: MessageState, userId: string) => message.senderId === userId;

/** Messages written by users can be changed until they are deleted. System messages never change. */
export const canChange = ({ kind, deletedAt }: Pick<Message, 'kind' | 'deletedAt'>) =>
  kind === 'USER' && deletedAt === null;

/** Users can delete their own messages; moderators of the conversation can delete every message. */
export const canDelete = (message: MessageState, userId: string, moderates: boolean): boolean =>
  canChange(message) && (isOwn(message, userId) || moderates);
