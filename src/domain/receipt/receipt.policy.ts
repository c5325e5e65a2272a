import type { Message } from '../../generated/prisma/client.js';

/**
 * The two lowest marks of a conversation, lowest first, of people who can come before bots and who is suspended: of whoever
 * is left out, the lowest of the others who count is among them.
 */
export type Lowest = readonly { userId: string; seq: number }[];

/** How far everyone in a conversation has come. */
export interface Progress {
  delivered: Lowest;
  read: Lowest;
}

/** The lowest mark but that person's; null when there is nobody else. */
export const lowestOfOthers = (lowest: Lowest, userId: string | null): number | null =>
  lowest.find((mark) => mark.userId !== userId)?.seq ?? null;

/** Larger groups tell nobody how far its members are. */
export const hasReceipts = (memberCount: number, receiptMaxMembers: number): boolean =>
  memberCount <= receiptMaxMembers;

export type MessageStatus = 'SENT' | 'DELIVERED' | 'SEEN';

/**
 * What has become of a message: of every member but its sender. Who came in later has nothing to do with it, for their
 * marks begin behind it; nor has who left. One who never opens the app keeps it from being SEEN, but a bot does not, nor
 * who is suspended, where there is anybody else.
 */
export function statusOf(
  { seq, senderId }: Pick<Message, 'seq' | 'senderId'>,
  progress: Progress | null,
): MessageStatus {
  if (!progress) return 'SENT';
  if (seq <= (lowestOfOthers(progress.read, senderId) ?? -1)) return 'SEEN';
  return seq <= (lowestOfOthers(progress.delivered, senderId) ?? -1) ? 'DELIVERED' : 'SENT';
}
