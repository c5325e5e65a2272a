import type { Conversation, Membership, Message } from '../../generated/prisma/client.js';
import { type Counterpart, canSend } from '../conversation/conversation.policy.js';
import { canModerate } from '../conversation/membership.policy.js';
import { canChange } from '../message/message.policy.js';

/** Whoever moderates a group says what is pinned there; in a direct conversation either of the two who can write. */
export const canPin = (
  message: Pick<Message, 'kind' | 'deletedAt'>,
  conversation: Pick<Conversation, 'kind'>,
  membership: Membership,
  counterpart: Counterpart | undefined,
): boolean =>
  canChange(message) &&
  (conversation.kind === 'DIRECT' ? canSend(membership, counterpart) : canModerate(conversation, membership));
