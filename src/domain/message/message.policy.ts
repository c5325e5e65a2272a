import type { Membership, Message } from '../../generated/prisma/client.js';
import type { Config } from '../../infra/config/config.js';
import { canRead } from '../conversation/conversation.policy.js';

/** Those of one's conversations, but what was said there before one may see it. To anyone else they do not exist. */
export const canSee = <Own extends Membership>(
  { seq }: Pick<Message, 'seq'>,
  membership: Own | null | undefined,
): membership is Own => canRead(membership) && seq > membership.hiddenToSeq;

type Judged = Pick<Message, 'kind' | 'senderId' | 'deletedAt'>;

const isOwn = (message: Judged, userId: string) => message.senderId === userId;

/** What somebody wrote, as long as it is there: what the service wrote stays as it is. */
export const canChange = ({ kind, deletedAt }: Pick<Message, 'kind' | 'deletedAt'>) =>
  kind === 'USER' && deletedAt === null;

/** One's own, as long as it may be edited at all. */
export const isTheirsToEdit = (message: Judged, userId: string): boolean =>
  canChange(message) && isOwn(message, userId);

/** When the sender can no longer edit a message; null if there is no time limit, or if nobody can edit it. */
export const editableUntil = (
  message: Pick<Message, 'kind' | 'deletedAt' | 'createdAt'>,
  { messageEditWindowMs }: Pick<Config, 'messageEditWindowMs'>,
): Date | null =>
  canChange(message) && messageEditWindowMs !== null
    ? new Date(message.createdAt.getTime() + messageEditWindowMs)
    : null;

/** Senders can edit their own messages for some time. */
export function canEdit(
  message: Judged & Pick<Message, 'createdAt'>,
  userId: string,
  config: Pick<Config, 'messageEditWindowMs'>,
): boolean {
  const until = editableUntil(message, config);
  return isTheirsToEdit(message, userId) && (until === null || Date.now() < until.getTime());
}

/** What somebody wrote can be answered, what is left of it as well: who writes need not know that it was deleted just now. */
export const canAnswer = ({ kind }: Pick<Message, 'kind'>): boolean => kind === 'USER';

/** Whoever can send messages in the conversation (`canSend`) can reply. */
export const canReply = (message: Pick<Message, 'kind'>, sends: boolean): boolean => canAnswer(message) && sends;

/** One's own; whoever moderates the conversation may delete anyone's. */
export const canDelete = (message: Judged, userId: string, moderates: boolean): boolean =>
  canChange(message) && (isOwn(message, userId) || moderates);
