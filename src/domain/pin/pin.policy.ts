import type { Conversation, Message } from '../../generated/prisma/client.js';
import { canChange } from '../message/message.policy.js';

/** The member's permissions in the conversation: `canSend` and `canModerate`. */
interface Rights {
  sends: boolean;
  moderates: boolean;
}

/** In a group, owners and admins can pin messages; in a direct conversation, users who can send messages can. */
export const canPinIn = ({ kind }: Pick<Conversation, 'kind'>, { sends, moderates }: Rights): boolean =>
  kind === 'DIRECT' ? sends : moderates;

export const canPin = (
  message: Pick<Message, 'kind' | 'deletedAt'>,
  conversation: Pick<Conversation, 'kind'>,
  rights: Rights,
): boolean => canChange(message) && canPinIn(conversation, rights);
