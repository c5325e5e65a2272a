import type { Message } from '../../generated/prisma/client.js';

/**
 * The two lowest marks of a conversation, in ascending order. Marks of active persons come before those of bots and
 * suspended users. Two are enough: after excluding any one user, the lowest mark of the others is among them.
 */
export type Lowest = readonly { userId: string; seq: number }[];

/** The positions of all members of a conversation. */
export interface Progress {
  delivered: Lowest;
  read: Lowest;
}

/** The lowest mark of the members other than this user; null if there are none. */
export const lowestOfOthers = (lowest: Lowest, userId: string | null): number | null =>
  lowest.find((mark) => mark.userId !== userId)?.seq ?? null;

/** Receipts are only available in groups up to a maximum size. */
export const hasReceipts = (memberCount: number, receiptMaxMembers: number): boolean =>
  memberCount <= receiptMaxMembers;

export type MessageStatus = 'SENT' | 'DELIVERED' | 'SEEN';

/**
 * The status of a message for all members except its sender. Members who joined later do not affect it, because their
 * marks start after it, and neither do former members. A member who never reads keeps a message from being SEEN, except
 * bots and suspended users, unless there are no other members.
 */
export function statusOf(
  { seq, senderId }: Pick<Message, 'seq' | 'senderId'>,
  progress: Progress | null,
): MessageStatus {
  if (!progress) return 'SENT';
  if (seq <= (lowestOfOthers(progress.read, senderId) ?? -1)) return 'SEEN';
  return seq <= (lowestOfOthers(progress.delivered, senderId) ?? -1) ? 'DELIVERED' : 'SENT';
}
