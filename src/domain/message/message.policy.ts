import type { Message, Prisma } from '../../generated/prisma/client.js';

/** Messages that a person may read: those of their conversations. To anyone else they do not exist. */
export const visibleTo = (userId: string) =>
  ({ conversation: { memberships: { some: { userId } } } }) satisfies Prisma.MessageWhereInput;

const isOwn = (message: Pick<Message, 'senderId'>, userId: string) => message.senderId === userId;

/** One's own, as long as it is there. */
export const canEdit = (message: Pick<Message, 'senderId' | 'deletedAt'>, userId: string): boolean =>
  message.deletedAt === null && isOwn(message, userId);

/** One's own; whoever moderates the conversation may delete anyone's. */
export const canDelete = (
  message: Pick<Message, 'senderId' | 'deletedAt'>,
  userId: string,
  moderates: boolean,
): boolean => message.deletedAt === null && (isOwn(message, userId) || moderates);
