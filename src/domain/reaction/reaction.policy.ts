import type { Message } from '../../generated/prisma/client.js';
import { canChange } from '../message/message.policy.js';

/**
 * Members who can send messages in the conversation (`canSend`) can add reactions. All members can remove their own.
 */
export const canReact = (message: Pick<Message, 'kind' | 'deletedAt'>, sends: boolean): boolean =>
  canChange(message) && sends;
