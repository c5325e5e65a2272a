import type { Message } from '../../generated/prisma/client.js';
import type { Config } from '../../infra/config/config.js';
import { canChange } from '../message/message.policy.js';

type MessageState = Pick<Message, 'kind' | 'senderId' | 'deletedAt'>;

/** Whether the user can edit the message if the time limit is ignored: senders can edit their own messages. */
export const isEditableBy = (message: MessageState, userId: string): boolean =>
  canChange(message) && message.senderId === userId;

/**
 * The time after which the sender can no longer edit a message. It is null if there is no time limit, or if nobody can
 * edit the message.
 */
export const editableUntil = (
  message: Pick<Message, 'kind' | 'deletedAt' | 'createdAt'>,
  { messageEditWindowMs }: Pick<Config, 'messageEditWindowMs'>,
): Date | null =>
  canChange(message) && messageEditWindowMs !== null
    ? new Date(message.createdAt.getTime() + messageEditWindowMs)
    : null;

/** Senders can edit their own messages until the time limit. */
export function canEdit(
  message: MessageState & Pick<Message, 'createdAt'>,
  userId: string,
  config: Pick<Config, 'messageEditWindowMs'>,
): boolean {
  const until = editableUntil(message, config);
  return isEditableBy(message, userId) && (until === null || Date.now() < until.getTime());
}

/**
 * By default, all members can read the earlier texts of the messages that they can see. With MESSAGE_VERSIONS_FOR set
 * to `moderators`, only the sender and moderators can.
 */
export const canReadVersions = (
  { senderId }: Pick<Message, 'senderId'>,
  userId: string,
  moderates: boolean,
  { messageVersionsFor }: Pick<Config, 'messageVersionsFor'>,
): boolean => messageVersionsFor === 'members' || senderId === userId || moderates;
