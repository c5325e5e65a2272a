import type { Message } from '../../generated/prisma/client.js';
import type { Config } from '../../infra/config/config.js';

/** What others have seen already stays theirs to see, unless it is kept for those who settle disputes. */
export const canReadVersions = (
  { senderId }: Pick<Message, 'senderId'>,
  userId: string,
  moderates: boolean,
  { messageVersionsFor }: Pick<Config, 'messageVersionsFor'>,
): boolean => messageVersionsFor === 'members' || senderId === userId || moderates;
