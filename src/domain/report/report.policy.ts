import type { Message } from '../../generated/prisma/client.js';

/** Users can report what other users have written. */
export const canReport = ({ kind, senderId }: Pick<Message, 'kind' | 'senderId'>, userId: string): boolean =>
  kind === 'USER' && senderId !== null && senderId !== userId;

/** Nobody decides about a report of their own message, nor learns of it. */
export const canDecide = ({ reportedUserId }: { reportedUserId: string }, userId: string): boolean =>
  reportedUserId !== userId;
