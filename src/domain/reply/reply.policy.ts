import type { Message } from '../../generated/prisma/client.js';

/**
 * Users can reply to all messages except system messages. Replies to deleted messages are allowed because the author
 * may not know yet that the message was deleted.
 */
export const canBeRepliedTo = ({ kind }: Pick<Message, 'kind'>): boolean => kind === 'USER';

/** Members who can send messages in the conversation (`canSend`) can reply. */
export const canReply = (message: Pick<Message, 'kind'>, sends: boolean): boolean => canBeRepliedTo(message) && sends;
