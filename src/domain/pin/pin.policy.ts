import type { Conversation, Message } from '../../generated/prisma/client.js';
import { canChange } from '../message/message.policy.js';

/** What a member may do in a conversation: `canSend` and `canModerate`. */
interface Rights {
  sends: boolean;
  moderates: boolean;
}

/** In a group, owners and admins can pin messages; in a direct conversation, whoever can send messages. */
export const canPinIn = ({ kind }: Pick<Conversation, 'kind'>, { sends, moderates }: Rights): boolean =>
  kind === 'DIRECT' ? sends : moderates;

export const canPin = (
  message: Pick<Message, 'kind' | 'deletedAt'>,
  conversation: Pick<Conversation, 'kind'>,
  rights: Rights,
): boolean => canChange(message) && canPinIn(conversation, rights);
