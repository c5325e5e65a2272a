import type { Membership, Message } from '../../generated/prisma/client.js';
import { canRead } from '../conversation/conversation.policy.js';

/** Those of one's conversations, but what was said there before one may see it. To anyone else they do not exist. */
export const canSee = <Own extends Membership>(
  { seq }: Pick<Message, 'seq'>,
  membership: Own | null | undefined,
): membership is Own => canRead(membership) && seq > membership.hiddenToSeq;

type Judged = Pick<Message, 'kind' | 'senderId' | 'deletedAt'>;

const isOwn = (message: Judged, userId: string) => message.senderId === userId;

/** What somebody wrote, as long as it is there: what the service wrote stays as it is. */
const canChange = ({ kind, deletedAt }: Judged) => kind === 'USER' && deletedAt === null;

/** One's own. */
export const canEdit = (message: Judged, userId: string): boolean => canChange(message) && isOwn(message, userId);

/** One's own; whoever moderates the conversation may delete anyone's. */
export const canDelete = (message: Judged, userId: string, moderates: boolean): boolean =>
  canChange(message) && (isOwn(message, userId) || moderates);
