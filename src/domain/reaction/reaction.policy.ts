import type { Membership, Message } from '../../generated/prisma/client.js';
import { type Counterpart, canSend } from '../conversation/conversation.policy.js';
import { canChange } from '../message/message.policy.js';

/** Whoever could answer a message may react to it; taking it back is always theirs. */
export const canReact = (
  message: Pick<Message, 'kind' | 'deletedAt'>,
  membership: Membership,
  counterpart: Counterpart | undefined,
): boolean => canChange(message) && canSend(membership, counterpart);
